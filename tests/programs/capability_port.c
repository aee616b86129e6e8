/* A port below 1024, where the network has no other rule.
 *
 * socket: bind inet 0.0.0.0:80
 * socket: listen inet 0.0.0.0:80
 * protocol: tcp inet 0.0.0.0:80
 * capability: CAP_NET_BIND_SERVICE CAP_SYS_ADMIN
 */
#define NAME "capability_port"
#include <netinet/in.h>
#include <sched.h>

#include "odd.h"

int main(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(80) };
	/* An engine lets everybody use all ports of the network that it makes. */
	must(unshare(CLONE_NEWNET));
	int server = must(socket(AF_INET, SOCK_STREAM, 0));
	must(bind(server, (struct sockaddr *)&address, sizeof address));
	must(listen(server, 1));
	return 0;
}
