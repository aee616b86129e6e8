/* O_PATH: of a file, through a link, and of a link itself.
 *
 * image: file data
 * image: file target
 * image: symlink through target
 * image: symlink itself target
 * expect: open data target itself
 * expect: hop through
 */
#define NAME "open_path_only"
#include "odd.h"

int main(void)
{
	must(open(ODD("data"), O_PATH));
	must(open(ODD("through"), O_PATH));
	must(open(ODD("itself"), O_PATH | O_NOFOLLOW));
	return 0;
}
