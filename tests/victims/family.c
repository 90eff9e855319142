/* SPDX-License-Identifier: MIT */
/* Every function of the malloc family at work, one section each. Allocates nothing else: whole totals are known. */
#include "victim.h"

VICTIM void victim_malloc(void)
{
	struct ledger *l = led_section(__func__);

	for (size_t size = 1; size <= 3000; size++) {
		unsigned char *p = led_malloc(l, size);
		memset(p, 0xa5, size);
		if (size % 3)
			led_free(l, p, size);
	}
	led_free(l, led_malloc(l, 3 << 20), 3 << 20);
}

VICTIM void victim_calloc(void)
{
	struct ledger *l = led_section(__func__);

	for (size_t n = 1; n <= 200; n++) {
		unsigned char *p = led_got(l, calloc(n, 24), n * 24);
		for (size_t i = 0; i < n * 24; i++)
			LED_REQUIRE(p[i] == 0);
		memset(p, 0xff, n * 24);
		if (n % 2)
			led_free(l, p, n * 24);
	}
	led_free(l, led_got(l, calloc(1, 1 << 20), 1 << 20), 1 << 20);
}

static void fill(unsigned char *p, size_t from, size_t to)
{
	for (size_t i = from; i < to; i++)
		p[i] = (unsigned char)(i * 7);
}

static void verify(const unsigned char *p, size_t size)
{
	for (size_t i = 0; i < size; i++)
		LED_REQUIRE(p[i] == (unsigned char)(i * 7));
}

VICTIM void victim_realloc(void)
{
	struct ledger *l = led_section(__func__);
	unsigned char *pin[24];
	unsigned char *p = NULL;
	size_t size = 0, n = 0;

	for (size_t next = 16; next <= 1 << 20; next *= 2) {
		p = led_realloc(l, p, size, next);
		verify(p, size);
		fill(p, size, next);
		size = next;
		pin[n++] = led_malloc(l, 40); /* keeps the next step from growing in place */
	}
	for (size_t next = size / 2; next >= 8; next /= 3) {
		p = led_realloc(l, p, size, next);
		verify(p, next);
		size = next;
	}
	p = led_realloc(l, p, size, size); /* same size: still a realloc */
	verify(p, size);
	led_free(l, p, size);
	while (n-- > 1)
		led_free(l, pin[n], 40);
	p = led_realloc(l, NULL, 0, 100);
	p = led_realloc(l, p, 100, 60);
	led_realloc(l, p, 60, 0); /* glibc frees */
}

VICTIM void victim_reallocarray(void)
{
	struct ledger *l = led_section(__func__);
	unsigned char *p = NULL;

	for (size_t n = 1; n <= 400; n++) {
		uintptr_t was = (uintptr_t)p;
		LED_HIDE(p);
		p = led_moved(l, was, reallocarray(p, n, 12), (n - 1) * 12, n * 12);
		verify(p, (n - 1) * 12);
		fill(p, (n - 1) * 12, n * 12);
	}
	/* kept alive at 4800 bytes */
}

VICTIM void victim_posix_memalign(void)
{
	struct ledger *l = led_section(__func__);

	for (size_t align = sizeof(void *); align <= 1 << 16; align *= 2) {
		void *p = NULL;
		LED_REQUIRE(posix_memalign(&p, align, align + 5) == 0);
		led_got(l, p, align + 5);
		LED_REQUIRE((uintptr_t)p % align == 0);
		if (align != 64)
			led_free(l, p, align + 5);
	}
}

VICTIM void victim_aligned_alloc(void)
{
	struct ledger *l = led_section(__func__);

	for (int i = 0; i < 50; i++) {
		void *p = led_got(l, aligned_alloc(256, 512), 512);
		LED_REQUIRE((uintptr_t)p % 256 == 0);
		if (i % 5)
			led_free(l, p, 512);
	}
}

VICTIM void victim_memalign(void)
{
	struct ledger *l = led_section(__func__);

	for (int i = 0; i < 50; i++) {
		void *p = led_got(l, memalign(128, 100), 100);
		LED_REQUIRE((uintptr_t)p % 128 == 0);
		if (i % 7)
			led_free(l, p, 100);
	}
}

#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
VICTIM void victim_valloc(void)
{
	struct ledger *l = led_section(__func__);

	for (int i = 0; i < 10; i++) {
		void *p = led_got(l, valloc(300), 300);
		LED_REQUIRE((uintptr_t)p % 4096 == 0);
		if (i % 2)
			led_free(l, p, 300);
	}
}

/* pvalloc hands out whole pages, but 5000 is what was asked for. */
VICTIM void victim_pvalloc(void)
{
	struct ledger *l = led_section(__func__);

	for (int i = 0; i < 10; i++) {
		char *p = led_got(l, pvalloc(5000), 5000);
		LED_REQUIRE((uintptr_t)p % 4096 == 0);
		memset(p, 1, 8192);
		if (i % 2)
			led_free(l, p, 5000);
	}
}

VICTIM void victim_free_null(void)
{
	for (int i = 0; i < 1000; i++) {
		void *p = NULL;
		LED_HIDE(p);
		free(p);
		LED_REQUIRE(malloc_usable_size(p) == 0);
	}
}

/* An argument says that the allocator beneath has no pvalloc, so that its free would not know the C library's. */
int main(int argc, char **argv)
{
	(void)argv;
	victim_malloc();
	victim_calloc();
	victim_realloc();
	victim_reallocarray();
	victim_posix_memalign();
	victim_aligned_alloc();
	victim_memalign();
	victim_valloc();
	if (argc == 1)
		victim_pvalloc();
	victim_free_null();
	led_report();
	return 0;
}
