/* A tmpfs over a directory of the image.
 *
 * image: file over/data
 * expect: mount over
 * expect: write over/made
 * expect: stat over/made
 * capability: CAP_SYS_ADMIN
 */
#define NAME "tmpfs_over"
#include <sys/mount.h>

#include "odd.h"

int main(void)
{
	must(mount("none", ODD("over"), "tmpfs", 0, NULL));
	must(open(ODD("over/made"), O_WRONLY | O_CREAT, 0600));
	must(syscall(SYS_access, ODD("over/made"), R_OK));
	refused(syscall(SYS_access, ODD("over/data"), R_OK), ENOENT);
	return 0;
}
