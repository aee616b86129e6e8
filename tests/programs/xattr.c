/* getxattr(2), listxattr(2) and those that mean a link itself.
 *
 * image: file got
 * image: file listed
 * image: symlink to_got got
 * image: symlink lgot got
 * image: symlink llisted got
 * expect: hop to_got
 * expect: stat got listed lgot llisted
 * capability: CAP_SYS_ADMIN
 */
#define NAME "xattr"
#include <sys/xattr.h>

#include "odd.h"

int main(void)
{
	char room[256];
	check(getxattr(ODD("to_got"), "user.none", room, sizeof room) < 0 && (errno == ENODATA || errno == EOPNOTSUPP));
	must(listxattr(ODD("listed"), room, sizeof room));
	check(lgetxattr(ODD("lgot"), "trusted.none", room, sizeof room) < 0 && (errno == ENODATA || errno == EOPNOTSUPP));
	must(llistxattr(ODD("llisted"), room, sizeof room));
	return 0;
}
