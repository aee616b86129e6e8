/* A descriptor that is opened again by its name in /proc, which is a link of another kind.
 *
 * image: file data
 * expect: open data /proc/self/fd/3
 */
#define NAME "reopened"
#include "odd.h"

int main(void)
{
	check(must(open(ODD("data"), O_PATH)) == 3);
	must(open("/proc/self/fd/3", O_RDONLY));
	return 0;
}
