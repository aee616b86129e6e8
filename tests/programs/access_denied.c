/* Looks and opens that fail with EACCES: they prove that something is there.
 *
 * image: file looked 600
 * image: file looked_at 600
 * image: file opened 600
 * image: file plain 600
 * image: file closed/data
 * image: dir shut 700
 * image: file shut/data
 * expect: stat looked looked_at plain shut/data
 * expect: open opened
 * capability: CAP_SETUID
 */
#define NAME "access_denied"
#include "odd.h"

int main(void)
{
	must(setresuid(65534, 65534, 65534));
	refused(syscall(SYS_access, ODD("looked"), R_OK), EACCES);
	refused(syscall(SYS_faccessat, AT_FDCWD, ODD("plain"), R_OK), EACCES);
	if (syscall(SYS_faccessat2, AT_FDCWD, ODD("looked_at"), R_OK, AT_EACCESS) == 0 || errno != EACCES)
		broken("faccessat2", strerror(errno));
	refused(open(ODD("opened"), O_RDONLY), EACCES);
	refused(syscall(SYS_access, ODD("shut/data"), R_OK), EACCES);
	return 0;
}
