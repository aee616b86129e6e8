/* Directories that are listed, with both calls; the entries are not used by that.
 *
 * image: file old/data
 * image: file new/data
 * expect: open old new
 * expect: list old new
 */
#define NAME "getdents"
#include "odd.h"

int main(void)
{
	char room[1024];
	int old = must(open(ODD("old"), O_RDONLY | O_DIRECTORY)), new = must(open(ODD("new"), O_RDONLY | O_DIRECTORY));
	must(syscall(SYS_getdents, old, room, sizeof room));
	must(syscall(SYS_getdents64, new, room, sizeof room));
	return 0;
}
