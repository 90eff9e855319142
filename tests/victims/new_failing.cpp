/* SPDX-License-Identifier: MIT */
/* operator new that fails: the handler is called, bad_alloc thrown, nothrow gives null. */
#include <new>

#include "victim.h"

static unsigned handled;

static void handler()
{
	if (++handled % 3 == 0)
		std::set_new_handler(nullptr);
}

/* Exceptions are allocated too, with main in their stack: this is not. */
VICTIM void victim_between(void)
{
	struct ledger *l = led_section(__func__);

	led_free(l, led_malloc(l, 10), 10);
}

int main()
{
	volatile size_t huge = size_t(1) << 62;
	unsigned caught = 0;

	for (int i = 0; i < 10; i++) {
		std::set_new_handler(handler);
		try {
			void *p = ::operator new(huge);
			LED_REQUIRE(!p);
		} catch (const std::bad_alloc &) {
			caught++;
		}
		std::set_new_handler(nullptr);
		LED_REQUIRE(!::operator new(huge, std::nothrow));
		victim_between();
	}
	LED_REQUIRE(caught == 10);
	LED_REQUIRE(handled == 30);
	led_report();
	return 0;
}
