/* connect(2) that answers EINPROGRESS.
 *
 * socket: bind inet 127.0.0.1:6102
 * socket: listen inet 127.0.0.1:6102
 * socket: connect inet 127.0.0.1:6102
 * protocol: tcp inet 127.0.0.1:6102
 */
#define NAME "connect_nonblocking"
#include "inet.h"
#include "odd.h"

int main(void)
{
	struct sockaddr_in address = local(6102);
	int server = must(socket(AF_INET, SOCK_STREAM, 0)), client = must(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
	must(bind(server, (struct sockaddr *)&address, sizeof address));
	must(listen(server, 1));
	refused(connect(client, (struct sockaddr *)&address, sizeof address), EINPROGRESS);
	return 0;
}
