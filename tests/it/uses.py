"""Uses paths and sockets in many ways, each with a path of its own; uses.rs says what must be seen of it."""
import os
import signal
import socket
import subprocess

os.chdir("/etc")
open("./apt/../debian_version").close()
open("/etc/os-release").close()
os.stat("/bin/true")
os.lstat("/etc/alternatives/awk")
os.readlink("/usr/bin/awk")
os.listdir("/usr/share/base-files")
os.access("/etc/shells", os.R_OK)
os.statvfs("/usr/share/dict")
os.listxattr("/etc/issue.net")
os.close(os.open("/etc/gshadow", os.O_PATH))

share = os.open("/usr/share", os.O_RDONLY | os.O_DIRECTORY)
os.stat("zoneinfo/UTC", dir_fd=share)
os.fchdir(os.open("/usr/lib", os.O_RDONLY))
os.stat("ssl")
try:
    open("/no/such/file")
except FileNotFoundError:
    pass
for program in ["/etc/passwd", "/no/such/program"]:
    try:
        os.execv(program, [program])
    except OSError:
        pass
subprocess.run(["/usr/bin/ldd", "--version"], stdout=subprocess.DEVNULL, check=True)

os.mkdir("/tmp/dir")
open("/tmp/dir/old", "w").close()
os.rename("/tmp/dir/old", "/tmp/dir/new")
os.symlink("dir", "/tmp/link")
os.chmod("/tmp/link/new", 0o600)
os.link("/tmp/dir/new", "/tmp/dir/twin")
os.unlink("/tmp/dir/twin")
open(b"/tmp/dir/\xff\\", "w").close()
subprocess.run(["cat", "new"], cwd="/tmp/link", stdin=subprocess.DEVNULL, check=True)

server = socket.socket(socket.AF_UNIX)
server.bind("/tmp/link/socket")
server.listen()
socket.socket(socket.AF_UNIX).connect("/tmp/dir/socket")
socket.socket(socket.AF_UNIX).bind("\0hidden")
socket.socket(socket.AF_INET).connect_ex(("127.0.0.1", 9))
socket.socket(socket.AF_INET6).connect_ex(("::1", 9))
socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", 53))

print("done", flush=True)
signal.pause()
