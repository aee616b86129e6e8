/* open(2), the call itself: the C library's open() calls openat(2).
 *
 * image: file read
 * image: file written
 * expect: open read
 * expect: write written
 */
#define NAME "open"
#include "odd.h"

int main(void)
{
	must(syscall(SYS_open, ODD("read"), O_RDONLY));
	must(syscall(SYS_open, ODD("written"), O_RDWR));
	refused(syscall(SYS_open, ODD("missing"), O_RDONLY), ENOENT);
	return 0;
}
