/* Names that are no text: not UTF-8, with a line's end, a backslash, an escape, a space.
 *
 * image: file \xff\xfe/\xc3
 * image: file new\x0aline
 * image: file back\\slash
 * image: file \x1b[31m\x20\x22
 * image: symlink \x80 new\x0aline
 * expect: open \xff\xfe/\xc3 new\x0aline back\\slash
 * expect: stat \x1b[31m\x20\x22
 * expect: hop \x80
 */
#define NAME "name_bytes"
#include "odd.h"

int main(void)
{
	must(open(ODD("\xff\xfe/\xc3"), O_RDONLY));
	must(open(ODD("\x80"), O_RDONLY));
	must(open(ODD("back\\slash"), O_RDONLY));
	must(syscall(SYS_access, ODD("\x1b[31m \""), R_OK));
	return 0;
}
