/* SPDX-License-Identifier: MIT */
/*
 * Threads that each do known work, free what a neighbour allocated, and end while memory of theirs lives on. Meanwhile
 * they all regrow.
 */
#include <pthread.h>
#include <sys/prctl.h>

#include "victim.h"

#define THREADS 8
#define BLOCKS  4000

static struct ledger *own, *passed, *left, *regrown;
static void *blocks[THREADS][BLOCKS];
static pthread_barrier_t barrier;

VICTIM void victim_own(void)
{
	for (size_t i = 0; i < 20000; i++) {
		void *p = led_malloc(own, i % 500 + 1);
		led_free(own, p, i % 500 + 1);
	}
}

VICTIM void victim_passed(size_t me)
{
	for (size_t i = 0; i < BLOCKS; i++)
		blocks[me][i] = led_malloc(passed, i % 97 + 1);
}

static void take_over(size_t from)
{
	for (size_t i = 0; i < BLOCKS; i++) {
		LED_ADD(passed, foreign_frees, 1);
		led_free(passed, blocks[from][i], i % 97 + 1);
	}
}

VICTIM void victim_left(void)
{
	for (size_t i = 0; i < 100; i++)
		led_malloc(left, 32);
}

VICTIM void victim_regrown(void)
{
	for (size_t i = 0; i < 200; i++) {
		size_t size = 24;
		void *p = led_malloc(regrown, size);
		for (; size < 3000; size += size / 2)
			p = led_realloc(regrown, p, size, size + size / 2);
		led_free(regrown, p, size);
	}
}

static void *thread(void *arg)
{
	size_t me = (size_t)arg;

	prctl(PR_SET_NAME, "victim-worker");
	victim_own();
	victim_passed(me);
	pthread_barrier_wait(&barrier);
	take_over((me + 1) % THREADS);
	pthread_barrier_wait(&barrier);
	victim_left();
	victim_regrown();
	return NULL;
}

int main(void)
{
	pthread_t threads[THREADS];

	own = led_section("victim_own");
	passed = led_section("victim_passed");
	left = led_section("victim_left");
	regrown = led_section("victim_regrown");
	pthread_barrier_init(&barrier, NULL, THREADS);
	for (size_t i = 0; i < THREADS; i++)
		LED_REQUIRE(pthread_create(&threads[i], NULL, thread, (void *)i) == 0);
	for (size_t i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	led_note("threads", THREADS);
	led_report();
	return 0;
}
