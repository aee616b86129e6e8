/* A message with an address through an io_uring.
 *
 * partial[base]: io_uring
 * socket[fentry]: send inet 127.0.0.1:6113
 */
#define NAME "uring_send"
#include "inet.h"
#include "uring.h"

int main(void)
{
	struct sockaddr_in address = local(6113);
	struct iovec text = { "x", 1 };
	struct msghdr message = { .msg_name = &address, .msg_namelen = sizeof address, .msg_iov = &text, .msg_iovlen = 1 };
	struct ring ring;
	int client = must(socket(AF_INET, SOCK_DGRAM, 0));
	ring_begin(&ring, 0);
	struct io_uring_sqe entry = { .opcode = IORING_OP_SENDMSG, .fd = client };
	entry.addr = (unsigned long)&message;
	entry.len = 1;
	check(ring_do(&ring, &entry) == 1);
	return 0;
}
