/* connect through an io_uring.
 *
 * socket: bind inet 127.0.0.1:6107
 * socket: listen inet 127.0.0.1:6107
 * partial[base]: io_uring
 * socket[fentry]: connect inet 127.0.0.1:6107
 */
#define NAME "uring_connect"
#include "inet.h"
#include "uring.h"

int main(void)
{
	struct sockaddr_in address = local(6107);
	struct ring ring;
	int server = must(socket(AF_INET, SOCK_STREAM, 0)), client = must(socket(AF_INET, SOCK_STREAM, 0));
	must(bind(server, (struct sockaddr *)&address, sizeof address));
	must(listen(server, 1));
	ring_begin(&ring, 0);
	struct io_uring_sqe entry = { .opcode = IORING_OP_CONNECT, .fd = client };
	entry.addr = (unsigned long)&address;
	entry.off = sizeof address;
	check(ring_do(&ring, &entry) >= 0);
	return 0;
}
