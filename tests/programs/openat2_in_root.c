/* openat2(2) with RESOLVE_IN_ROOT: absolute names and links start at the descriptor, and `..` ends there.
 *
 * since: 5.6
 * image: file root/data
 * image: symlink root/link /data
 * expect: open root root/data
 * expect: hop root/link
 */
#define NAME "openat2_in_root"
#include "openat2.h"

int main(void)
{
	int root = must(open(ODD("root"), O_RDONLY | O_DIRECTORY));
	must(open_how(root, "/link", O_RDONLY, RESOLVE_IN_ROOT));
	must(open_how(root, "../../data", O_RDONLY, RESOLVE_IN_ROOT));
	return 0;
}
