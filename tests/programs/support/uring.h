/* An io_uring with one entry at a time, by the bare system calls. */
#ifndef URING_H
#define URING_H
#include <linux/io_uring.h>
#include <poll.h>
#include <sys/mman.h>

#include "odd.h"

struct ring {
	int fd;
	unsigned flags;
	unsigned *tail, *array, *sq_flags, *tail_done;
	struct io_uring_sqe *entries;
	struct io_uring_cqe *done;
};

static void *ring_map(int fd, size_t length, off_t what)
{
	void *at = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, what);
	check(at != MAP_FAILED);
	return at;
}

static void ring_begin(struct ring *ring, unsigned flags)
{
	struct io_uring_params params = { .flags = flags, .sq_thread_idle = 10000 };
	ring->fd = must(syscall(SYS_io_uring_setup, 1, &params));
	ring->flags = flags;
	char *sq = ring_map(ring->fd, params.sq_off.array + params.sq_entries * sizeof(unsigned), IORING_OFF_SQ_RING);
	char *cq = ring_map(ring->fd, params.cq_off.cqes + params.cq_entries * sizeof(struct io_uring_cqe), IORING_OFF_CQ_RING);
	ring->entries = ring_map(ring->fd, params.sq_entries * sizeof(struct io_uring_sqe), IORING_OFF_SQES);
	ring->tail = (unsigned *)(sq + params.sq_off.tail);
	ring->array = (unsigned *)(sq + params.sq_off.array);
	ring->sq_flags = (unsigned *)(sq + params.sq_off.flags);
	ring->tail_done = (unsigned *)(cq + params.cq_off.tail);
	ring->done = (struct io_uring_cqe *)(cq + params.cq_off.cqes);
}

/* Hands the entry over; a ring that is polled needs a system call only when its thread has gone to sleep. */
static void ring_submit(struct ring *ring)
{
	__atomic_store_n(ring->tail, 1, __ATOMIC_SEQ_CST);
	if (!(ring->flags & IORING_SETUP_SQPOLL))
		must(syscall(SYS_io_uring_enter, ring->fd, 1, 0, 0, NULL, 0));
	else if (__atomic_load_n(ring->sq_flags, __ATOMIC_SEQ_CST) & IORING_SQ_NEED_WAKEUP)
		must(syscall(SYS_io_uring_enter, ring->fd, 1, 0, IORING_ENTER_SQ_WAKEUP, NULL, 0));
}

/* The result of the first and only operation on a ring. */
static int ring_do(struct ring *ring, const struct io_uring_sqe *entry)
{
	struct pollfd done = { .fd = ring->fd, .events = POLLIN };
	ring->entries[0] = *entry;
	ring->array[0] = 0;
	ring_submit(ring);
	while (__atomic_load_n(ring->tail_done, __ATOMIC_ACQUIRE) == 0)
		must(poll(&done, 1, -1));
	int result = ring->done[0].res;
	if (result < 0)
		errno = -result;
	return result;
}
#endif
