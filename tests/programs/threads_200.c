/* Two hundred threads that open a file each at the same time.
 *
 * image: file f{0..199}
 * expect: open f{0..199}
 */
#define NAME "threads_200"
#include <pthread.h>

#include "odd.h"

#define THREADS 200

static pthread_barrier_t barrier;

static void *open_own(void *number)
{
	char name[64];
	snprintf(name, sizeof name, ODD("f%ld"), (long)number);
	pthread_barrier_wait(&barrier);
	must(open(name, O_RDONLY));
	return NULL;
}

int main(void)
{
	pthread_t threads[THREADS];
	pthread_attr_t small;
	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, 64 << 10);
	pthread_barrier_init(&barrier, NULL, THREADS);
	for (long i = 0; i < THREADS; i++)
		check(pthread_create(&threads[i], &small, open_own, (void *)i) == 0);
	for (int i = 0; i < THREADS; i++)
		check(pthread_join(threads[i], NULL) == 0);
	return 0;
}
