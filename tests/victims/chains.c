/* SPDX-License-Identifier: MIT */
/* Buffers that grow by doubling: so many chains of such a length that end at such a size. */
#include "victim.h"

/* 100 buffers of 16 bytes, each regrown 1 to 10 times; every fifth one stays. */
VICTIM void victim_chains(void)
{
	struct ledger *l = led_section(__func__);
	unsigned long ended = 0, now = 0, regrows = 0;

	for (unsigned i = 0; i < 100; i++) {
		size_t size = 16;
		unsigned steps = i % 10 + 1;
		void *p = led_malloc(l, size);
		for (unsigned s = 0; s < steps; s++, size *= 2)
			p = led_realloc(l, p, size, size * 2);
		if (i % 5 == 0) {
			now++;
			continue;
		}
		ended++;
		regrows += steps;
		led_free(l, p, size);
	}
	led_note("chains_now", now);
	led_note("chains_ended", ended);
	led_note("chain_regrows", regrows);
}

/* Never reallocated: no chains. */
VICTIM void victim_plain(void)
{
	struct ledger *l = led_section(__func__);

	for (int i = 0; i < 100; i++)
		led_free(l, led_malloc(l, 16), 16);
}

int main(void)
{
	victim_chains();
	victim_plain();
	led_report();
	return 0;
}
