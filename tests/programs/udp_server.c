/* A port for UDP and for TCP, as name servers have it: no listen(2) tells of the first, a bound socket is all there is.
 *
 * socket: bind inet 127.0.0.1:6112
 * socket: listen inet 127.0.0.1:6112
 * protocol: udp inet 127.0.0.1:6112
 * protocol: tcp inet 127.0.0.1:6112
 */
#define NAME "udp_server"
#include "inet.h"
#include "odd.h"

int main(void)
{
	struct sockaddr_in address = local(6112);
	int udp = must(socket(AF_INET, SOCK_DGRAM, 0)), tcp = must(socket(AF_INET, SOCK_STREAM, 0));
	must(bind(udp, (struct sockaddr *)&address, sizeof address));
	refused(listen(udp, 1), EOPNOTSUPP);
	must(bind(tcp, (struct sockaddr *)&address, sizeof address));
	must(listen(tcp, 1));
	return 0;
}
