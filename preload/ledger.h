/* SPDX-License-Identifier: MIT */
/* The live pointers: what is known of each, to be found by its address. */
#ifndef HEAPTALLY_LEDGER_H
#define HEAPTALLY_LEDGER_H

#include <stdbool.h>
#include <stdint.h>

#define LEDGER_THREAD_BITS 8u /* the thread serial is kept modulo 2^8 */

struct ledger_entry {
	uint32_t bucket;
	uint32_t
		origin; /* bucket of the chain's first allocation; equals bucket while regrows is 0 */
	uint32_t regrows; /* reallocs so far */
	uint32_t thread;  /* serial of the allocating thread, modulo 2^LEDGER_THREAD_BITS */
	bool filled;          /* what nobody wrote yet has the probes' pattern */
	uint64_t bytes;       /* requested */
	uint64_t birth_ticks; /* comes back rounded, see ledger_time */
};

/* For a fresh process image or a forked child. */
bool ledger_init(bool sparse); /* few pointers will be in, anywhere */

/* Side records that one thread has at hand, for what does not fit a slot. Zeroed memory is a valid start. */
struct ledger_pool {
	uint32_t first, n;
};

enum ledger_result {
	LEDGER_OK = 0,
	LEDGER_REPLACED = 1, /* the pointer was there already: *old is what it was */
	LEDGER_NO_MEMORY = -1,
};
enum ledger_result ledger_put(struct ledger_pool *own, uintptr_t pointer,
	const struct ledger_entry *e, struct ledger_entry *old);
/* The pointer is about to be put: brings its place into the cache. */
void ledger_expect(uintptr_t pointer);

/* A time rounded as births are: to a 2^13th of the time since the start, and 256 ticks at least. */
uint64_t ledger_time(uint64_t ticks);

/* Removes a pointer. False: not there. */
bool ledger_take(struct ledger_pool *own, uintptr_t pointer, struct ledger_entry *e);

/*
 * Looking at what is live by address, while others change it: each block is seen as it was before a change or after it.
 * A part is a run of pages that is there or not as a whole.
 */
#define LEDGER_AREA_BITS   30u
#define LEDGER_PART_BYTES  16384u
#define LEDGER_PARTS       (1u << 16) /* of an area */
#define LEDGER_PAGE_BLOCKS 512u

struct ledger_view {
	uint32_t area;                 /* address >> LEDGER_AREA_BITS */
	uint8_t written[LEDGER_PARTS]; /* not 0: there was something in this part */
};
struct ledger_block {
	uintptr_t start;
	uint64_t bytes;
	uint32_t bucket;
};

/* Areas in which there are pointers, at most `max`. */
uint32_t ledger_areas(uint32_t *areas, uint32_t max);
/* Of an area that ledger_areas gave. */
void ledger_view(struct ledger_view *v, uint32_t area);
/* The blocks that begin in a page, LEDGER_PAGE_BLOCKS at most. Takes the page's lock for as long. */
uint32_t ledger_page(uintptr_t page, struct ledger_block *blocks);

#endif
