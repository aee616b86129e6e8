/* AT_EMPTY_PATH: the descriptor itself, which was opened before.
 *
 * image: file data
 * image: file dir/inside
 * expect: open data dir
 * expect: stat dir/inside
 */
#define NAME "stat_empty_path"
#include "odd.h"

int main(void)
{
	struct stat found;
	struct statx more;
	int file = must(open(ODD("data"), O_PATH)), dir = must(open(ODD("dir"), O_PATH));
	must(syscall(SYS_newfstatat, file, "", &found, AT_EMPTY_PATH));
	must(statx(file, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &more));
	must(statx(dir, "inside", AT_EMPTY_PATH, STATX_BASIC_STATS, &more));
	return 0;
}
