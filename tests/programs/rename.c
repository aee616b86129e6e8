/* rename(2) and renameat2(2) that exchanges: both names, and links themselves.
 *
 * image: file from
 * image: symlink link from
 * image: file left
 * image: file right
 * expect: entry from to link moved left right
 */
#define NAME "rename"
#include <linux/fs.h>

#include "odd.h"

int main(void)
{
	must(rename(ODD("link"), ODD("moved")));
	must(syscall(SYS_rename, ODD("from"), ODD("to")));
	must(syscall(SYS_renameat2, AT_FDCWD, ODD("left"), AT_FDCWD, ODD("right"), RENAME_EXCHANGE));
	return 0;
}
