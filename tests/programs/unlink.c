/* Names of the image that are removed: a file, a link, an empty directory, and one that is not empty.
 *
 * image: file data
 * image: symlink link data
 * image: dir empty
 * image: file full/data
 * expect: entry data link empty full
 */
#define NAME "unlink"
#include "odd.h"

int main(void)
{
	must(unlink(ODD("link")));
	must(unlink(ODD("data")));
	must(unlinkat(AT_FDCWD, ODD("empty"), AT_REMOVEDIR));
	refused(rmdir(ODD("full")), ENOTEMPTY);
	return 0;
}
