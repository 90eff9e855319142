/* SPDX-License-Identifier: MIT */
/* Many blocks of each of several sizes, far below and far above a sampling distance of 16 KiB. */
#include "victim.h"

#define MOST 200000

static void *blocks[MOST];

#define KEEP(name, n, size)                                                                        \
	VICTIM void name(void)                                                                     \
	{                                                                                          \
		struct ledger *l = led_section(__func__);                                          \
		for (int i = 0; i < (n); i++)                                                      \
			blocks[i] = led_malloc(l, size);                                           \
		LED_HIDE(l);                                                                       \
	}
#define KEEP_AND_FREE(name, n, size)                                                               \
	VICTIM void name(void)                                                                     \
	{                                                                                          \
		struct ledger *l = led_section(__func__);                                          \
		for (int i = 0; i < (n); i++)                                                      \
			blocks[i] = led_malloc(l, size);                                           \
		for (int i = 0; i < (n); i++)                                                      \
			led_free(l, blocks[i], size);                                              \
	}

KEEP(victim_one, 200000, 1)
KEEP(victim_hundred, 50000, 100)
KEEP(victim_page, 5000, 4096)
KEEP(victim_distance, 1000, 16384)
KEEP(victim_large, 200, 200000)
KEEP_AND_FREE(victim_small_freed, 100000, 24)
KEEP_AND_FREE(victim_page_freed, 3000, 5000)

VICTIM void victim_temporary_freed(void)
{
	struct ledger *l = led_section(__func__);

	for (int i = 0; i < 100000; i++) {
		LED_ADD(l, temporary, 1);
		led_free(l, led_malloc(l, 48), 48);
	}
}

int main(void)
{
	victim_one();
	victim_hundred();
	victim_page();
	victim_distance();
	victim_large();
	victim_small_freed();
	victim_page_freed();
	victim_temporary_freed();
	led_report();
	return 0;
}
