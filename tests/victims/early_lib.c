/* SPDX-License-Identifier: MIT */
/* A library preloaded behind the shim: its constructor runs before the shim's own, its destructor may after. */
#include "victim.h"

__attribute__((constructor)) VICTIM void victim_lib_constructor(void)
{
	struct ledger *l = led_section(__func__);

	for (size_t i = 1; i <= 500; i++) {
		void *p = led_malloc(l, i);
		if (i % 2)
			led_free(l, p, i);
	}
}

__attribute__((destructor)) VICTIM void victim_lib_destructor(void)
{
	struct ledger *l = led_section(__func__);

	for (size_t i = 1; i <= 500; i++)
		led_malloc(l, 8);
	led_report_as(".lib");
}
