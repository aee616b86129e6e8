/* utimensat(2): through a link, of a link itself, and of a descriptor.
 *
 * image: file data
 * image: file held
 * image: symlink link data
 * image: symlink itself data
 * expect: hop link
 * expect: change data itself
 * expect: open held
 */
#define NAME "utimensat"
#include "odd.h"

int main(void)
{
	int held = must(open(ODD("held"), O_RDONLY));
	must(utimensat(AT_FDCWD, ODD("link"), NULL, 0));
	must(utimensat(AT_FDCWD, ODD("itself"), NULL, AT_SYMLINK_NOFOLLOW));
	must(futimens(held, NULL));
	return 0;
}
