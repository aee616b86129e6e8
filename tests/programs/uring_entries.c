/* Entries of directories that are changed through an io_uring: no system call names them.
 *
 * since: 5.15
 * image: file removed
 * image: file old
 * image: file linked
 * image: dir emptied
 * partial[base]: io_uring
 * expect[fentry]: entry removed emptied old new made symbolic linked second
 * expect[fentry]: stat linked
 */
#define NAME "uring_entries"
#include "uring.h"

/* One entry with a name, and a second one where it takes two. */
static void change(int opcode, const char *name, const char *second, int flags)
{
	struct ring ring;
	ring_begin(&ring, 0);
	struct io_uring_sqe entry = { .opcode = opcode, .fd = AT_FDCWD };
	entry.addr = (unsigned long)name;
	entry.len = second && opcode != IORING_OP_SYMLINKAT ? (unsigned)AT_FDCWD : 0700;
	entry.off = (unsigned long)second;
	entry.unlink_flags = flags;
	if (opcode == IORING_OP_UNLINKAT || opcode == IORING_OP_SYMLINKAT)
		entry.len = 0;
	check(ring_do(&ring, &entry) == 0);
}

int main(void)
{
	change(IORING_OP_UNLINKAT, ODD("removed"), NULL, 0);
	change(IORING_OP_UNLINKAT, ODD("emptied"), NULL, AT_REMOVEDIR);
	change(IORING_OP_RENAMEAT, ODD("old"), ODD("new"), 0);
	change(IORING_OP_MKDIRAT, ODD("made"), NULL, 0);
	change(IORING_OP_SYMLINKAT, "anything", ODD("symbolic"), 0);
	change(IORING_OP_LINKAT, ODD("linked"), ODD("second"), 0);
	return 0;
}
