/* Another owner and mode for a file: chown(2) needs one capability, chmod(2) of somebody else's file another.
 *
 * image: file given
 * expect: change given
 * capability: CAP_CHOWN CAP_FOWNER CAP_FSETID
 */
#define NAME "capability_files"
#include "odd.h"

int main(void)
{
	must(syscall(SYS_chown, ODD("given"), 1234, 1234));
	must(syscall(SYS_chmod, ODD("given"), 0600));
	return 0;
}
