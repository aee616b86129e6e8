/* readlink(2) and readlinkat(2): of links, of what is none, and of a descriptor.
 *
 * image: file data
 * image: symlink link data
 * image: symlink at data
 * image: symlink held data
 * expect: readlink link at data
 * expect: open . held
 */
#define NAME "readlink"
#include "odd.h"

int main(void)
{
	char target[64];
	int here = must(open("/odd/" NAME, O_RDONLY | O_DIRECTORY));
	int held = must(open(ODD("held"), O_PATH | O_NOFOLLOW));
	must(syscall(SYS_readlink, ODD("link"), target, sizeof target));
	must(readlinkat(here, "at", target, sizeof target));
	refused(readlinkat(here, "data", target, sizeof target), EINVAL);
	must(readlinkat(held, "", target, sizeof target));
	return 0;
}
