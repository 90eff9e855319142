/* SPDX-License-Identifier: MIT */
/* Requests that the allocator refuses: errno is set, the old buffer stays, and only the failure is counted. */
#include "victim.h"

static volatile size_t huge = (size_t)1 << 62;

static void *refused(struct ledger *l, void *p, size_t size)
{
	LED_REQUIRE(!p);
	LED_REQUIRE(errno == ENOMEM);
	errno = 0;
	return led_got(l, p, size);
}

VICTIM void victim_failing(void)
{
	struct ledger *l = led_section(__func__);
	unsigned char *p = led_malloc(l, 1000);
	void *q;

	memset(p, 0x5a, 1000);
	for (int i = 0; i < 20; i++) {
		errno = 0;
		refused(l, malloc(huge), huge);
		refused(l, calloc(huge / 16, 16), huge);
		refused(l, aligned_alloc(64, huge), huge);
		refused(l, memalign(4096, huge), huge);
		refused(l, realloc(NULL, huge), huge);
		refused(l, realloc(p, huge), huge);
		q = &q;
		LED_REQUIRE(posix_memalign(&q, 64, huge) == ENOMEM);
		LED_REQUIRE(q == &q);
		led_got(l, NULL, huge);
	}
	for (int i = 0; i < 1000; i++)
		LED_REQUIRE(p[i] == 0x5a);
	led_free(l, p, 1000);
}

/* A block that is small enough to lie in the ledger itself goes back there as it was. */
VICTIM void victim_small(void)
{
	struct ledger *l = led_section(__func__);

	for (int i = 0; i < 20; i++) {
		size_t size = 100 + (size_t)i;
		void *p = led_malloc(l, size);
		errno = 0;
		refused(l, realloc(p, huge), huge);
		led_free(l, p, size);
	}
}

/* Products that overflow, alignments that are none: how many bytes were asked for has no answer. */
VICTIM void victim_senseless(void)
{
	struct ledger *l = led_section(__func__);
	void *p = led_malloc(l, 64), *q = &q, *same = p;

	LED_HIDE(same);
	for (int i = 0; i < 20; i++) {
		errno = 0;
		refused(l, calloc(huge, 8), 0);
		refused(l, reallocarray(NULL, huge, 8), 0);
		refused(l, reallocarray(same, huge, 8), 0);
		LED_REQUIRE(posix_memalign(&q, 3, 100) == EINVAL);
		LED_REQUIRE(posix_memalign(&q, 0, 100) == EINVAL);
		LED_REQUIRE(posix_memalign(&q, 24, 100) == EINVAL);
		LED_REQUIRE(q == &q);
	}
	led_note("invalid", 60);
	led_free(l, p, 64);
}

int main(int argc, char **argv)
{
	(void)argv;
	victim_failing();
	victim_small();
	if (argc > 1)
		victim_senseless();
	led_report();
	return 0;
}
