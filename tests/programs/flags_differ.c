/* The same call with the same name and other flags: once the link itself is meant, then what it leads to.
 *
 * image: file target
 * image: file data
 * image: symlink link target
 * expect: stat link target
 * expect: hop link
 * expect: open data
 * expect: write data
 */
#define NAME "flags_differ"
#include "odd.h"

int main(void)
{
	struct stat found;
	must(syscall(SYS_newfstatat, AT_FDCWD, ODD("link"), &found, AT_SYMLINK_NOFOLLOW));
	must(syscall(SYS_newfstatat, AT_FDCWD, ODD("link"), &found, 0));
	must(open(ODD("data"), O_RDONLY));
	must(open(ODD("data"), O_RDWR));
	return 0;
}
