/* SPDX-License-Identifier: MIT */
/*
 * steady EVENTS: that many mallocs, reallocs and frees from a fixed set of stacks and sizes, with a few thousand blocks
 * live at any time; prints nanoseconds per event. What a profiler keeps of it must not grow with EVENTS.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define LIVE   4096u
#define LEVELS 3

static void *live[LIVE];
static const size_t sizes[8] = {16, 24, 40, 64, 104, 208, 32, 512};

/* Two of a kind, so that a choice at every level makes different stacks. The empty asm keeps frames and order. */
typedef void frame(uint64_t drawn, int more);
static frame left, right;

static __attribute__((noinline)) void turn(uint64_t drawn)
{
	void **slot = &live[drawn % LIVE];

	if (!*slot) {
		*slot = malloc(sizes[drawn >> 16 & 7]);
	} else if (drawn >> 32 & 7) {
		free(*slot);
		*slot = NULL;
	} else {
		void *p = realloc(*slot, sizes[drawn >> 16 & 7]);
		if (p)
			*slot = p;
	}
	__asm__ volatile("" ::: "memory");
}

#define FRAME(name)                                                                                \
	static __attribute__((noinline)) void name(uint64_t drawn, int more)                       \
	{                                                                                          \
		if (more == 0)                                                                     \
			turn(drawn);                                                               \
		else                                                                               \
			(drawn >> (40 + more) & 1 ? left : right)(drawn, more - 1);                \
		__asm__ volatile("" ::: "memory");                                                 \
	}
FRAME(left)
FRAME(right)

static double now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

int main(int argc, char **argv)
{
	uint64_t events = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000000, state = 1;
	double start = now_ns();

	for (uint64_t i = 0; i < events; i++) {
		/* xorshift64, Marsaglia 2003 */
		state ^= state << 13;
		state ^= state >> 7;
		state ^= state << 17;
		left(state * 0x9e3779b97f4a7c15u >> 8, LEVELS);
	}
	printf("%.1f\n", (now_ns() - start) / (double)events);
	return 0;
}
