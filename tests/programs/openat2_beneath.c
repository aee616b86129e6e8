/* openat2(2) with RESOLVE_BENEATH: a relative name from a descriptor, and one that would leave it.
 *
 * since: 5.6
 * image: file dir/data
 * image: symlink dir/link data
 * expect: open dir dir/data
 * expect: hop dir/link
 */
#define NAME "openat2_beneath"
#include <linux/openat2.h>

#include "odd.h"

static long open_how(int dir, const char *name, unsigned long flags, unsigned long resolve)
{
	struct open_how how = { .flags = flags, .resolve = resolve };
	return syscall(SYS_openat2, dir, name, &how, sizeof how);
}

int main(void)
{
	int dir = must(open(ODD("dir"), O_RDONLY | O_DIRECTORY));
	must(open_how(dir, "link", O_RDONLY, RESOLVE_BENEATH));
	refused(open_how(dir, "missing", O_RDONLY, RESOLVE_BENEATH), ENOENT);
	return 0;
}
