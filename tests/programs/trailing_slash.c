/* A slash at the end: the link is followed even where it would be meant itself.
 *
 * image: dir opened
 * image: dir looked
 * image: dir made
 * image: symlink open opened
 * image: symlink look looked
 * expect: hop open look
 * expect: open opened
 * expect: stat looked
 * expect: entry made
 */
#define NAME "trailing_slash"
#include "odd.h"

int main(void)
{
	struct stat found;
	must(open(ODD("open/"), O_RDONLY));
	must(syscall(SYS_lstat, ODD("look/"), &found));
	check(S_ISDIR(found.st_mode));
	refused(mkdir(ODD("made/"), 0700), EEXIST);
	return 0;
}
