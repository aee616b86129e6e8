/* openat2(2) that creates a file, and one that may write to one.
 *
 * since: 5.6
 * image: file data
 * expect: write data made
 */
#define NAME "openat2_write"
#include "openat2.h"

int main(void)
{
	must(open_how(AT_FDCWD, ODD("data"), O_RDWR, 0));
	must(open_how(AT_FDCWD, ODD("made"), O_WRONLY | O_CREAT, 0));
	return 0;
}
