/* SPDX-License-Identifier: MIT */
/* Alignment above that of malloc is honoured, usable to the last byte, and can be read from the bucket. */
#include "victim.h"

VICTIM void victim_posix_memalign(size_t align)
{
	struct ledger *l = led_section(__func__);
	void *p = NULL;

	for (size_t size = 1; size < 5000; size = size * 3 + 1) {
		LED_REQUIRE(posix_memalign(&p, align, size) == 0);
		led_got(l, p, size);
		LED_REQUIRE((uintptr_t)p % align == 0);
		memset(p, 1, malloc_usable_size(p));
		led_free(l, p, size);
	}
}

VICTIM void victim_aligned_alloc(size_t align)
{
	struct ledger *l = led_section(__func__);

	for (size_t n = 1; n < 5; n++) {
		void *p = led_got(l, aligned_alloc(align, n * align), n * align);
		LED_REQUIRE((uintptr_t)p % align == 0);
		memset(p, 1, malloc_usable_size(p));
		led_free(l, p, n * align);
	}
}

VICTIM void victim_memalign(size_t align)
{
	struct ledger *l = led_section(__func__);
	void *p = led_got(l, memalign(align, 77), 77);

	LED_REQUIRE((uintptr_t)p % align == 0);
	p = led_realloc(l, p, 77, 99999); /* the alignment need not survive, the content must */
	led_free(l, p, 99999);
}

int main(void)
{
	for (size_t align = 32; align <= 1 << 20; align *= 2) {
		victim_posix_memalign(align);
		victim_aligned_alloc(align);
		victim_memalign(align);
	}
	led_report();
	return 0;
}
