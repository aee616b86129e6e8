/* connect through an io_uring to local sockets: one that is not there, which is no access, and a file that is none.
 *
 * image: file plain
 * partial[base]: io_uring
 * expect[fentry]: socket plain
 * expect[fentry]: stat plain
 * socket[fentry]: connect unix plain
 */
#define NAME "uring_refused"
#include <sys/socket.h>
#include <sys/un.h>

#include "uring.h"

static int connect_through(const char *name)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	strcpy(address.sun_path, name);
	struct ring ring;
	ring_begin(&ring, 0);
	struct io_uring_sqe entry = { .opcode = IORING_OP_CONNECT, .fd = must(socket(AF_UNIX, SOCK_STREAM, 0)) };
	entry.addr = (unsigned long)&address;
	entry.off = sizeof address;
	return ring_do(&ring, &entry);
}

int main(void)
{
	check(connect_through(ODD("absent")) == -ENOENT);
	check(connect_through(ODD("plain")) == -ECONNREFUSED);
	return 0;
}
