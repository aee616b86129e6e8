/* inotify_add_watch(2): a directory, through a link, and a link itself.
 *
 * image: dir dir
 * image: file data
 * image: file other
 * image: symlink link data
 * image: symlink itself other
 * expect: watch dir data itself
 * expect: hop link
 */
#define NAME "inotify"
#include <sys/inotify.h>

#include "odd.h"

int main(void)
{
	int watch = must(inotify_init1(0));
	must(inotify_add_watch(watch, ODD("dir"), IN_CREATE));
	must(inotify_add_watch(watch, ODD("link"), IN_OPEN));
	must(inotify_add_watch(watch, ODD("itself"), IN_OPEN | IN_DONT_FOLLOW));
	return 0;
}
