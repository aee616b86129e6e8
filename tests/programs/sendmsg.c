/* sendmsg(2) with an address: an internet one, and a socket file. Resolvers of C libraries use it.
 *
 * expect: socket socket
 * socket: send inet 127.0.0.1:6104
 * socket: bind unix socket
 * socket: send unix socket
 */
#define NAME "sendmsg"
#include <sys/un.h>

#include "inet.h"
#include "odd.h"

int main(void)
{
	struct sockaddr_in address = local(6104);
	struct sockaddr_un name = { .sun_family = AF_UNIX, .sun_path = ODD("socket") };
	struct iovec part = { "x", 1 };
	struct msghdr message = { .msg_name = &address, .msg_namelen = sizeof address, .msg_iov = &part, .msg_iovlen = 1 };
	int server = must(socket(AF_UNIX, SOCK_DGRAM, 0));
	must(sendmsg(must(socket(AF_INET, SOCK_DGRAM, 0)), &message, 0));
	must(bind(server, (struct sockaddr *)&name, sizeof name));
	message.msg_name = &name;
	message.msg_namelen = sizeof name;
	must(sendmsg(must(socket(AF_UNIX, SOCK_DGRAM, 0)), &message, 0));
	return 0;
}
