/* SPDX-License-Identifier: MIT */
/*
 * A shadow of the heap: one 8-byte slot for every 32 bytes of it, in huge pages, so that a look-up is one address
 * computed and one cache line read. Nobody but its owner changes the slot of a live pointer, so there are no locks;
 * only where two small blocks share their 32 bytes does one of them go to the next plane. What does not fit a slot
 * (chains, large sizes) has a side record.
 */
#include "ledger.h"

#include <string.h>

#include "sys.h"
#include "tallyfile.h"

#define AREA_BITS    LEDGER_AREA_BITS
#define GRANULE_BITS 5u
#define ADDRESS_BITS 47u
#define AREA_SLOTS   (1ul << (AREA_BITS - GRANULE_BITS))
#define PLANES       LEDGER_PLANES /* pointers are multiples of 8: mimalloc's and jemalloc's small ones */
#define MAX_SIDES    (1u << 22)
#define MAX_AREAS    1024u /* of those that are looked at */

/*
 * A slot: used 1, side 1, place within the granule 2, bucket or side number 20, size beyond the class's least 8,
 * thread 8, birth 24.
 */
#define USED          1ull
#define SIDE          2ull
#define KEY_MASK      (3ull << 2 | USED)
#define SLOT_REF(s)   ((uint32_t)((s) >> 4) & MAX_REF)
#define MAX_REF       0xfffffu
#define SLOT_REST(s)  ((s) >> 24 & 0xff)
#define SLOT_BIRTH(s) ((uint32_t)((s) >> 40))

/* Birth as a floating number: exponent 5, mantissa 19. */
#define BIRTH_UNIT_BITS 8u /* ticks are counted in this unit */
#define BIRTH_MANTISSA  19u

struct area {
	uint64_t *planes[PLANES]; /* NULL: nothing is in */
};

struct side {
	uint64_t bytes;
	uint32_t bucket;
	uint32_t origin;
	uint32_t regrows;
	uint32_t next_free;
	bool filled;
};

static struct area *areas;
static uint32_t used_areas[MAX_AREAS], n_used_areas; /* each plus 1 */
static bool in_huge_pages;
static struct sys_lock side_lock;
static struct side *sides;
static uint32_t n_sides, free_side;

static inline uint32_t birth_pack(uint64_t ticks)
{
	uint64_t v = (ticks - tally.header->start_ticks) >> BIRTH_UNIT_BITS;
	uint32_t shift = 63u - (uint32_t)__builtin_clzll(v | 1 << (BIRTH_MANTISSA - 1)) -
			 (BIRTH_MANTISSA - 1);

	return shift << BIRTH_MANTISSA | (uint32_t)(v >> shift);
}

static inline uint64_t birth_unpack(uint32_t packed)
{
	uint64_t v = (uint64_t)(packed & ((1u << BIRTH_MANTISSA) - 1))
		     << (packed >> BIRTH_MANTISSA);

	return (v << BIRTH_UNIT_BITS) + tally.header->start_ticks;
}

uint64_t ledger_time(uint64_t ticks)
{
	return birth_unpack(birth_pack(ticks));
}

static uint32_t side_new(const struct ledger_entry *e)
{
	sys_lock(&side_lock);
	uint32_t n = free_side;
	if (n)
		free_side = sides[n].next_free;
	else if (n_sides < MAX_SIDES && n_sides <= MAX_REF)
		n = n_sides++;
	if (n)
		sides[n] = (struct side){e->bytes, e->bucket, e->origin, e->regrows, 0, e->filled};
	sys_unlock(&side_lock);
	return n;
}

static void side_free(uint32_t n)
{
	sys_lock(&side_lock);
	sides[n].next_free = free_side;
	free_side = n;
	sys_unlock(&side_lock);
}

