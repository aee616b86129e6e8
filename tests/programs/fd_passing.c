/* A directory's descriptor that comes over a unix socket, and names that start there.
 *
 * image: file dir/data
 * expect: open dir dir/data
 */
#define NAME "fd_passing"
#include <sys/socket.h>

#include "odd.h"

static void give(int socket, int fd)
{
	char room[CMSG_SPACE(sizeof fd)] = "", byte = 0;
	struct iovec part = { &byte, 1 };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof room };
	struct cmsghdr *control = CMSG_FIRSTHDR(&message);
	control->cmsg_level = SOL_SOCKET;
	control->cmsg_type = SCM_RIGHTS;
	control->cmsg_len = CMSG_LEN(sizeof fd);
	memcpy(CMSG_DATA(control), &fd, sizeof fd);
	must(sendmsg(socket, &message, 0));
}

static int take(int socket)
{
	int fd;
	char room[CMSG_SPACE(sizeof fd)], byte;
	struct iovec part = { &byte, 1 };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof room };
	must(recvmsg(socket, &message, 0));
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof fd);
	return fd;
}

int main(void)
{
	int pair[2];
	must(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	pid_t child = must(fork());
	if (child == 0) {
		must(openat(take(pair[1]), "data", O_RDONLY));
		_exit(0);
	}
	give(pair[0], must(open(ODD("dir"), O_RDONLY | O_DIRECTORY)));
	reap(child);
	return 0;
}
