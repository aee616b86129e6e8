/* A file that is mapped and read after its descriptor was closed.
 *
 * image: file data
 * expect: open data
 */
#define NAME "mmap_after_close"
#include <sys/mman.h>

#include "odd.h"

int main(void)
{
	int file = must(open(ODD("data"), O_RDONLY));
	const char *content = mmap(NULL, 1, PROT_READ, MAP_PRIVATE, file, 0);
	check(content != MAP_FAILED);
	close(file);
	check(content[0] == 'c');
	return 0;
}
