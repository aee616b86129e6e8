/* statfs(2) and statvfs(3), through a link.
 *
 * image: file data
 * image: symlink link data
 * expect: hop link
 * expect: stat data
 */
#define NAME "statfs"
#include <sys/vfs.h>

#include "odd.h"

int main(void)
{
	struct statfs found;
	must(statfs(ODD("link"), &found));
	return 0;
}
