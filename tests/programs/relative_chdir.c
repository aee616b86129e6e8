/* Relative names after chdir(2), also through a link.
 *
 * image: file dir/data
 * image: file dir/sub/more
 * image: symlink link dir/sub
 * expect: chdir dir dir/sub
 * expect: hop link
 * expect: open dir/data dir/sub/more
 */
#define NAME "relative_chdir"
#include "odd.h"

int main(void)
{
	must(chdir(ODD("dir")));
	must(open("data", O_RDONLY));
	must(chdir("../link"));
	must(open("./more", O_RDONLY));
	must(open("../data", O_RDONLY));
	return 0;
}
