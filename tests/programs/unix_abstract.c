/* Abstract socket names: bind(2) and connect(2); a name may have NULs in it, and ends with its length.
 *
 * socket: bind unix @slim\x00odd
 * socket: connect unix @slim\x00odd
 */
#define NAME "unix_abstract"
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "odd.h"

int main(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = "\0slim\0odd" };
	socklen_t length = offsetof(struct sockaddr_un, sun_path) + 9;
	int server = must(socket(AF_UNIX, SOCK_STREAM, 0)), client = must(socket(AF_UNIX, SOCK_STREAM, 0));
	must(bind(server, (struct sockaddr *)&address, length));
	must(listen(server, 1));
	must(connect(client, (struct sockaddr *)&address, length));
	return 0;
}
