/* A file under two names: each is what was asked for.
 *
 * image: file one
 * image: hard two one
 * image: hard three one
 * expect: open one two
 */
#define NAME "hard_links"
#include "odd.h"

int main(void)
{
	must(open(ODD("one"), O_RDONLY));
	must(open(ODD("two"), O_RDONLY));
	return 0;
}
