/* SPDX-License-Identifier: MIT */
/*
 * micro LABEL: what one malloc/free pair costs, by stack depth (frames beyond the loop that makes the pairs) and number
 * of threads, under whatever is preloaded.
 * The inner frames of the stack change from event to event, as they do in real programs (a bundler's innermost three
 * of thirty), and 64 blocks of mixed small sizes live at any time. Figures are nanoseconds of one core per pair, the
 * least of a few rounds: a tool that scales keeps them when threads are added. One big untouched block stands for the
 * rest of a bundler's heap, as a tool may do more work while the heap is small.
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define LIVE        64
#define MAX_THREADS 16
#define CHANGING    3 /* inner frames that differ between events, where the stack is deep enough */
#define HEAP_BYTES  (256ul << 20)
#define ROUNDS      3
#define ROUND_NS    20e6

static const int depths[] = {1, 8, 32, 128}, thread_counts[] = {1, 2, 4, 8, 16};
static const size_t sizes[8] = {16, 24, 40, 64, 104, 208, 32, 512};

struct worker {
	pthread_t thread;
	pthread_barrier_t *barrier;
	void *live[LIVE];
	int depth;
	long pairs;
	double start_ns, end_ns;
};

/* Two of a kind, so that a choice at every level makes different stacks. The empty asm keeps frames and order. */
typedef void frame(void **slot, size_t bytes, int more, unsigned turns);
static frame left, right;
#define FRAME(name)                                                                                \
	static __attribute__((noinline)) void name(                                                \
		void **slot, size_t bytes, int more, unsigned turns)                               \
	{                                                                                          \
		if (more == 0) {                                                                   \
			free(*slot);                                                               \
			*slot = malloc(bytes);                                                     \
		} else {                                                                           \
			(turns & 1 ? left : right)(slot, bytes, more - 1, turns >> 1);             \
		}                                                                                  \
		__asm__ volatile("" ::: "memory");                                                 \
	}
FRAME(left)
FRAME(right)

static __attribute__((noinline)) void descend(struct worker *w, int more)
{
	if (more > 0) {
		descend(w, more - 1);
	} else {
		int inner = w->depth > CHANGING ? CHANGING : 0;
		for (long i = 0; i < w->pairs; i++)
			left(&w->live[i % LIVE], sizes[i % 8], inner, (unsigned)i);
	}
	__asm__ volatile("" ::: "memory");
}

static double now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void *work(void *arg)
{
	struct worker *w = arg;

	pthread_barrier_wait(w->barrier);
	w->start_ns = now_ns();
	descend(w, w->depth > CHANGING ? w->depth - CHANGING - 1 : 0);
	w->end_ns = now_ns();
	return NULL;
}

/* Wall time from when the first thread begins until the last one is done. */
static double round_ns(int depth, int threads, long pairs)
{
	static struct worker workers[MAX_THREADS];
	pthread_barrier_t barrier;
	double start = 0, end = 0;

	pthread_barrier_init(&barrier, NULL, (unsigned)threads);
	for (int i = 0; i < threads; i++) {
		struct worker *w = &workers[i];
		*w = (struct worker){.barrier = &barrier, .depth = depth, .pairs = pairs};
		if (pthread_create(&w->thread, NULL, work, w) != 0) {
			fputs("micro: no more threads\n", stderr);
			exit(1);
		}
	}
	for (int i = 0; i < threads; i++) {
		struct worker *w = &workers[i];
		pthread_join(w->thread, NULL);
		if (i == 0 || w->start_ns < start)
			start = w->start_ns;
		if (w->end_ns > end)
			end = w->end_ns;
		for (int k = 0; k < LIVE; k++)
			free(w->live[k]);
	}
	pthread_barrier_destroy(&barrier);
	return end - start;
}

static double pair_ns(int depth, int threads)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN), pairs = 500;
	double used = threads < cores ? threads : (double)cores, least = 1e18, ns;

	/* find out how many pairs make a round; this warms up as well */
	while ((ns = round_ns(depth, threads, pairs)) < ROUND_NS / 4)
		pairs *= 2;
	pairs = (long)((double)pairs * ROUND_NS / ns) + 1;
	for (int i = 0; i < ROUNDS; i++) {
		ns = round_ns(depth, threads, pairs) * used / ((double)pairs * threads);
		if (ns < least)
			least = ns;
	}
	return least;
}

int main(int argc, char **argv)
{
	void *volatile heap = malloc(HEAP_BYTES);

	for (size_t t = 0; t < sizeof(thread_counts) / sizeof(*thread_counts); t++) {
		printf("%-18s %7d", t == 0 && argc > 1 ? argv[1] : "", thread_counts[t]);
		for (size_t d = 0; d < sizeof(depths) / sizeof(*depths); d++)
			printf(" %10.1f", pair_ns(depths[d], thread_counts[t]));
		putchar('\n');
	}
	free(heap);
	return 0;
}
