/* SPDX-License-Identifier: MIT */
/*
 * Small blocks of which the program knows on which pages they lie: some side by side, some with others in between that
 * are freed, some few and far between. At last large blocks, so that more is live than ever and the shim looks again.
 * Argument: for how many seconds it then goes on.
 */
#include <time.h>

#include "victim.h"

#define DENSE       60000
#define SCATTERED   60000
#define RARE        2000
#define BETWEEN     10 /* freed for each scattered */
#define LARGE       64
#define LARGE_BYTES (1u << 20)
#define PAGE        4096u

static char *dense[DENSE], *scattered[SCATTERED], *rare[RARE], *freed[SCATTERED * BETWEEN];
static char *large[LARGE];

VICTIM void victim_dense(struct ledger *l, int i)
{
	dense[i] = led_malloc(l, 72);
	LED_BARRIER();
}
VICTIM void victim_scattered(struct ledger *l, int i)
{
	scattered[i] = led_malloc(l, 56);
	LED_BARRIER();
}
VICTIM void victim_rare(struct ledger *l, int i)
{
	rare[i] = led_malloc(l, 40);
	LED_BARRIER();
}
VICTIM void victim_freed(struct ledger *l, int i)
{
	freed[i] = led_malloc(l, 64);
	LED_BARRIER();
}
VICTIM void victim_large(struct ledger *l, int i)
{
	large[i] = led_malloc(l, LARGE_BYTES);
	LED_BARRIER();
}

/* Notes pages, blocks and bytes, and the sums over pages of their squares. Blocks are in the order of their addresses. */
static void note(const char *const keys[6], char *const *blocks, unsigned n, unsigned bytes)
{
	unsigned long sum[6] = {0}, on_page = 0, bytes_on_page = 0;
	uintptr_t page = 0;

	for (unsigned i = 0; i <= n; i++) {
		uintptr_t p = i < n ? (uintptr_t)blocks[i] : UINTPTR_MAX / 2;
		for (unsigned part = 0; part < 2; part++) {
			uintptr_t at = part ? p + bytes - 1 : p;
			if (part && at / PAGE == p / PAGE)
				break;
			if (at / PAGE != page) {
				sum[0] += page != 0;
				sum[3] += page != 0;
				sum[1] += on_page;
				sum[4] += on_page * on_page;
				sum[2] += bytes_on_page;
				sum[5] += bytes_on_page * bytes_on_page;
				on_page = bytes_on_page = 0;
				page = at / PAGE;
			}
			unsigned long here = p / PAGE == (p + bytes - 1) / PAGE ? bytes
					     : part                             ? (p + bytes) % PAGE
										: PAGE - p % PAGE;
			on_page += part == 0;
			bytes_on_page += here;
		}
	}
	for (int k = 0; k < 6; k++)
		led_note(keys[k], sum[k]);
}

static int by_address(const void *a, const void *b)
{
	const char *x = *(char *const *)a, *y = *(char *const *)b;

	return (x > y) - (x < y);
}

/* Without a merge sort's memory: that would be an allocation. */
static void sort(char **blocks, long n)
{
	for (long gap = n / 2; gap > 0; gap /= 2)
		for (long i = gap; i < n; i++)
			for (long k = i - gap;
				k >= 0 && by_address(&blocks[k], &blocks[k + gap]) > 0; k -= gap) {
				char *swap = blocks[k];
				blocks[k] = blocks[k + gap];
				blocks[k + gap] = swap;
			}
}

#define NOTE(name, n, bytes)                                                                       \
	do {                                                                                       \
		static const char *const keys[6] = {#name "_pages", #name "_blocks",               \
			#name "_bytes", #name "_pages_squares", #name "_blocks_squares",           \
			#name "_bytes_squares"};                                                   \
		sort(name, n);                                                                     \
		note(keys, name, n, bytes);                                                        \
	} while (0)

int main(int argc, char **argv)
{
	struct ledger *l[5] = {led_section("victim_dense"), led_section("victim_scattered"),
		led_section("victim_rare"), led_section("victim_freed"),
		led_section("victim_large")};
	unsigned long small = DENSE * 72ul + SCATTERED * 56ul + RARE * 40ul;
	time_t seconds = argc > 1 ? atoi(argv[1]) : 0, until;

	for (int i = 0; i < DENSE; i++)
		victim_dense(l[0], i);
	for (int i = 0; i < SCATTERED; i++) {
		victim_scattered(l[1], i);
		for (int k = 0; k < BETWEEN; k++)
			victim_freed(l[3], i * BETWEEN + k);
		if (i % (SCATTERED / RARE) == 0)
			victim_rare(l[2], i / (SCATTERED / RARE));
	}
	for (int i = 0; i < SCATTERED * BETWEEN; i++)
		led_free(l[3], freed[i], 64);
	for (int i = 0; i < LARGE; i++)
		victim_large(l[4], i);
	NOTE(dense, DENSE, 72);
	NOTE(scattered, SCATTERED, 56);
	NOTE(rare, RARE, 40);
	/* less than this was live before the last of the large ones */
	led_note("snapshot_least_bytes", small + (LARGE - 1) * (unsigned long)LARGE_BYTES);
	led_report();
	until = time(NULL) + seconds;
	while (time(NULL) <= until)
		for (int i = 0; i < 1000; i++)
			free(malloc(24));
	return 0;
}
