/* Runs the oddity programs one after the other and says on standard output how each ended.
 *
 *     driver NAME...                      in a container
 *     driver --jail ROOT PROCS NAME...    makes ROOT the root of a mount tree of its own, enters the cgroup whose
 *                                         cgroup.procs is PROCS, and executes itself there with --wait
 *     driver --wait NAME...               says that it is ready, and waits for a byte on standard input
 *
 * When all programs have ended it says so and stays: links that programs made can be followed only while somebody has the
 * root. With --wait it ends with its standard input.
 */
#include <linux/capability.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "odd.h"

/* What a program may take at most, in seconds, on an emulated machine too. */
#define PATIENCE 60

static void raise_loopback(void)
{
	struct ifreq request = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int any = must(socket(AF_INET, SOCK_DGRAM, 0));
	must(ioctl(any, SIOCSIFFLAGS, &request));
	close(any);
}

static void change_root(const char *root)
{
	must(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL));
	must(mount(root, root, NULL, MS_BIND, NULL));
	must(chdir(root));
	if (syscall(SYS_pivot_root, ".", ".") == 0) {
		/* The old root lies over the new one now. */
		must(umount2(".", MNT_DETACH));
	} else {
		/* An initial ramdisk cannot be turned away from. */
		must(mount(".", "/", NULL, MS_MOVE, NULL));
		must(chroot("."));
	}
	must(chdir("/"));
	must(mount("proc", "/proc", "proc", 0, NULL));
}

/* Executed anew, its executable is the one in the jail. */
static void enter_jail(char **argv)
{
	int cgroup = must(open(argv[3], O_WRONLY | O_CLOEXEC));
	must(unshare(CLONE_NEWNS | CLONE_NEWNET));
	raise_loopback();
	change_root(argv[2]);
	/* As in any container, there is something that nobody in it may do: what overlayfs asks for on behalf of whoever mounted
	 * it can be told from what the programs need. */
	must(prctl(PR_CAPBSET_DROP, CAP_SYS_BOOT, 0, 0, 0));
	must(write(cgroup, "0", 1));
	must(close_range(3, ~0U, 0));
	argv[3] = "--wait";
	argv[2] = "driver";
	must(execv("/odd/driver/driver", argv + 2));
}

static void run(char *name)
{
	char path[256];
	snprintf(path, sizeof path, "/odd/%s/%s", name, name);
	pid_t child = must(fork());
	if (child == 0) {
		alarm(PATIENCE);
		execl(path, name, NULL);
		broken(path, strerror(errno));
	}
	int status;
	/* Children of children that are gone come to the first process of a container. */
	while (must(wait(&status)) != child)
		;
	if (WIFSIGNALED(status))
		dprintf(1, "%s died %d\n", name, WTERMSIG(status));
	else
		dprintf(1, "%s exited %d\n", name, WEXITSTATUS(status));
}

int main(int argc, char **argv)
{
	int waits = argc > 1 && strcmp(argv[1], "--wait") == 0;
	char byte;

	if (argc > 3 && strcmp(argv[1], "--jail") == 0)
		enter_jail(argv);
	if (waits) {
		dprintf(1, "ready\n");
		must(read(0, &byte, 1));
	}
	for (int i = 1 + waits; i < argc; i++)
		run(argv[i]);
	dprintf(1, "done\n");
	while (!waits)
		pause();
	while (must(read(0, &byte, 1)) > 0)
		;
	return 0;
}
