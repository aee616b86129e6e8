/* A directory that was opened before the program was executed: its names are the program's.
 *
 * image: file dir/data
 * image: hard child held_by_parent
 * expect: open dir dir/data
 * expect: exec child
 */
#define NAME "held_by_parent"
#include "odd.h"

int main(int argc, char **argv)
{
	char number[16];
	if (argc > 1) {
		must(openat(atoi(argv[1]), "data", O_RDONLY));
		return 0;
	}
	snprintf(number, sizeof number, "%d", (int)must(open(ODD("dir"), O_RDONLY | O_DIRECTORY)));
	must(execl(ODD("child"), "child", number, NULL));
	return 1;
}
