/* SPDX-License-Identifier: MIT */
/* Some hosts use every byte that malloc_usable_size promises. They must find it theirs. */
#include "victim.h"

VICTIM void victim_usable(void)
{
	struct ledger *l = led_section(__func__);
	static unsigned char *held[2000];
	static size_t usable[2000];

	for (size_t i = 0; i < 2000; i++) {
		size_t size = i < 1990 ? i : i * 1000;
		held[i] = i % 4 == 3 ? led_got(l, aligned_alloc(64, size), size)
				     : led_malloc(l, size);
		usable[i] = malloc_usable_size(held[i]);
		LED_REQUIRE(usable[i] >= size);
		memset(held[i], (int)(i % 251), usable[i]);
	}
	for (size_t i = 0; i < 2000; i++) {
		size_t size = i < 1990 ? i : i * 1000;
		LED_REQUIRE(malloc_usable_size(held[i]) == usable[i]);
		for (size_t b = 0; b < usable[i]; b++)
			LED_REQUIRE(held[i][b] == i % 251);
		if (i % 3 == 0) {
			held[i] = led_realloc(l, held[i], size, size * 2 + 1);
			for (size_t b = 0; b < size; b++)
				LED_REQUIRE(held[i][b] == i % 251);
		}
		if (i % 2)
			led_free(l, held[i], i % 3 == 0 ? size * 2 + 1 : size);
	}
}

int main(void)
{
	victim_usable();
	led_report();
	return 0;
}
