/* openat2(2), which C libraries have no function for. */
#ifndef OPENAT2_H
#define OPENAT2_H
#include <linux/openat2.h>

#include "odd.h"

static long open_how(int dir, const char *name, unsigned long flags, unsigned long resolve)
{
	struct open_how how = { .flags = flags, .resolve = resolve };
	return syscall(SYS_openat2, dir, name, &how, sizeof how);
}
#endif
