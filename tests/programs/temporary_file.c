/* O_TMPFILE: the directory is named, the file has no name. Overlayfs, which containers lie on, can do it since
 * Linux 6.10.
 *
 * since: 6.10
 * image: dir dir
 * expect: write dir
 */
#define NAME "temporary_file"
#include "odd.h"

int main(void)
{
	must(open(ODD("dir"), O_TMPFILE | O_RDWR, 0600));
	return 0;
}
