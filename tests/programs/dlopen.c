/* A program linked at run time that loads a library: loader, C library and the library itself.
 *
 * build: dynamic
 * image: library plugin.so
 * expect: interpreter ld-linux-x86-64.so.2
 * expect: open libc.so.6 plugin.so
 */
#define NAME "dlopen"
#include <dlfcn.h>

#include "odd.h"

#ifdef LIBRARY
int answer(void)
{
	return 42;
}
#else
int main(void)
{
	void *plugin = dlopen(ODD("plugin.so"), RTLD_NOW);
	if (!plugin)
		broken("dlopen", dlerror());
	int (*answer)(void) = (int (*)(void))dlsym(plugin, "answer");
	check(answer && answer() == 42);
	return 0;
}
#endif
