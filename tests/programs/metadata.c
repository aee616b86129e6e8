/* Modes and owners: the calls that follow a link and those that mean it.
 *
 * image: file mode
 * image: file owner
 * image: file at
 * image: symlink to_mode mode
 * image: symlink to_owner owner
 * image: symlink itself owner
 * image: symlink at_itself owner
 * expect: hop to_mode to_owner
 * expect: change mode owner at itself at_itself
 */
#define NAME "metadata"
#include "odd.h"

int main(void)
{
	must(syscall(SYS_chmod, ODD("to_mode"), 0600));
	must(syscall(SYS_fchmodat, AT_FDCWD, ODD("at"), 0600));
	must(syscall(SYS_chown, ODD("to_owner"), 0, 0));
	must(syscall(SYS_lchown, ODD("itself"), 0, 0));
	must(fchownat(AT_FDCWD, ODD("at_itself"), 0, 0, AT_SYMLINK_NOFOLLOW));
	return 0;
}
