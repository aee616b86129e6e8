/* `..` behind a symbolic link: the parent of what the link leads to, not of the link.
 *
 * image: file far/away/here
 * image: file far/data
 * image: file data
 * image: symlink link far/away
 * expect: hop link
 * expect: open far/data
 */
#define NAME "dotdot_past_link"
#include "odd.h"

int main(void)
{
	must(open(ODD("link/../data"), O_RDONLY));
	return 0;
}
