/* Memory and processes: the kernel asks for CAP_SYS_ADMIN to know how much memory it may promise. Nobody needs it.
 */
#define NAME "capability_memory"
#include <pthread.h>
#include <sys/mman.h>

#include "odd.h"

static void *nothing(void *with)
{
	return with;
}

int main(void)
{
	size_t size = 1 << 20;
	pthread_t thread;
	char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	check(memory != MAP_FAILED);
	memset(memory, 1, size);
	must(mprotect(memory, size, PROT_READ));
	check(mremap(memory, size, 2 * size, MREMAP_MAYMOVE) != MAP_FAILED);
	check(sbrk(size) != (void *)-1);
	check(pthread_create(&thread, NULL, nothing, NULL) == 0 && pthread_join(thread, NULL) == 0);
	pid_t child = must(fork());
	if (child == 0)
		return 0;
	reap(child);
	return 0;
}
