/* execve(2) of a relative name, after chdir(2) and through a link; what the new program opens starts there, too.
 *
 * image: file dir/data
 * image: hard dir/real exec_relative
 * image: symlink dir/program real
 * expect: chdir dir
 * expect: hop dir/program
 * expect: exec dir/real
 * expect: open dir/data
 */
#define NAME "exec_relative"
#include "odd.h"

int main(int argc, char **argv)
{
	(void)argv;
	if (argc > 1) {
		must(open("data", O_RDONLY));
		return 0;
	}
	must(chdir(ODD("dir")));
	must(execl("./program", "program", "argument", NULL));
	return 1;
}
