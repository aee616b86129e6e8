/* open_by_handle_at(2): no name at all. Overlayfs gives no handles, so that a container opens the file by its name; a
 * root on another filesystem (the run in a bare cgroup) proves the call.
 *
 * image: file data
 * expect: open . data
 * expect: stat data
 * capability: CAP_DAC_READ_SEARCH
 */
#define NAME "open_by_handle"
#include "odd.h"

int main(void)
{
	struct {
		struct file_handle handle;
		unsigned char room[MAX_HANDLE_SZ];
	} file = { .handle = { .handle_bytes = MAX_HANDLE_SZ } };
	int mount, here = must(open("/odd/" NAME, O_RDONLY | O_DIRECTORY));
	if (name_to_handle_at(AT_FDCWD, ODD("data"), &file.handle, &mount, 0) == 0) {
		must(open_by_handle_at(here, &file.handle, O_RDONLY));
	} else {
		check(errno == EOPNOTSUPP);
		/* Who may is asked first. */
		check(open_by_handle_at(here, &file.handle, O_RDONLY) < 0);
		must(open(ODD("data"), O_RDONLY));
	}
	return 0;
}
