/* Ports that the kernel chooses: when a socket is bound to port 0, and when it was not bound at all.
 *
 * since: 6.3
 * socket: bind inet 127.0.0.1:0
 * socket: listen inet 127.0.0.1:60001
 * protocol: tcp inet 127.0.0.1:60001
 * socket: listen inet 0.0.0.0:60002
 * protocol: tcp inet 0.0.0.0:60002
 */
#define NAME "listen_any_port"
#include "inet.h"
#include "odd.h"

/* include/uapi/linux/in.h (6.3) */
#define LOCAL_PORT_RANGE 51

/* A socket for which the kernel has this port to choose from. */
static int with_choice_of(unsigned int port)
{
	unsigned int range = port | port << 16;
	int server = must(socket(AF_INET, SOCK_STREAM, 0));
	must(setsockopt(server, IPPROTO_IP, LOCAL_PORT_RANGE, &range, sizeof range));
	return server;
}

int main(void)
{
	struct sockaddr_in address = local(0);
	int server = with_choice_of(60001);
	must(bind(server, (struct sockaddr *)&address, sizeof address));
	must(listen(server, 1));
	must(listen(with_choice_of(60002), 1));
	return 0;
}
