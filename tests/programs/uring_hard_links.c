/* One file by two names through an io_uring: the names are told apart though the file is the same.
 *
 * image: file first
 * image: hard second first
 * partial[base]: io_uring
 * expect[fentry]: open first second
 */
#define NAME "uring_hard_links"
#include "uring.h"

static void open_through(const char *name)
{
	struct ring ring;
	ring_begin(&ring, 0);
	struct io_uring_sqe entry = { .opcode = IORING_OP_OPENAT, .fd = AT_FDCWD };
	entry.addr = (unsigned long)name;
	entry.open_flags = O_RDONLY;
	check(ring_do(&ring, &entry) >= 0);
}

int main(void)
{
	open_through(ODD("first"));
	open_through(ODD("second"));
	return 0;
}
