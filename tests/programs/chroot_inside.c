/* chroot(2) inside the container: absolute names and links start there, and `..` ends there.
 *
 * image: file root/data
 * image: file root/looked
 * image: symlink root/link /data
 * image: symlink root/glance /looked
 * expect: chdir root
 * expect: hop root/link root/glance
 * expect: open root/data
 * expect: stat root/looked root/data
 * capability: CAP_SYS_CHROOT
 */
#define NAME "chroot_inside"
#include "odd.h"

int main(void)
{
	must(chroot(ODD("root")));
	must(open("/link", O_RDONLY));
	must(syscall(SYS_access, "/glance", R_OK));
	must(syscall(SYS_access, "/../../data", R_OK));
	return 0;
}
