/* O_CREAT | O_EXCL of what is there: a link is not followed.
 *
 * image: file data
 * image: file target
 * image: symlink link target
 * expect: write data link
 */
#define NAME "exclusive_exists"
#include "odd.h"

int main(void)
{
	refused(open(ODD("data"), O_WRONLY | O_CREAT | O_EXCL, 0600), EEXIST);
	refused(open(ODD("link"), O_WRONLY | O_CREAT | O_EXCL, 0600), EEXIST);
	return 0;
}
