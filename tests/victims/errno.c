/* SPDX-License-Identifier: MIT */
/* errno is the host's: what succeeds leaves it alone, also on the first event of a thread and in new code. */
#include <pthread.h>

#include "victim.h"

#define UNTOUCHED(expression)                                                                      \
	do {                                                                                       \
		errno = 4711;                                                                      \
		expression;                                                                        \
		LED_REQUIRE(errno == 4711);                                                        \
	} while (0)

VICTIM void victim_errno(unsigned depth)
{
	struct ledger *l = &led_all[1];
	void *p, *q;

	if (depth > 0) {
		victim_errno(depth - 1);
		if (depth % 2)
			victim_errno(depth - 1);
	}
	UNTOUCHED(p = malloc(50));
	led_got(l, p, 50);
	UNTOUCHED(q = realloc(p, 5000));
	p = led_moved(l, (uintptr_t)p, q, 50, 5000);
	UNTOUCHED(q = calloc(5, 50));
	led_got(l, q, 250);
	led_gone(l, 250);
	UNTOUCHED(free(q));
	UNTOUCHED(q = aligned_alloc(64, 640));
	led_got(l, q, 640);
	led_gone(l, 640);
	UNTOUCHED(free(q));
	UNTOUCHED(LED_REQUIRE(posix_memalign(&q, 64, 320) == 0));
	led_got(l, q, 320);
	led_gone(l, 320);
	UNTOUCHED(free(q));
	UNTOUCHED(LED_REQUIRE(malloc_usable_size(p) >= 5000));
	led_gone(l, 5000);
	UNTOUCHED(free(p));
	UNTOUCHED(p = malloc(4 << 20)); /* mapped, and unmapped by free */
	led_got(l, p, 4 << 20);
	led_gone(l, 4 << 20);
	UNTOUCHED(free(p));
}

static void *thread(void *arg)
{
	(void)arg;
	victim_errno(8);
	return NULL;
}

int main(void)
{
	pthread_t t;

	led_section("victim_errno");
	victim_errno(12);
	for (int i = 0; i < 20; i++) {
		LED_REQUIRE(pthread_create(&t, NULL, thread, NULL) == 0);
		pthread_join(t, NULL);
	}
	led_report();
	return 0;
}
