/* SPDX-License-Identifier: MIT */
/* Requests of zero bytes: unique pointers that have to be freed, and realloc(p, 0), which glibc takes for a free. */
#include "victim.h"

VICTIM void victim_zero(void)
{
	struct ledger *l = led_section(__func__);
	void *p;

	for (int i = 0; i < 10; i++) {
		p = led_malloc(l, 0);
		LED_REQUIRE(p);
		if (i % 2)
			led_free(l, p, 0);
		led_free(l, led_got(l, calloc(0, 8), 0), 0);
		led_free(l, led_got(l, calloc(8, 0), 0), 0);
		led_free(l, led_realloc(l, NULL, 0, 0), 0);
		led_free(l, led_got(l, aligned_alloc(64, 0), 0), 0);
		p = NULL;
		LED_REQUIRE(posix_memalign(&p, 64, 0) == 0);
		led_free(l, led_got(l, p, 0), 0);
		p = led_malloc(l, 0);
		p = led_realloc(l, p, 0, 32);
		led_realloc(l, p, 32, 0);
	}
}

int main(void)
{
	victim_zero();
	led_report();
	return 0;
}
