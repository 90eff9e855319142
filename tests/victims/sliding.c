/* SPDX-License-Identifier: MIT */
/*
 * Two frames of variable size that make up for each other: the innermost frame and every return address within it stay
 * where they were while the frame pointer saved there changes, and with it the way outwards. What stood there before is
 * still in memory, as nobody wrote over it.
 */
#include <alloca.h>

#include "victim.h"

#define TURNS 2000
#define SLIDE 20 /* times 16 bytes that the two have together */

static struct ledger *inner;

/* Saves rbp and uses it for something else, so that its own frame looks the same whoever called. */
VICTIM void victim_inner(void)
{
	__asm__ volatile("xor %%ebp,%%ebp" ::: "rbp");
	led_free(inner, led_malloc(inner, 40), 40);
	LED_BARRIER();
}

VICTIM void victim_middle(size_t n)
{
	volatile char *room = alloca(n * 16);

	LED_HIDE(room);
	victim_inner();
	LED_BARRIER();
}

VICTIM void victim_outer(size_t n)
{
	volatile char *room = alloca(n * 16);

	LED_HIDE(room);
	if (n % 2) {
		victim_middle(SLIDE - n);
		__asm__ volatile("# two calls, not one");
	} else {
		victim_middle(SLIDE - n);
		LED_BARRIER();
	}
}

int main(void)
{
	inner = led_section("victim_inner");
	for (volatile size_t i = 0; i < TURNS; i++)
		victim_outer(i * 7 % SLIDE);
	led_report();
	return 0;
}
