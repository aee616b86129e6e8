/* sendto(2) with an address: an internet one, and a socket file.
 *
 * expect: socket socket
 * socket: send inet 127.0.0.1:6103
 * socket: bind unix socket
 * socket: send unix socket
 */
#define NAME "sendto"
#include <sys/un.h>

#include "inet.h"
#include "odd.h"

int main(void)
{
	struct sockaddr_in address = local(6103);
	struct sockaddr_un name = { .sun_family = AF_UNIX, .sun_path = ODD("socket") };
	int udp = must(socket(AF_INET, SOCK_DGRAM, 0)), server = must(socket(AF_UNIX, SOCK_DGRAM, 0));
	must(sendto(udp, "x", 1, 0, (struct sockaddr *)&address, sizeof address));
	must(bind(server, (struct sockaddr *)&name, sizeof name));
	must(sendto(must(socket(AF_UNIX, SOCK_DGRAM, 0)), "x", 1, 0, (struct sockaddr *)&name, sizeof name));
	return 0;
}
