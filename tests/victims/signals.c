/* SPDX-License-Identifier: MIT */
/*
 * A handler that allocates, called at random moments of threads that allocate. Needs an allocator that stands it
 * (bump.c) beneath the shim. Every event is recorded or counted as dropped.
 */
#include <pthread.h>
#include <signal.h>
#include <sys/time.h>
#include <time.h>

#include "victim.h"

static struct ledger *worked, *handled;
static volatile int stop;

VICTIM void victim_handler(void)
{
	int was = errno;

	for (size_t i = 0; i < 3; i++) {
		void *p = led_malloc(handled, 24);
		led_free(handled, p, 24);
	}
	led_free(handled, led_realloc(handled, led_malloc(handled, 8), 8, 80), 80);
	LED_REQUIRE(errno == was);
}

static void handler(int number)
{
	(void)number;
	victim_handler();
	LED_BARRIER();
}

VICTIM void victim_work(unsigned depth)
{
	void *p = led_malloc(worked, 40 + depth);

	if (depth > 0) {
		victim_work(depth - 1);
		LED_BARRIER();
		if (depth % 3 == 0)
			victim_work(depth - 1);
	}
	led_free(worked, p, 40 + depth);
}

static void *thread(void *arg)
{
	unsigned depth = (unsigned)(size_t)arg;

	while (!stop)
		victim_work(depth++ % 10);
	return NULL;
}

int main(void)
{
	struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
	struct itimerval often = {{0, 100}, {0, 100}}, never = {0};
	struct timespec start, now;
	pthread_t t;

	worked = led_section("victim_work");
	handled = led_section("victim_handler");
	sigaction(SIGALRM, &action, NULL);
	LED_REQUIRE(pthread_create(&t, NULL, thread, NULL) == 0);
	setitimer(ITIMER_REAL, &often, NULL);
	clock_gettime(CLOCK_MONOTONIC, &start);
	for (unsigned i = 0;; i++) {
		victim_work(i % 10);
		if (i % 8 == 0)
			pthread_kill(t, SIGALRM);
		clock_gettime(CLOCK_MONOTONIC, &now);
		if (now.tv_sec - start.tv_sec >= 2)
			break;
	}
	setitimer(ITIMER_REAL, &never, NULL);
	stop = 1;
	pthread_join(t, NULL);
	LED_REQUIRE(handled->allocs > 1000);
	led_report();
	return 0;
}
