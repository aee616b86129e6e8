/* A component of 255 bytes, which is the longest that filesystems take.
 *
 * image: file {255*n}/{255*x}
 * expect: open {255*n}/{255*x}
 */
#define NAME "name_255"
#include <limits.h>

#include "odd.h"

int main(void)
{
	static char name[PATH_MAX] = ODD("");
	memset(name + strlen(name), 'n', 255);
	strcat(name, "/");
	memset(name + strlen(name), 'x', 255);
	must(open(name, O_RDONLY));
	return 0;
}
