/* A script whose interpreter is a script.
 *
 * image: script outer /odd/exec_script_chain/inner
 * image: script inner /odd/exec_script_chain/exec_script_chain
 * expect: exec outer
 * expect: interpreter inner exec_script_chain
 */
#define NAME "exec_script_chain"
#include "odd.h"

int main(int argc, char **argv)
{
	(void)argv;
	if (argc == 1)
		must(execl(ODD("outer"), "outer", "argument", NULL));
	return 0;
}
