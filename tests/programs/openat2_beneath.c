/* openat2(2) with RESOLVE_BENEATH: a relative name from a descriptor, and one that would leave it.
 *
 * since: 5.6
 * image: file dir/data
 * image: symlink dir/link data
 * expect: open dir dir/data
 * expect: hop dir/link
 */
#define NAME "openat2_beneath"
#include "openat2.h"

int main(void)
{
	int dir = must(open(ODD("dir"), O_RDONLY | O_DIRECTORY));
	must(open_how(dir, "link", O_RDONLY, RESOLVE_BENEATH));
	refused(open_how(dir, "missing", O_RDONLY, RESOLVE_BENEATH), ENOENT);
	return 0;
}
