/* SPDX-License-Identifier: MIT */
/* The live pointers: what is known of each, to be found by its address. */
#ifndef HEAPTALLY_LEDGER_H
#define HEAPTALLY_LEDGER_H

#include <stdbool.h>
#include <stdint.h>

struct ledger_entry {
	uint64_t bytes;       /* requested */
	uint64_t birth_ticks; /* 0: not known. rounded: see ledger_age */
	uint32_t bucket;
	uint32_t
		origin; /* bucket of the chain's first allocation; equals bucket while regrows is 0 */
	uint32_t regrows; /* reallocs so far */
	uint8_t thread;   /* serial of the allocating thread, modulo 2^8 */
	bool filled;      /* what nobody wrote yet has the probes' pattern */
	bool rounded;     /* the birth has been in a table */
};

/* For a fresh process image or a forked child. */
bool ledger_init(bool few); /* few pointers will be in, anywhere */

/*
 * A thread's own part: what it put last, and side records at hand for what does not fit a slot. Zeroed memory is a valid
 * start; it has to stay when the thread ends, for others look into it.
 */
#define LEDGER_RECENT_BITS 7u
#define LEDGER_SOURCE_BITS 6u
struct ledger_own {
	struct ledger_recent {
		uintptr_t pointer; /* 0: none */
		struct ledger_entry e;
	} recent[1u << LEDGER_RECENT_BITS];
	struct ledger_own *next;
	uint32_t first_side, n_sides;
	/* In whose part something near an address was found last: a guess. */
	struct ledger_own *sources[1u << LEDGER_SOURCE_BITS];
};

/* Once, before the first use by any thread. Calls exclude each other. */
void ledger_join(struct ledger_own *own);

enum ledger_result {
	LEDGER_OK = 0,
	LEDGER_REPLACED =
		1, /* this pointer, or one put earlier, was there already: *old is what it was */
	LEDGER_NO_MEMORY = -1, /* for this pointer, or for one put earlier */
};
enum ledger_result ledger_put(struct ledger_own *own, uintptr_t pointer,
	const struct ledger_entry *e, struct ledger_entry *old);
/* The pointer is about to be put: brings into the cache what that will write to. */
void ledger_expect(struct ledger_own *own, uintptr_t pointer);

/* Removes a pointer. False: not there. */
bool ledger_take(struct ledger_own *own, uintptr_t pointer, struct ledger_entry *e);

/*
 * Ticks from a known birth to now, both rounded alike: exact, or to a 2^13th of the time since the start, and 256 ticks at
 * least.
 */
uint64_t ledger_age(const struct ledger_entry *e, uint64_t now);

/*
 * Looking at what is live by address, while others change it: each block is seen as it was before a change or after it.
 * Of what was put last only the calling thread's own is seen: of the others 2^LEDGER_RECENT_BITS blocks at most are missing.
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
void ledger_view(struct ledger_view *v, const struct ledger_own *own, uint32_t area);
/* The blocks that begin in a page, LEDGER_PAGE_BLOCKS at most. Takes the page's lock for as long. */
uint32_t ledger_page(const struct ledger_own *own, uintptr_t page, struct ledger_block *blocks);

#endif
