/* SPDX-License-Identifier: MIT */
/* Allocation before main (.preinit_array, constructors) and after it (atexit, destructors): the last one reports. */
#include "victim.h"

static void *from_preinit, *from_constructor;

VICTIM void victim_preinit(void)
{
	struct ledger *l = led_section(__func__);

	from_preinit = led_malloc(l, 111);
	for (int i = 0; i < 100; i++)
		led_free(l, led_malloc(l, 60), 60);
}
__attribute__((section(".preinit_array"), used)) static void (*preinit)(void) = victim_preinit;

__attribute__((constructor(101))) VICTIM void victim_constructor(void)
{
	struct ledger *l = led_section(__func__);

	from_constructor = led_got(l, calloc(1, 222), 222);
	for (int i = 0; i < 100; i++)
		led_free(l, led_realloc(l, led_malloc(l, 70), 70, 700), 700);
}

VICTIM void victim_atexit(void)
{
	struct ledger *l = led_section(__func__);

	led_free(led_section("victim_preinit"), from_preinit, 111);
	led_malloc(l, 333);
}

VICTIM void victim_main(void)
{
	led_malloc(led_section(__func__), 10);
}

__attribute__((destructor(101))) VICTIM void victim_destructor(void)
{
	struct ledger *l = led_section(__func__);

	led_malloc(l, 444);
	led_free(led_section("victim_constructor"), from_constructor, 222);
	led_report();
}

int main(void)
{
	atexit(victim_atexit);
	victim_main();
	return 0;
}
