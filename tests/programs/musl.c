/* A program that is statically linked with musl.
 *
 * build: musl
 * image: file data
 * image: file looked
 * expect: open data
 * expect: stat looked
 */
#define NAME "musl"
#include "odd.h"

int main(void)
{
	struct stat found;
	must(open(ODD("data"), O_RDONLY));
	must(stat(ODD("looked"), &found));
	return 0;
}
