/* openat(2) with a directory descriptor; an absolute name does not start there.
 *
 * image: file dir/data
 * image: file other
 * expect: open dir dir/data other
 */
#define NAME "openat_dirfd"
#include "odd.h"

int main(void)
{
	int dir = must(open(ODD("dir"), O_RDONLY | O_DIRECTORY));
	must(openat(dir, "data", O_RDONLY));
	must(openat(dir, ODD("other"), O_RDONLY));
	return 0;
}
