/* SPDX-License-Identifier: MIT */
/*
 * Exceptions thrown through deep stacks between allocations. The exception objects are allocated by the C++ library
 * from victim_throw; everything else is in the ledger.
 */
#include "victim.h"

static struct ledger *descending, *cleaning, *handling;

VICTIM void victim_clean(void *p, size_t size)
{
	void *q = led_malloc(cleaning, 9);

	led_gone(descending, size);
	free(p);
	led_free(cleaning, q, 9);
}

struct guard {
	void *p;
	size_t size;
	~guard()
	{
		victim_clean(p, size);
	}
};

VICTIM void *victim_descend(size_t size)
{
	return led_malloc(descending, size);
}

__attribute__((noinline)) static int fall(unsigned depth)
{
	guard g = {victim_descend(depth + 1), depth + 1};

	if (depth == 0)
		throw 42;
	return fall(depth - 1) + 1;
}

VICTIM void victim_handle(void)
{
	led_free(handling, led_malloc(handling, 99), 99);
}

int main()
{
	unsigned caught = 0;

	descending = led_section("victim_descend*");
	cleaning = led_section("victim_clean*");
	handling = led_section("victim_handle*");
	for (unsigned i = 0; i < 1000; i++) {
		try {
			fall(i % 60);
		} catch (int) {
			caught++;
			victim_handle();
		}
		victim_handle();
	}
	LED_REQUIRE(caught == 1000);
	led_report();
	return 0;
}
