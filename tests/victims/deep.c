/* SPDX-License-Identifier: MIT */
/*
 * Allocates at the bottom of a stack that has exactly as many frames as the argument says, counted by backtrace from
 * the first call in main; deeper than 400 by arithmetic.
 */
#include <execinfo.h>
#include <stdio.h>

#include "victim.h"

static int base_depth;

int victim_even(unsigned more);
int victim_odd(unsigned more);

VICTIM void victim_bottom(void)
{
	struct ledger *l = led_section(__func__);

	for (int i = 0; i < 100; i++) {
		void *p = led_malloc(l, 64);
		if (i % 2)
			led_free(l, p, 64);
	}
	LED_BARRIER();
}

VICTIM void measure(void)
{
	static void *frames[512];

	base_depth = backtrace(frames, 512);
	LED_BARRIER();
}

__attribute__((noinline)) int victim_even(unsigned more)
{
	int n = 0;

	if (more == 0)
		victim_bottom();
	else
		n = victim_odd(more - 1);
	LED_BARRIER();
	return n + 1;
}

__attribute__((noinline)) int victim_odd(unsigned more)
{
	int n = 0;

	if (more == 0)
		victim_bottom();
	else
		n = victim_even(more - 1);
	LED_BARRIER();
	return n - 1;
}

int main(int argc, char **argv)
{
	unsigned frames = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 250;

	measure(); /* the first call loads libgcc, with stacks of its own */
	measure(); /* measure, main and outward: as many as victim_bottom called from main would have */
	LED_REQUIRE(base_depth > 1 && frames > (unsigned)base_depth);
	victim_even(frames - (unsigned)base_depth - 1);
	led_note("frames", frames);
	led_report();
	return 0;
}
