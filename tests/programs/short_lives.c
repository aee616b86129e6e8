/* Processes that live for well under a millisecond, each with a file of its own.
 *
 * image: file f{0..49}
 * expect: open f{0..49}
 */
#define NAME "short_lives"
#include "odd.h"

static void live(int number)
{
	char name[64];
	snprintf(name, sizeof name, ODD("f%d"), number);
	pid_t child = must(vfork());
	if (child == 0) {
		/* The stack is the parent's: nothing may be written there. */
		syscall(SYS_exit_group, syscall(SYS_open, name, O_RDONLY) < 0);
		__builtin_unreachable();
	}
	reap(child);
}

int main(void)
{
	for (int i = 0; i < 50; i++)
		live(i);
	return 0;
}
