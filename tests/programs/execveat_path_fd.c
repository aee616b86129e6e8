/* execveat(2) of an O_PATH descriptor, and of a name from a directory's descriptor.
 *
 * image: hard dir/program execveat_path_fd
 * image: hard dir/last execveat_path_fd
 * expect: open dir dir/program
 * expect: exec dir/program dir/last
 */
#define NAME "execveat_path_fd"
#include "odd.h"

int main(int argc, char **argv)
{
	char *const next[] = { NAME, "next", NULL }, *const last[] = { NAME, "next", "last", NULL };
	char *const environment[] = { NULL };
	(void)argv;
	if (argc == 1)
		must(execveat(must(open(ODD("dir/program"), O_PATH)), "", next, environment, AT_EMPTY_PATH));
	if (argc == 2)
		must(execveat(must(open(ODD("dir"), O_PATH)), "last", last, environment, 0));
	return 0;
}
