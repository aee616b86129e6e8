/* connect(2) to a file of the image that is no socket, and bind(2) to a name that is taken.
 *
 * image: file plain
 * image: file taken
 * expect: socket plain taken
 * socket: connect unix plain
 * socket: bind unix taken
 */
#define NAME "unix_refused"
#include <sys/socket.h>
#include <sys/un.h>

#include "odd.h"

int main(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = ODD("plain") };
	int any = must(socket(AF_UNIX, SOCK_STREAM, 0));
	refused(connect(any, (struct sockaddr *)&address, sizeof address), ECONNREFUSED);
	strcpy(address.sun_path, ODD("taken"));
	refused(bind(any, (struct sockaddr *)&address, sizeof address), EADDRINUSE);
	return 0;
}
