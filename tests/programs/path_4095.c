/* A name of 4095 bytes, which is the longest that the kernel takes, and one byte more.
 *
 * image: file {100*a_directory_with_a_rather_long_name/}data
 * expect: open {100*a_directory_with_a_rather_long_name/}data
 */
#define NAME "path_4095"
#include <limits.h>

#include "odd.h"

int main(void)
{
	static char name[PATH_MAX + 1] = ODD("");
	for (int i = 0; i < 100; i++)
		strcat(name, "a_directory_with_a_rather_long_name/");
	while (strlen(name) + strlen("./data") < PATH_MAX)
		strcat(name, "./");
	/* An even or an odd number of bytes is left for the last component. */
	strcat(name, strlen(name) + strlen("data") < PATH_MAX - 1 ? "/data" : "data");
	check(strlen(name) == PATH_MAX - 1);
	must(open(name, O_RDONLY));
	memmove(name + 1, name, PATH_MAX);
	check(strlen(name) == PATH_MAX);
	refused(open(name, O_RDONLY), ENAMETOOLONG);
	return 0;
}
