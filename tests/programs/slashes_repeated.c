/* Empty and `.` components.
 *
 * image: file dir/data
 * expect: open dir/data
 */
#define NAME "slashes_repeated"
#include "odd.h"

int main(void)
{
	must(open("//odd///" NAME "/.//dir/././/data", O_RDONLY));
	return 0;
}
