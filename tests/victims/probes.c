/* SPDX-License-Identifier: MIT */
/* Blocks of which the program knows what it wrote into them, for what the shim samples. */
#include "victim.h"

#define BLOCKS 20000

VICTIM void victim_half(void)
{
	struct ledger *l = led_section(__func__);

	for (int i = 0; i < BLOCKS; i++) {
		char *p = led_malloc(l, 1024);
		memset(p, i, 512);
		LED_HIDE(p);
		LED_ADD(l, temporary, 1);
		led_free(l, p, 1024);
	}
}

VICTIM void victim_two_contents(void)
{
	struct ledger *l = led_section(__func__);

	for (int i = 0; i < BLOCKS; i++) {
		char *p = led_malloc(l, 61);
		memset(p, i / 100 % 2 ? 'a' : 'b', 61);
		LED_HIDE(p);
		LED_ADD(l, temporary, 1);
		led_free(l, p, 61);
	}
}

VICTIM void victim_many_contents(void)
{
	struct ledger *l = led_section(__func__);

	for (int i = 0; i < BLOCKS; i++) {
		int *p = led_malloc(l, 12);
		p[0] = p[1] = 7;
		p[2] = i;
		LED_HIDE(p);
		LED_ADD(l, temporary, 1);
		led_free(l, p, 12);
	}
}

/* Chains: the pattern has to follow where a buffer grows. */
VICTIM void victim_grown(void)
{
	struct ledger *l = led_section(__func__);

	for (int i = 0; i < BLOCKS; i++) {
		char *p = led_malloc(l, 64);
		memset(p, i, 64);
		p = led_realloc(l, p, 64, 256);
		memset(p + 64, i, 192);
		p = led_realloc(l, p, 256, 1024);
		LED_HIDE(p);
		LED_ADD(l, temporary, 1);
		led_free(l, p, 1024);
	}
}

int main(void)
{
	victim_half();
	victim_two_contents();
	victim_many_contents();
	victim_grown();
	led_report();
	return 0;
}
