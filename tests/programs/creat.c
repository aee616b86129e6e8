/* creat(2) of a file of the image, and of a new one.
 *
 * image: file old
 * expect: write old new
 */
#define NAME "creat"
#include "odd.h"

int main(void)
{
	must(syscall(SYS_creat, ODD("old"), 0600));
	must(syscall(SYS_creat, ODD("new"), 0600));
	return 0;
}
