/* SPDX-License-Identifier: MIT */
/* Every form of operator new and delete, called as functions so that no compiler elides them. */
#include <new>

#include "victim.h"

static bool lax; /* some allocators forget the alignment in the nothrow forms */

VICTIM void victim_new(void)
{
	struct ledger *l = led_section(__func__);

	for (size_t size = 1; size <= 300; size++) {
		void *p = led_got(l, ::operator new(size), size);
		void *q = led_got(l, ::operator new[](size * 2), size * 2);
		if (size % 3 == 0)
			continue;
		led_gone(l, size);
		::operator delete(p);
		led_gone(l, size * 2);
		::operator delete[](q);
	}
}

VICTIM void victim_new_nothrow(void)
{
	struct ledger *l = led_section(__func__);

	for (size_t size = 1; size <= 300; size++) {
		void *p = led_got(l, ::operator new(size, std::nothrow), size);
		void *q = led_got(l, ::operator new[](size * 2, std::nothrow), size * 2);
		if (size % 4 == 0)
			continue;
		led_gone(l, size);
		::operator delete(p, std::nothrow);
		led_gone(l, size * 2);
		::operator delete[](q, std::nothrow);
	}
}

VICTIM void victim_new_aligned(void)
{
	struct ledger *l = led_section(__func__);

	for (size_t align = 32; align <= 4096; align *= 2) {
		auto a = std::align_val_t(align);
		/* sizes are multiples: libstdc++ rounds others up before it asks aligned_alloc */
		void *p = led_got(l, ::operator new(align * 3, a), align * 3);
		void *q = led_got(l, ::operator new[](align * 5, a), align * 5);
		void *r = led_got(l, ::operator new(align, a, std::nothrow), align);
		void *s = led_got(l, ::operator new[](align, a, std::nothrow), align);
		LED_REQUIRE((uintptr_t)p % align == 0 && (uintptr_t)q % align == 0);
		LED_REQUIRE(lax || ((uintptr_t)r % align == 0 && (uintptr_t)s % align == 0));
		led_gone(l, align * 3);
		::operator delete(p, a);
		led_gone(l, align * 5);
		::operator delete[](q, align * 5, a);
		led_gone(l, align);
		::operator delete(r, a, std::nothrow);
		if (align == 256)
			continue;
		led_gone(l, align);
		::operator delete[](s, a, std::nothrow);
	}
}

VICTIM void victim_delete_sized(void)
{
	struct ledger *l = led_section(__func__);

	for (size_t size = 1; size <= 300; size++) {
		void *p = led_got(l, ::operator new(size), size);
		void *q = led_got(l, ::operator new[](size * 2), size * 2);
		void *r = led_got(l, ::operator new(64 * size, std::align_val_t(64)), 64 * size);
		led_gone(l, size);
		::operator delete(p, size);
		led_gone(l, size * 2);
		::operator delete[](q, size * 2);
		if (size % 6 == 0)
			continue;
		led_gone(l, 64 * size);
		::operator delete(r, 64 * size, std::align_val_t(64));
	}
	::operator delete(nullptr);
	::operator delete[](nullptr);
	::operator delete(nullptr, size_t(8));
}

int main(int argc, char **)
{
	lax = argc > 1;
	victim_new();
	victim_new_nothrow();
	victim_new_aligned();
	victim_delete_sized();
	led_report();
	return 0;
}
