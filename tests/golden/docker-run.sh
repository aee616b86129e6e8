#!/bin/sh
# registry.example:5000/web:slim, with the privileges that 1 recording of shop/web:latest saw it need.
# Use: sh FILE --detach --name web and other options of docker run
#
# --read-only: nothing can be written but to what is mounted
# --tmpfs /run:rw,nosuid,nodev,noexec,mode=755,uid=33,gid=34: /run/web.pid was written by /usr/sbin/web
# --mount type=volume,destination=/srv/a b$[1]'s: /srv/a b$[1]'s/tool was written by /usr/sbin/web; a volume, because it may have to outlive a restart
# --tmpfs /tmp:rw,nosuid,nodev,exec,mode=1777,uid=33,gid=34: /tmp/plugin.so was written by /usr/sbin/web
# --mount type=volume,destination=/var/log/web: /var/log/web/access.log was written by /usr/sbin/web; a volume, because it begins with /var/log/web/access.log of the image
# --mount type=volume,destination=/data: data that outlives a container: name it with source=
# --cap-drop ALL: all capabilities but those that the kernel was asked for, and that it had
# --cap-add CHOWN: asked for and had, by /usr/sbin/web, in 1 of 1 recordings
# --cap-add DAC_OVERRIDE: who gives files away finds them another user's when it starts again
# --cap-add KILL: who starts processes as another user must be able to stop them
# --cap-add NET_BIND_SERVICE: waits at port 443, which only Docker allows without
# --cap-add SETUID: asked for and had, by /usr/sbin/web, in 1 of 1 recordings
# --security-opt no-new-privileges: no program that gives privileges was executed
# --security-opt seccomp=web.seccomp.json: made by slim-agent export seccomp
# /conf was mounted from the host in a recording: mount it here, too
# it runs as root; whether it can do without was not recorded: record it with --user to know
# the image declares port 9090/tcp, at which nothing waited
# port 443 is waited at, and the image does not declare it
exec docker run "$@" \
  --read-only \
  --tmpfs /run:rw,nosuid,nodev,noexec,mode=755,uid=33,gid=34 \
  --mount 'type=volume,destination=/srv/a b$[1]'\''s' \
  --tmpfs /tmp:rw,nosuid,nodev,exec,mode=1777,uid=33,gid=34 \
  --mount type=volume,destination=/var/log/web \
  --mount type=volume,destination=/data \
  --cap-drop ALL \
  --cap-add CHOWN \
  --cap-add DAC_OVERRIDE \
  --cap-add KILL \
  --cap-add NET_BIND_SERVICE \
  --cap-add SETUID \
  --security-opt no-new-privileges \
  --security-opt seccomp=web.seccomp.json \
  registry.example:5000/web:slim
