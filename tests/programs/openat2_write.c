/* openat2(2) that creates a file, and one that may write to one.
 *
 * since: 5.6
 * image: file data
 * expect: write data made
 */
#define NAME "openat2_write"
#include <linux/openat2.h>

#include "odd.h"

int main(void)
{
	struct open_how how = { .flags = O_RDWR };
	must(syscall(SYS_openat2, AT_FDCWD, ODD("data"), &how, sizeof how));
	how.flags = O_WRONLY | O_CREAT;
	how.mode = 0600;
	must(syscall(SYS_openat2, AT_FDCWD, ODD("made"), &how, sizeof how));
	return 0;
}
