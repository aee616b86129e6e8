/* truncate(2) through a link.
 *
 * image: file data
 * image: symlink link data
 * expect: hop link
 * expect: write data
 */
#define NAME "truncate"
#include "odd.h"

int main(void)
{
	must(truncate(ODD("link"), 1));
	return 0;
}
