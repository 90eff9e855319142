/* SPDX-License-Identifier: MIT */
/* Temporary is: freed before the same thread's next allocation. */
#include "victim.h"

VICTIM void victim_temporary(void)
{
	struct ledger *l = led_section(__func__);

	for (int i = 0; i < 1000; i++) {
		LED_ADD(l, temporary, 1);
		led_free(l, led_malloc(l, 48), 48);
	}
}

VICTIM void victim_nested(void)
{
	struct ledger *l = led_section(__func__);

	for (int i = 0; i < 1000; i++) {
		void *outer = led_malloc(l, 48);
		void *inner = led_malloc(l, 48);
		LED_ADD(l, temporary, 1);
		led_free(l, inner, 48);
		led_free(l, outer, 48); /* inner was allocated since */
	}
}

VICTIM void victim_lasting(void)
{
	struct ledger *l = led_section(__func__);
	void *last = led_malloc(l, 48);

	for (int i = 0; i < 1000; i++) {
		void *next = led_malloc(l, 48);
		led_free(l, last, 48);
		last = next;
	}
	led_malloc(l, 48);
	led_free(l, last, 48);
}

int main(void)
{
	victim_temporary();
	victim_nested();
	victim_lasting();
	led_report();
	return 0;
}
