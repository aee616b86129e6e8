/* Sixteen generations, each of which is gone before the next does anything; the last opens a file.
 *
 * image: file data
 * expect: open data
 */
#define NAME "fork_chain"
#include "odd.h"

int main(void)
{
	int alive[2], ended[2];
	char byte;
	must(pipe(ended));
	for (int generation = 0; generation < 16; generation++) {
		must(pipe(alive));
		pid_t child = must(fork());
		if (child != 0 && generation == 0) {
			close(ended[1]);
			/* The last one tells; what it does not tell did not go as it should. */
			check(read(ended[0], &byte, 1) == 1);
			return 0;
		}
		if (child != 0)
			_exit(0);
		/* The parent is gone when its end of the pipe is. */
		close(alive[1]);
		if (generation > 0)
			check(read(alive[0], &byte, 1) == 0);
		close(alive[0]);
	}
	must(open(ODD("data"), O_RDONLY));
	must(write(ended[1], "", 1));
	return 0;
}
