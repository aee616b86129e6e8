/* A mount namespace of its own with a directory bound over another one: nobody else can see that.
 *
 * image: file below/other
 * image: file above/data
 * expect: mount / above below
 * expect: open above/data
 * capability: CAP_SYS_ADMIN
 */
#define NAME "unshare_bind"
#include <sched.h>
#include <sys/mount.h>

#include "odd.h"

int main(void)
{
	must(unshare(CLONE_NEWNS));
	must(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL));
	must(mount(ODD("above"), ODD("below"), NULL, MS_BIND, NULL));
	must(open(ODD("below/data"), O_RDONLY));
	return 0;
}
