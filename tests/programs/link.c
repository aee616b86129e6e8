/* link(2) and linkat(2): of a file, of a link itself, and of what a link leads to.
 *
 * image: file data
 * image: file target
 * image: symlink itself target
 * image: symlink through target
 * expect: entry data twin itself itself_too target target_too
 * expect: hop through
 */
#define NAME "link"
#include "odd.h"

int main(void)
{
	must(syscall(SYS_link, ODD("data"), ODD("twin")));
	must(linkat(AT_FDCWD, ODD("itself"), AT_FDCWD, ODD("itself_too"), 0));
	must(linkat(AT_FDCWD, ODD("through"), AT_FDCWD, ODD("target_too"), AT_SYMLINK_FOLLOW));
	return 0;
}
