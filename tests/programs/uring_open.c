/* openat through an io_uring: it never passes a system call of that name.
 *
 * image: file data
 * partial[base]: io_uring
 * expect[fentry]: open data
 */
#define NAME "uring_open"
#include "uring.h"

int main(void)
{
	struct ring ring;
	ring_begin(&ring, 0);
	struct io_uring_sqe entry = { .opcode = IORING_OP_OPENAT, .fd = AT_FDCWD };
	entry.addr = (unsigned long)ODD("data");
	entry.open_flags = O_RDONLY;
	check(ring_do(&ring, &entry) >= 0);
	return 0;
}
