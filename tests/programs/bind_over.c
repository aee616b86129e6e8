/* A directory of the image bound over another one: the name is of the one, the content of the other.
 *
 * image: file below/data
 * image: file above/data
 * image: file above/looked
 * expect: mount above below
 * expect: open above/data below/data
 * expect: stat above/looked below/looked
 * capability: CAP_SYS_ADMIN
 */
#define NAME "bind_over"
#include <sys/mount.h>

#include "odd.h"

int main(void)
{
	must(mount(ODD("above"), ODD("below"), NULL, MS_BIND, NULL));
	must(open(ODD("below/data"), O_RDONLY));
	must(syscall(SYS_access, ODD("below/looked"), R_OK));
	return 0;
}
