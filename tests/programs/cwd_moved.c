/* Relative names in a working directory that was moved. Overlayfs moves only directories made at run time.
 *
 * expect: entry dir moved
 * expect: write dir/data
 * expect: chdir dir
 * expect: open moved/data
 * expect: stat moved/data
 */
#define NAME "cwd_moved"
#include "odd.h"

int main(void)
{
	must(mkdir(ODD("dir"), 0700));
	must(open(ODD("dir/data"), O_WRONLY | O_CREAT, 0600));
	must(chdir(ODD("dir")));
	must(rename(ODD("dir"), ODD("moved")));
	must(open("data", O_RDONLY));
	must(syscall(SYS_access, "data", R_OK));
	return 0;
}
