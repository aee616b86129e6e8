/* A name that passes three symbolic links: a relative one, an absolute one, and one made at run time.
 *
 * image: file real/data
 * image: symlink relative real
 * image: symlink absolute /odd/links_three/relative
 * expect: entry made
 * expect: hop made absolute relative
 * expect: open real/data
 */
#define NAME "links_three"
#include "odd.h"

int main(void)
{
	must(symlink("absolute", ODD("made")));
	must(open(ODD("made/data"), O_RDONLY));
	return 0;
}
