/* stat(2), lstat(2), fstatat(2), statx(2): each with a file and a link.
 *
 * image: file stat
 * image: file fstatat
 * image: file statx
 * image: symlink to_stat stat
 * image: symlink lstat stat
 * image: symlink to_fstatat fstatat
 * image: symlink fstatat_itself fstatat
 * image: symlink to_statx statx
 * image: symlink statx_itself statx
 * expect: hop to_stat to_fstatat to_statx
 * expect: stat stat fstatat statx lstat fstatat_itself statx_itself
 */
#define NAME "stat_family"
#include "odd.h"

int main(void)
{
	struct stat found;
	struct statx more;
	must(syscall(SYS_stat, ODD("to_stat"), &found));
	must(syscall(SYS_lstat, ODD("lstat"), &found));
	must(syscall(SYS_newfstatat, AT_FDCWD, ODD("to_fstatat"), &found, 0));
	must(syscall(SYS_newfstatat, AT_FDCWD, ODD("fstatat_itself"), &found, AT_SYMLINK_NOFOLLOW));
	must(statx(AT_FDCWD, ODD("to_statx"), 0, STATX_BASIC_STATS, &more));
	must(statx(AT_FDCWD, ODD("statx_itself"), AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, &more));
	return 0;
}
