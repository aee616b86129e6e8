/* A script whose interpreter is a symbolic link.
 *
 * image: script run /odd/exec_script_link/shell
 * image: symlink shell exec_script_link
 * expect: exec run
 * expect: hop shell
 * expect: interpreter exec_script_link
 */
#define NAME "exec_script_link"
#include "odd.h"

int main(int argc, char **argv)
{
	(void)argv;
	if (argc == 1)
		must(execl(ODD("run"), "run", "argument", NULL));
	return 0;
}
