/* A link to what is not there: looked at in vain, then the file is made through it.
 *
 * image: symlink link dir/made
 * image: dir dir
 * expect: hop link
 * expect: write dir/made
 */
#define NAME "dangling_link"
#include "odd.h"

int main(void)
{
	refused(syscall(SYS_access, ODD("link"), R_OK), ENOENT);
	must(open(ODD("link"), O_WRONLY | O_CREAT, 0600));
	return 0;
}
