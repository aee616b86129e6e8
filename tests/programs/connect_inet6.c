/* connect(2) to an IPv6 address where nobody listens.
 *
 * socket: connect inet [::1]:6101
 */
#define NAME "connect_inet6"
#include <netinet/in.h>

#include "odd.h"

int main(void)
{
	struct sockaddr_in6 to = { .sin6_family = AF_INET6, .sin6_port = htons(6101), .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	int s = must(socket(AF_INET6, SOCK_STREAM, 0));
	int result = connect(s, (struct sockaddr *)&to, sizeof to);
	/* Whether a container without a network has this address depends on the engine. */
	check(result < 0 && (errno == ECONNREFUSED || errno == EADDRNOTAVAIL || errno == ENETUNREACH));
	return 0;
}
