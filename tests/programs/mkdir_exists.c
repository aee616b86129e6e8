/* mkdir(2) of what is there, which `mkdir -p` relies on.
 *
 * image: dir dir
 * image: file data
 * image: symlink link dir
 * expect: entry dir data link
 */
#define NAME "mkdir_exists"
#include "odd.h"

int main(void)
{
	refused(mkdir(ODD("dir"), 0700), EEXIST);
	refused(mkdir(ODD("data"), 0700), EEXIST);
	refused(mkdir(ODD("link"), 0700), EEXIST);
	return 0;
}
