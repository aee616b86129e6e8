/* Relative names after chroot(2) and chdir(2): links among them start at the new root, and `..` ends there.
 *
 * image: file root/data
 * image: file root/looked
 * image: symlink root/dir/glance /looked
 * expect: chdir root root/dir
 * expect: hop root/dir/glance
 * expect: stat root/looked root/data
 * capability: CAP_SYS_CHROOT
 */
#define NAME "chroot_relative"
#include "odd.h"

int main(void)
{
	must(chroot(ODD("root")));
	must(chdir("/dir"));
	must(syscall(SYS_access, "glance", R_OK));
	must(syscall(SYS_access, "../../../data", R_OK));
	return 0;
}
