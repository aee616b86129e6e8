/* Names that fail because of what is there: a file as a directory, links in a circle, a directory to write to.
 *
 * image: file data
 * image: dir dir
 * image: symlink one two
 * image: symlink two one
 * expect: stat data
 * expect: write dir
 * expect: hop one two
 */
#define NAME "wrong_kinds"
#include "odd.h"

int main(void)
{
	refused(syscall(SYS_access, ODD("data/more"), R_OK), ENOTDIR);
	refused(open(ODD("dir"), O_WRONLY), EISDIR);
	refused(syscall(SYS_access, ODD("one"), R_OK), ELOOP);
	return 0;
}
