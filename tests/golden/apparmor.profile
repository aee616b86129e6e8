# registry.example:5000/web:slim, with the privileges that 1 recording of shop/web:latest saw it need.
# Use: apparmor_parser --replace FILE, then docker run --security-opt apparmor=web
# /conf was mounted from the host in a recording: mount it here, too
# it runs as root; whether it can do without was not recorded: record it with --user to know
# the image declares port 9090/tcp, at which nothing waited
# port 443 is waited at, and the image does not declare it
profile "web" flags=(attach_disconnected,mediate_deleted) {
  # all capabilities but those that the kernel was asked for, and that it had
  capability chown,
  capability dac_override,
  capability kill,
  capability net_bind_service,
  capability setuid,
  # sockets
  network inet,
  network inet6,
  network netlink,
  unix,
  # its own processes; the engine stops it
  signal (receive) peer=unconfined,
  signal (send, receive) peer="web",
  ptrace (read, trace, readby, tracedby) peer="web",
  # of the kernel and of the engine
  /dev/{,**} rw,
  /dev/shm/{,**} rwkml,
  /proc/{,**} r,
  /sys/{,**} r,
  deny /proc/{kcore,kmem,mem,sysrq-trigger} rwklx,
  deny /sys/{firmware,kernel/security}/{,**} rwklx,
  /etc/{hosts,hostname,resolv.conf} r,
  "/proc/*/oom_score_adj" rw,
  # /run/web.pid was written by /usr/sbin/web
  "/run/{,**}" rwkl,
  # /srv/a b$[1]'s/tool was written by /usr/sbin/web
  "/srv/a b$\[1\]'s/{,**}" rwklmix,
  # /tmp/plugin.so was written by /usr/sbin/web
  "/tmp/{,**}" rwklmix,
  # /var/log/web/access.log was written by /usr/sbin/web
  "/var/log/web/{,**}" rwkl,
  # a mount point: bind
  "/conf/{,**}" rwkl,
  # a mount point: volume
  "/data/{,**}" rwkl,
  # of the image
  "/conf/" r,
  "/data/" r,
  "/lib/" r,
  "/lib/libweb.so.1" mr,
  "/run/" r,
  "/srv/" r,
  "/srv/a b$\[1\]'s/" r,
  "/tmp/" r,
  "/usr/" r,
  "/usr/sbin/" r,
  "/usr/sbin/web" mrix,
  "/usr/share/" r,
  "/usr/share/web/" r,
  "/usr/share/web/é%\{x\}?" r,
  "/var/" r,
  "/var/log/" r,
  "/var/log/web/" r,
  "/var/log/web/access.log" r,
  "/var/log/web/error.log" r,
}
