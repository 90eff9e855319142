/* SPDX-License-Identifier: MIT */
/* Jumps out of deep stacks between allocations: what a walker remembers of the old stack is wrong at once. */
#include <setjmp.h>

#include "victim.h"

static jmp_buf back;
static volatile unsigned bottom, ended;
static struct ledger *deep, *shallow;

VICTIM int victim_deep(unsigned depth)
{
	int n = 0;

	if (depth % 5 == 0)
		led_malloc(deep, depth + 1);
	if (ended)
		return 0;
	if (depth == bottom)
		longjmp(back, 1);
	n = victim_deep(depth - 1);
	LED_BARRIER();
	return n + 1;
}

VICTIM void victim_shallow(volatile char *room, size_t bytes)
{
	/* scribbles where the deep stack was */
	volatile char here[600];

	for (size_t i = 0; i < sizeof(here); i++)
		here[i] = room[i % bytes];
	led_free(shallow, led_malloc(shallow, 16), 16);
	LED_BARRIER();
}

VICTIM void victim_shallow_other(unsigned depth)
{
	if (depth > 0)
		victim_shallow_other(depth - 1);
	else
		led_free(shallow, led_malloc(shallow, 17), 17);
	LED_BARRIER();
}

int main(void)
{
	volatile char room[64] = "abc";

	deep = led_section("victim_deep");
	shallow = led_section("victim_shallow*");
	for (volatile unsigned i = 0; i < 3000; i++) {
		if (setjmp(back) == 0)
			victim_deep(i % 200);
		victim_shallow(room, 64);
		victim_shallow_other(i % 37);
	}
	led_report();
	return 0;
}
