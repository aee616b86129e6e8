/* execveat(2) of a file in memory: the program has no path, what it opens has. For a page of that file the kernel
 * asks for CAP_SYS_ADMIN, which only the tracepoint tells: before Linux 6.14 the question is compiled in.
 *
 * image: file data
 * expect: open execveat_memfd data
 * capability[base]: CAP_SYS_ADMIN
 */
#define NAME "execveat_memfd"
#include <sys/mman.h>
#include <sys/sendfile.h>

#include "odd.h"

int main(int argc, char **argv)
{
	char *const arguments[] = { NAME, "again", NULL }, *const environment[] = { NULL };
	if (argc > 1) {
		check(strcmp(argv[1], "again") == 0);
		must(open(ODD("data"), O_RDONLY));
		return 0;
	}
	int from = must(open(ODD("execveat_memfd"), O_RDONLY)), to = must(memfd_create("program", MFD_CLOEXEC));
	while (must(sendfile(to, from, NULL, 1 << 20)) > 0)
		;
	must(execveat(to, "", arguments, environment, AT_EMPTY_PATH));
	return 1;
}
