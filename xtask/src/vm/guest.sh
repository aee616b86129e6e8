# Process 1 of a virtual machine, in its root: makes a small host, runs /task.sh, and sends /out home: with what the task
# said in /out/log and its exit code in /out/status.
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /tmp
exec </dev/null >/dev/console 2>&1
ip link set lo up

# fresh_root NAME: the programs in /tree.tar below an overlayfs, as containers have it; its path is in $root.
fresh_root() {
    if [ ! -e /tree ]; then
        [ -e /overlay.ko ] || unxz /overlay.ko.xz
        insmod /overlay.ko
        mkdir /tree
        tar -xpf /tree.tar -C /tree
    fi
    root=/run/$1/root
    mkdir -p "$root" "/run/$1/upper" "/run/$1/work"
    mount -t overlay -o "lowerdir=/tree,upperdir=/run/$1/upper,workdir=/run/$1/work" overlay "$root"
}

{
    (
        set -e
        . /task.sh
    )
    echo $? >/out/status
} 2>&1 | tee /out/log

stty -F /dev/ttyS1 raw -echo
tar -cz -C /out . >/dev/ttyS1
reboot -f
