/* Another user: the capabilities that it takes are there, and all of them are gone with it.
 *
 * image: file data
 * expect: change data
 * capability: CAP_SETGID CAP_SETUID
 * lacks: CAP_CHOWN
 */
#define NAME "capability_ids"
#include <grp.h>

#include "odd.h"

int main(void)
{
	must(setgroups(0, NULL));
	must(setgid(1234));
	must(setuid(1234));
	refused(syscall(SYS_chown, ODD("data"), 1234, 1234), EPERM);
	return 0;
}
