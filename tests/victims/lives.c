/* SPDX-License-Identifier: MIT */
/*
 * How long blocks live, by the program's own reading of the clock: just inside each life and just outside it. Few blocks,
 * and big ones, are timed each; of many a part is.
 */
#include "victim.h"

#include <time.h>
#include <x86intrin.h>

#define FEW    5
#define BIG    40
#define OTHERS 2000
#define MANY   32000

static unsigned long inside, outside;

VICTIM void *victim_other(struct ledger *l)
{
	void *p = led_malloc(l, 32);

	LED_BARRIER();
	return p;
}

/* Makes n blocks, lets them live a while, frees them; n_others blocks come meanwhile, to stay as long. */
LED_INLINE void live(struct ledger *l, unsigned n, size_t bytes, unsigned n_others)
{
	const struct timespec a_while = {.tv_nsec = 20000000};
	void *p[BIG], *other[OTHERS];
	unsigned long made[BIG];

	inside = outside = 0;
	for (unsigned i = 0; i < n; i++) {
		outside -= __rdtsc();
		p[i] = led_malloc(l, bytes);
		made[i] = __rdtsc();
	}
	for (unsigned i = 0; i < n_others; i++)
		other[i] = victim_other(l);
	nanosleep(&a_while, NULL);
	for (unsigned i = 0; i < n; i++) {
		inside += __rdtsc() - made[i];
		led_free(l, p[i], bytes);
		outside += __rdtsc();
	}
	for (unsigned i = 0; i < n_others; i++)
		led_free(l, other[i], 32);
}

VICTIM void victim_few(void)
{
	live(led_section(__func__), FEW, 48, 0);
	led_note("few_inside", inside);
	led_note("few_outside", outside);
}

VICTIM void victim_big(void)
{
	live(led_section(__func__), BIG, 8192, 0);
	led_note("big_inside", inside);
	led_note("big_outside", outside);
}

/* The thread's last blocks are others by the time that these are freed. */
VICTIM void victim_old(void)
{
	live(led_section(__func__), FEW, 48, OTHERS);
	led_note("old_inside", inside);
	led_note("old_outside", outside);
}

VICTIM void victim_many(void)
{
	struct ledger *l = led_section(__func__);

	for (int i = 0; i < MANY; i++) {
		LED_ADD(l, temporary, 1);
		led_free(l, led_malloc(l, 64), 64);
	}
}

int main(void)
{
	victim_few();
	victim_big();
	victim_old();
	victim_many();
	led_report();
	return 0;
}
