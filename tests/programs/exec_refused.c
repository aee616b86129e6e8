/* Executions that fail: of a file without the permission, of a directory, and of what no program is.
 *
 * image: file plain
 * image: dir dir
 * image: file text 755
 * expect: exec plain dir text
 */
#define NAME "exec_refused"
#include "odd.h"

int main(void)
{
	refused(execl(ODD("plain"), "plain", NULL), EACCES);
	refused(execl(ODD("dir"), "dir", NULL), EACCES);
	refused(execl(ODD("text"), "text", NULL), ENOEXEC);
	return 0;
}
