/* sendmmsg(2) with an address for each of its messages. glibc's resolver asks for A and AAAA with it.
 *
 * socket: send inet 127.0.0.1:6105
 * socket: send inet 127.0.0.1:6106
 */
#define NAME "sendmmsg"
#include "inet.h"
#include "odd.h"

int main(void)
{
	struct sockaddr_in first = local(6105), second = local(6106);
	struct iovec part = { "x", 1 };
	struct mmsghdr messages[2] = {
		{ .msg_hdr = { .msg_name = &first, .msg_namelen = sizeof first, .msg_iov = &part, .msg_iovlen = 1 } },
		{ .msg_hdr = { .msg_name = &second, .msg_namelen = sizeof second, .msg_iov = &part, .msg_iovlen = 1 } },
	};
	check(must(sendmmsg(must(socket(AF_INET, SOCK_DGRAM, 0)), messages, 2, 0)) == 2);
	return 0;
}
