/* What the oddity programs share: a step that does not go as it should ends the program with a message. */
#ifndef ODD_H
#define ODD_H
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

/* The directory of the program: absolute names are spelled ODD("name") after `#define NAME "program"`. */
#define ODD(name) "/odd/" NAME "/" name

static inline void broken(const char *step, const char *why)
{
	dprintf(2, "%s: %s: %s\n", program_invocation_short_name, step, why);
	_exit(1);
}

static inline long must_succeed(const char *step, long result)
{
	if (result < 0)
		broken(step, strerror(errno));
	return result;
}

static inline void must_fail(const char *step, long result, int with)
{
	if (result >= 0)
		broken(step, "succeeded");
	if (errno != with)
		broken(step, strerror(errno));
}

/* The result of a call that must succeed. */
#define must(call) must_succeed(#call, (long)(call))
/* A call that must fail with this error. */
#define refused(call, error) must_fail(#call, (long)(call), error)
/* Something that must hold. */
#define check(condition) ((condition) ? (void)0 : broken(#condition, "does not hold"))

/* Goes to the directory of the program. Programs start in the root. */
#define go_home() must(chdir("/odd/" NAME))

/* Waits for a child that must exit with 0. */
static inline void reap(pid_t child)
{
	int status;
	must(waitpid(child, &status, 0));
	check(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}
#endif