static COLD uint64_t *new_plane(uint64_t **plane)
{
	size_t bytes = AREA_SLOTS * sizeof(uint64_t);
	uint64_t *fresh = in_huge_pages ? sys_map_huge(bytes) : sys_reserve(bytes), *none = NULL;

	if (!fresh)
		return NULL;
	/* release: the zeroed plane is there for whoever sees it; the loser of a race takes the winner's */
	if (!__atomic_compare_exchange_n(
		    plane, &none, fresh, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
		sys_unmap(fresh, bytes);
		return none;
	}
	struct area *a = (struct area *)((uintptr_t)plane & ~(sizeof(*a) - 1));
	if (plane == &a->planes[0]) {
		uint32_t n = __atomic_fetch_add(&n_used_areas, 1, __ATOMIC_RELAXED);
		if (n < MAX_AREAS)
			__atomic_store_n(&used_areas[n], (uint32_t)(a - areas) + 1, __ATOMIC_RELAXED);
	}
	return fresh;
}

static inline struct area *area_of(uintptr_t pointer)
{
	return unlikely(pointer >> ADDRESS_BITS) ? NULL : &areas[pointer >> AREA_BITS];
}

/* Its slot in a plane; NULL: there is no such plane. */
static inline uint64_t *slot_in(struct area *a, uint32_t plane, uintptr_t pointer)
{
	/* acquire: pairs with new_plane */
	uint64_t *slots = __atomic_load_n(&a->planes[plane], __ATOMIC_ACQUIRE);

	return likely(slots) ? &slots[(pointer >> GRANULE_BITS) & (AREA_SLOTS - 1)] : NULL;
}

static inline uint64_t key_of(uintptr_t pointer)
{
	return (pointer >> 3 & 3) << 2 | USED;
}

static void unpack(uint64_t s, struct ledger_entry *e)
{
	e->thread = (uint32_t)(s >> 32) & ((1u << LEDGER_THREAD_BITS) - 1);
	e->birth_ticks = birth_unpack(SLOT_BIRTH(s));
	if (unlikely(s & SIDE)) {
		uint32_t n = SLOT_REF(s);
		e->bytes = sides[n].bytes;
		e->bucket = sides[n].bucket;
		e->origin = sides[n].origin;
		e->regrows = sides[n].regrows;
		e->filled = sides[n].filled;
		side_free(n);
	} else {
		e->bucket = e->origin = SLOT_REF(s);
		e->regrows = 0;
		e->filled = false;
		e->bytes = ht_class_min_bytes(tally.buckets[e->bucket].size_class) + SLOT_REST(s);
	}
}

static inline bool pack(uintptr_t pointer, const struct ledger_entry *e, uint64_t *s)
{
	uint64_t rest = e->bytes - ht_class_min_bytes(e->size_class), ref = e->bucket, side = 0;

	if (unlikely(e->regrows > 0 || e->filled || rest > 0xff || ref == 0 || ref > MAX_REF)) {
		ref = side_new(e);
		side = SIDE;
		rest = 0;
		if (ref == 0)
			return false;
	}
	*s = key_of(pointer) | side | ref << 4 | rest << 24 |
	     (uint64_t)(e->thread & ((1u << LEDGER_THREAD_BITS) - 1)) << 32 |
	     (uint64_t)birth_pack(e->birth_ticks) << 40;
	return true;
}

/* The slot that holds a pointer, or NULL. */
static inline uint64_t *find(struct area *a, uintptr_t pointer)
{
	for (uint32_t plane = 0; plane < PLANES; plane++) {
		uint64_t *slot = slot_in(a, plane, pointer);
		if (!slot)
			return NULL;
		/* Others may change the slot while it is not this pointer's; while it is, nobody does. */
		if ((__atomic_load_n(slot, __ATOMIC_RELAXED) & KEY_MASK) == key_of(pointer))
			return slot;
	}
	return NULL;
}

enum ledger_result ledger_put(
	uintptr_t pointer, const struct ledger_entry *e, struct ledger_entry *old)
{
	struct area *a = area_of(pointer);
	uint64_t s;

	if (unlikely(!a || !pack(pointer, e, &s)))
		return LEDGER_NO_MEMORY;
	uint64_t *taken = find(a, pointer);
	if (unlikely(taken)) {
		unpack(*taken, old);
		__atomic_store_n(taken, s, __ATOMIC_RELAXED);
		return LEDGER_REPLACED;
	}
	for (uint32_t plane = 0; plane < PLANES; plane++) {
		if (unlikely(!slot_in(a, plane, pointer)) && !new_plane(&a->planes[plane]))
			break;
		uint64_t *slot = slot_in(a, plane, pointer), empty = 0;
		/* Relaxed: a pointer goes from thread to thread by the host's own means, and those order memory. */
		if (likely(__atomic_load_n(slot, __ATOMIC_RELAXED) == 0) &&
			__atomic_compare_exchange_n(
				slot, &empty, s, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
			return LEDGER_OK;
	}
	if (s & SIDE)
		side_free(SLOT_REF(s));
	return LEDGER_NO_MEMORY;
}

bool ledger_take(uintptr_t pointer, struct ledger_entry *e)
{
	struct area *a = area_of(pointer);
	uint64_t *slot = likely(a && !(pointer & 7)) ? find(a, pointer) : NULL;

	if (unlikely(!slot))
		return false;
	uint64_t s = *slot;
	__atomic_store_n(slot, 0, __ATOMIC_RELAXED);
	unpack(s, e);
	return true;
}

uint32_t ledger_areas(uint32_t *found, uint32_t max)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < MAX_AREAS && n < max; i++) {
		uint32_t area = __atomic_load_n(&used_areas[i], __ATOMIC_RELAXED);
		if (area)
			found[n++] = area - 1;
	}
	return n;
}

bool ledger_view(struct ledger_view *v, uint32_t area)
{
	v->area = area;
	for (uint32_t plane = 0; plane < PLANES; plane++) {
		/* acquire: pairs with new_plane */
		uint64_t *slots = __atomic_load_n(&areas[area].planes[plane], __ATOMIC_ACQUIRE);
		if (!slots)
			memset(v->written[plane], 0, LEDGER_PARTS);
		else if (!sys_resident(slots, AREA_SLOTS * sizeof(*slots), v->written[plane]))
			return false;
	}
	return true;
}

/* As unpack, of a slot that may become another's meanwhile: then the bucket or size is of one or the other. */
static bool peek(uint64_t s, struct ledger_block *b)
{
	b->bucket = SLOT_REF(s);
	if (s & SIDE) {
		const struct side *side = &sides[SLOT_REF(s)];
		b->bucket = __atomic_load_n(&side->bucket, __ATOMIC_RELAXED);
		b->bytes = __atomic_load_n(&side->bytes, __ATOMIC_RELAXED);
	}
	/* acquire: the record of a bucket that is counted is there */
	if (b->bucket >= __atomic_load_n(&tally.header->n_buckets, __ATOMIC_ACQUIRE))
		return false;
	if (!(s & SIDE))
		b->bytes = ht_class_min_bytes(tally.buckets[b->bucket].size_class) + SLOT_REST(s);
	return true;
}

uint32_t ledger_page(const struct ledger_view *v, uintptr_t page, struct ledger_block *blocks)
{
	uint32_t part = (uint32_t)(page / LEDGER_PART_BYTES) % LEDGER_PARTS, n = 0;

	for (uint32_t plane = 0; plane < PLANES; plane++) {
		if (!(v->written[plane][part] & 1))
			continue;
		const uint64_t *slots = slot_in(&areas[v->area], plane, page);
		for (uint32_t i = 0; i < HT_PAGE_BYTES >> GRANULE_BITS; i++) {
			uint64_t s = __atomic_load_n(&slots[i], __ATOMIC_RELAXED);
			if (!(s & USED) || !peek(s, &blocks[n]))
				continue;
			blocks[n++].start =
				page + ((uintptr_t)i << GRANULE_BITS) + (s >> 2 & 3) * 8;
		}
	}
	return n;
}

bool ledger_init(bool sparse)
{
	memset(used_areas, 0, sizeof(used_areas));
	n_used_areas = 0;
	in_huge_pages = !sparse;
	areas = sys_reserve(sizeof(areas[0]) << (ADDRESS_BITS - AREA_BITS));
	memset(&side_lock, 0, sizeof(side_lock));
	n_sides = 1;
	free_side = 0;
	sides = sys_reserve(sizeof(struct side) * MAX_SIDES);
	return areas && sides;
}
