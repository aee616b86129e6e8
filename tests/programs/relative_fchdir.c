/* Relative names after fchdir(2).
 *
 * image: file dir/data
 * expect: open dir dir/data
 */
#define NAME "relative_fchdir"
#include "odd.h"

int main(void)
{
	int dir = must(open(ODD("dir"), O_PATH | O_DIRECTORY));
	must(fchdir(dir));
	must(open("data", O_RDONLY));
	return 0;
}
