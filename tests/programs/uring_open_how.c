/* openat2 through an io_uring, from a directory's descriptor.
 *
 * image: file dir/data
 * expect: open dir
 * partial[base]: io_uring
 * expect[fentry]: open dir/data
 */
#define NAME "uring_open_how"
#include <linux/openat2.h>

#include "uring.h"

int main(void)
{
	struct open_how how = { .flags = O_RDONLY, .resolve = RESOLVE_BENEATH };
	struct ring ring;
	int dir = must(open(ODD("dir"), O_RDONLY | O_DIRECTORY));
	ring_begin(&ring, 0);
	struct io_uring_sqe entry = { .opcode = IORING_OP_OPENAT2, .fd = dir };
	entry.addr = (unsigned long)"data";
	entry.len = sizeof how;
	entry.off = (unsigned long)&how;
	check(ring_do(&ring, &entry) >= 0);
	return 0;
}
