/* A 32-bit program: system calls by int 0x80, with numbers of their own.
 *
 * build: i386
 * image: file data
 * image: file looked
 * expect: open data
 * expect: stat looked
 * syscalls: i386 execve open close access
 */

/* Numbers of arch/x86/entry/syscalls/syscall_32.tbl. */
enum { EXIT = 1, OPEN = 5, CLOSE = 6, ACCESS = 33 };

static int call(int number, int first, int second, int third)
{
	int result;
	__asm__ volatile("int $0x80" : "=a"(result) : "a"(number), "b"(first), "c"(second), "d"(third) : "memory");
	return result;
}

void _start(void)
{
	int fd = call(OPEN, (int)"/odd/i386/data", 0, 0);
	int failed = fd < 0 || call(CLOSE, fd, 0, 0) < 0 || call(ACCESS, (int)"/odd/i386/looked", 4, 0) < 0;
	call(EXIT, failed, 0, 0);
	__builtin_unreachable();
}
