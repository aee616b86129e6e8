/* openat through an io_uring that a kernel thread looks after: the process makes no system call for it.
 *
 * image: file data
 * partial[base]: io_uring
 * expect[fentry]: open data
 */
#define NAME "uring_polled"
#include "uring.h"

int main(void)
{
	struct ring ring;
	ring_begin(&ring, IORING_SETUP_SQPOLL);
	struct io_uring_sqe entry = { .opcode = IORING_OP_OPENAT, .fd = AT_FDCWD };
	entry.addr = (unsigned long)ODD("data");
	entry.open_flags = O_RDONLY;
	check(ring_do(&ring, &entry) >= 0);
	return 0;
}
