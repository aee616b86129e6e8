/* openat2(2) with RESOLVE_NO_SYMLINKS and with O_NOFOLLOW: a link is met, and not followed.
 *
 * since: 5.6
 * image: file data
 * image: file target
 * image: symlink link target
 * image: symlink last target
 * expect: open data link last
 */
#define NAME "openat2_no_symlinks"
#include "openat2.h"

int main(void)
{
	must(open_how(AT_FDCWD, ODD("data"), O_RDONLY, RESOLVE_NO_SYMLINKS));
	refused(open_how(AT_FDCWD, ODD("link"), O_RDONLY, RESOLVE_NO_SYMLINKS), ELOOP);
	refused(open_how(AT_FDCWD, ODD("last"), O_RDONLY | O_NOFOLLOW, 0), ELOOP);
	return 0;
}
