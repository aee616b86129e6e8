/* statx through an io_uring.
 *
 * image: file data
 * partial[base]: io_uring
 * expect[fentry]: stat data
 */
#define NAME "uring_statx"
#include "uring.h"

int main(void)
{
	struct statx found;
	struct ring ring;
	ring_begin(&ring, 0);
	struct io_uring_sqe entry = { .opcode = IORING_OP_STATX, .fd = AT_FDCWD };
	entry.addr = (unsigned long)ODD("data");
	entry.len = STATX_SIZE;
	entry.off = (unsigned long)&found;
	check(ring_do(&ring, &entry) >= 0);
	check(found.stx_size == 8);
	return 0;
}
