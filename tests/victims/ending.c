/* SPDX-License-Identifier: MIT */
/*
 * All the ways to end, right after known work, with the ledger written before: return, exit, _exit, quick_exit, abort,
 * SIGKILL, SIGTERM, a fault, exit from a thread, exec that fails before, and a main thread that leaves by pthread_exit.
 */
#include <pthread.h>
#include <signal.h>

#include "victim.h"

VICTIM void victim_work(void)
{
	struct ledger *l = led_section(__func__);
	void *p = NULL;

	for (size_t i = 1; i <= 5000; i++) {
		void *q = led_malloc(l, i % 900);
		if (i % 7)
			led_free(l, q, i % 900);
	}
	for (size_t i = 1; i <= 100; i++)
		p = led_realloc(l, p, (i - 1) * 50, i * 50);
	led_report();
}

static void *leave(void *arg)
{
	(void)arg;
	victim_work();
	exit(3);
}

static void *last(void *arg)
{
	pthread_join(*(pthread_t *)arg, NULL);
	victim_work();
	return NULL;
}

int main(int argc, char **argv)
{
	const char *how = argc > 1 ? argv[1] : "return";
	static pthread_t self;
	volatile int *nowhere = NULL;
	pthread_t t;

	LED_HIDE(nowhere);
	if (strcmp(how, "thread") == 0) {
		LED_REQUIRE(pthread_create(&t, NULL, leave, NULL) == 0);
		for (;;)
			pause();
	}
	if (strcmp(how, "pthread_exit") == 0) {
		self = pthread_self();
		LED_REQUIRE(pthread_create(&t, NULL, last, &self) == 0);
		pthread_exit(NULL);
	}
	victim_work();
	if (strcmp(how, "exit") == 0)
		exit(3);
	if (strcmp(how, "_exit") == 0)
		_exit(3);
	if (strcmp(how, "quick_exit") == 0)
		quick_exit(3);
	if (strcmp(how, "abort") == 0)
		abort();
	if (strcmp(how, "kill") == 0)
		kill(getpid(), SIGKILL);
	if (strcmp(how, "term") == 0)
		raise(SIGTERM);
	if (strcmp(how, "fault") == 0)
		*nowhere = 1;
	return 3;
}
