/* SPDX-License-Identifier: MIT */
/*
 * Forks while other threads allocate, so that every lock there is will be held by somebody at some fork; handlers of
 * pthread_atfork allocate too. Each child allocates 10 times and ends.
 */
#include <pthread.h>
#include <stdio.h>
#include <sys/wait.h>

#include "victim.h"

#define FORKS 150

static struct ledger *busy, *handlers;
static volatile int stop;

VICTIM void victim_busy(unsigned depth)
{
	void *p = led_malloc(busy, 100 + depth);

	if (depth > 0) {
		victim_busy(depth - 1);
		LED_BARRIER();
		if (depth % 2)
			victim_busy(depth - 1);
	}
	led_free(busy, p, 100 + depth);
}

static void *thread(void *arg)
{
	unsigned depth = (unsigned)(size_t)arg;

	while (!stop)
		victim_busy(depth++ % 12);
	return NULL;
}

VICTIM void victim_handler(void)
{
	led_free(handlers, led_malloc(handlers, 30), 30);
}

VICTIM void victim_child(void)
{
	for (int i = 0; i < 10; i++) {
		void *p = malloc(50);
		__asm__ volatile("" : : "g"(p) : "memory");
		if (i % 2)
			free(p);
	}
}

int main(void)
{
	pthread_t threads[3];
	int status;

	busy = led_section("victim_busy");
	handlers = led_section("victim_handler");
	pthread_atfork(victim_handler, victim_handler, victim_handler);
	for (size_t i = 0; i < 3; i++)
		LED_REQUIRE(pthread_create(&threads[i], NULL, thread, (void *)i) == 0);
	for (int i = 0; i < FORKS; i++) {
		pid_t child = fork();
		LED_REQUIRE(child >= 0);
		if (child == 0) {
			victim_child();
			_exit(0);
		}
		LED_REQUIRE(waitpid(child, &status, 0) == child && status == 0);
	}
	stop = 1;
	for (size_t i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	led_note("children", FORKS);
	led_report();
	return 0;
}
