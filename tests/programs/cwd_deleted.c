/* Relative names in a working directory that was removed.
 *
 * image: file data
 * expect: entry dir
 * expect: chdir dir
 * expect: stat .
 * expect: open data
 */
#define NAME "cwd_deleted"
#include "odd.h"

int main(void)
{
	must(mkdir(ODD("dir"), 0700));
	must(chdir(ODD("dir")));
	must(rmdir(ODD("dir")));
	refused(open("data", O_RDONLY), ENOENT);
	must(syscall(SYS_access, "..", X_OK));
	must(open("../data", O_RDONLY));
	return 0;
}
