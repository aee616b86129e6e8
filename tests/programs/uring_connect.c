/* connect through an io_uring.
 *
 * socket: bind inet 127.0.0.1:6107
 * partial[base]: io_uring
 * socket[fentry]: connect inet 127.0.0.1:6107
 */
#define NAME "uring_connect"
#include <arpa/inet.h>
#include <netinet/in.h>

#include "uring.h"

int main(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(6107) };
	struct ring ring;
	int server = must(socket(AF_INET, SOCK_STREAM, 0)), client = must(socket(AF_INET, SOCK_STREAM, 0));
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	must(bind(server, (struct sockaddr *)&address, sizeof address));
	must(listen(server, 1));
	ring_begin(&ring, 0);
	struct io_uring_sqe entry = { .opcode = IORING_OP_CONNECT, .fd = client };
	entry.addr = (unsigned long)&address;
	entry.off = sizeof address;
	check(ring_do(&ring, &entry) >= 0);
	return 0;
}
