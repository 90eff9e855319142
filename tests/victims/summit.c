/* SPDX-License-Identifier: MIT */
/*
 * Eight threads climb far above the size below which the peak is exact, up and down, through two functions. One lock
 * makes their steps follow each other, so that the program knows its own peak, and what each function held there.
 * Printed on stdout, key and value.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define THREADS 8
#define BLOCKS	6000
#define HILLS	6
#define VICTIM	__attribute__((noinline, noclone))

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static long live, left, peak, left_at_peak;
static void *blocks[THREADS][BLOCKS];
static int sizes[THREADS][BLOCKS];

static void step(long bytes, long bytes_left)
{
	live += bytes;
	left += bytes_left;
	if (live > peak) {
		peak = live;
		left_at_peak = left;
	}
}

VICTIM void *victim_left(size_t bytes)
{
	void *p = malloc(bytes);
	__asm__ volatile("" ::: "memory");
	return p;
}

VICTIM void *victim_right(size_t bytes)
{
	void *p = malloc(bytes);
	__asm__ volatile("" ::: "memory");
	return p;
}

static void *climb(void *arg)
{
	size_t me = (size_t)arg;
	unsigned random = 12345 + (unsigned)me;

	for (int hill = 1; hill <= HILLS; hill++) {
		for (int i = 0; i < BLOCKS * hill / HILLS; i++) {
			random = random * 1664525 + 1013904223;
			int bytes = (int)(random >> 18) % 8000 + 1, is_left = (random >> 7) % 3 == 0;
			pthread_mutex_lock(&lock);
			sizes[me][i] = is_left ? bytes : -bytes;
			blocks[me][i] = is_left ? victim_left((size_t)bytes) : victim_right((size_t)bytes);
			step(bytes, is_left ? bytes : 0);
			pthread_mutex_unlock(&lock);
		}
		for (int i = 0; i < BLOCKS * hill / HILLS; i++) {
			pthread_mutex_lock(&lock);
			free(blocks[me][i]);
			step(-abs(sizes[me][i]), sizes[me][i] > 0 ? -sizes[me][i] : 0);
			pthread_mutex_unlock(&lock);
		}
	}
	return NULL;
}

int main(void)
{
	static char text[200];
	pthread_t threads[THREADS];

	for (size_t i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, climb, (void *)i);
	for (size_t i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	int n = snprintf(text, sizeof(text), "peak_bytes %ld\nleft_at_peak %ld\n", peak, left_at_peak);
	return write(1, text, (size_t)n) == n ? 0 : 1;
}
