/* Two sockets that listen: for all of IPv6 and IPv4, and at an address of IPv4 in IPv6's spelling.
 *
 * socket: bind inet [::]:6110
 * socket: listen inet [::]:6110
 * protocol: tcp inet [::]:6110
 * socket: bind inet 127.0.0.1:6111
 * socket: listen inet 127.0.0.1:6111
 * protocol: tcp inet 127.0.0.1:6111
 */
#define NAME "listen_tcp6"
#include <arpa/inet.h>
#include <netinet/in.h>

#include "odd.h"

static void serve(const char *name, unsigned short port)
{
	struct sockaddr_in6 address = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	check(inet_pton(AF_INET6, name, &address.sin6_addr) == 1);
	int server = must(socket(AF_INET6, SOCK_STREAM, 0));
	must(bind(server, (struct sockaddr *)&address, sizeof address));
	must(listen(server, 1));
}

int main(void)
{
	serve("::", 6110);
	serve("::ffff:127.0.0.1", 6111);
	return 0;
}
