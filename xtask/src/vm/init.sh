#!/bin/busybox sh
# Process 1 of a virtual machine, in the initramfs. A root that can be pivoted away from is a mount of its own.
/bin/busybox mount --bind /host /host
cd /host
/bin/busybox mount --move . /
exec /bin/busybox chroot . /bin/busybox sh /guest.sh
