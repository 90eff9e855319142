/* SPDX-License-Identifier: MIT */
/* Live bytes rise and fall many times; the highest point is in the middle, by one byte, and lasts one event. */
#include "victim.h"

static void *held[4000];

VICTIM void victim_hill(size_t count, size_t size)
{
	struct ledger *l = led_section(__func__);

	for (size_t i = 0; i < count; i++)
		held[i] = led_malloc(l, size);
	for (size_t i = 0; i < count; i++)
		led_free(l, held[i], size);
}

VICTIM void victim_summit(void)
{
	struct ledger *l = led_section(__func__);
	void *p;

	for (size_t i = 0; i < 3000; i++)
		held[i] = led_malloc(l, 1000);
	p = led_malloc(l, 1);
	led_free(l, p, 1);
	for (size_t i = 0; i < 3000; i++)
		led_free(l, held[i], 1000);
}

VICTIM void *victim_base(void)
{
	return led_malloc(led_section(__func__), 12345);
}

int main(void)
{
	void *base = victim_base();

	for (size_t n = 0; n <= 3000; n += 500)
		victim_hill(n, 1000); /* up to the summit less one byte */
	victim_summit();
	for (size_t n = 3000; n > 0; n -= 500)
		victim_hill(n, 999);
	led_free(led_section("victim_base"), base, 12345);
	led_report();
	return 0;
}
