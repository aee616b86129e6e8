/* vfork(2) and execve(2): what the new program opens is its own.
 *
 * image: file data
 * image: hard child vfork_exec
 * expect: exec child
 * expect: open data
 */
#define NAME "vfork_exec"
#include "odd.h"

int main(int argc, char **argv)
{
	(void)argv;
	if (argc > 1) {
		must(open(ODD("data"), O_RDONLY));
		return 0;
	}
	pid_t child = must(vfork());
	if (child == 0) {
		execl(ODD("child"), "child", "argument", NULL);
		_exit(1);
	}
	reap(child);
	return 0;
}
