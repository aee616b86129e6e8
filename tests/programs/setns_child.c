/* setns(2) into the mount namespace of a child, where a tmpfs lies over a directory of the image.
 *
 * since: 5.8
 * image: file data
 * image: file over/hidden
 * expect: mount over
 * expect: write over/inner
 * expect: open data over/inner
 * capability: CAP_SYS_ADMIN CAP_SYS_CHROOT
 */
#define NAME "setns_child"
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>

#include "odd.h"

int main(void)
{
	int ready[2];
	char byte;
	must(pipe(ready));
	pid_t child = must(fork());
	if (child == 0) {
		must(unshare(CLONE_NEWNS));
		must(mount("none", ODD("over"), "tmpfs", 0, NULL));
		must(open(ODD("over/inner"), O_WRONLY | O_CREAT, 0600));
		must(write(ready[1], "", 1));
		/* Busy with a call that is made anyway, until it is killed: what it would block in is a matter of time. */
		for (;;)
			(void)!write(-1, "", 0);
	}
	check(read(ready[0], &byte, 1) == 1);
	must(setns(must(syscall(SYS_pidfd_open, child, 0)), CLONE_NEWNS));
	must(kill(child, SIGKILL));
	must(open(ODD("data"), O_RDONLY));
	must(open(ODD("over/inner"), O_RDONLY));
	refused(open(ODD("over/hidden"), O_RDONLY), ENOENT);
	return 0;
}
