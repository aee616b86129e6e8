/* A socket file: bind(2), and connect(2) by its name, by a relative one and through a link.
 *
 * image: symlink link socket
 * expect: chdir .
 * expect: hop link
 * expect: socket socket
 * socket: bind unix socket
 * socket: connect unix socket
 */
#define NAME "unix_socket"
#include <sys/socket.h>
#include <sys/un.h>

#include "odd.h"

static long to(long (*call)(int, const struct sockaddr *, socklen_t), const char *name)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	strcpy(address.sun_path, name);
	return call(must(socket(AF_UNIX, SOCK_STREAM, 0)), (struct sockaddr *)&address, sizeof address);
}

static long serve(int socket, const struct sockaddr *address, socklen_t length)
{
	must(bind(socket, address, length));
	return listen(socket, 8);
}

static long reach(int socket, const struct sockaddr *address, socklen_t length)
{
	return connect(socket, address, length);
}

int main(void)
{
	must(to(serve, ODD("socket")));
	must(to(reach, ODD("socket")));
	must(to(reach, ODD("link")));
	go_home();
	must(to(reach, "socket"));
	return 0;
}
