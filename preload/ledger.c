/* SPDX-License-Identifier: MIT */
/*
 * Tables of 16-byte slots with linear probing; a slot's home is the pointer's place within its page scaled to the
 * table. Allocators fill pages with objects of like size, so most objects sit at home, in the order of their
 * addresses, and a table can be filled to its last slot. What does not fit a slot (chains, large sizes) has a side
 * record.
 */
#include "ledger.h"

#include <string.h>

#include "format.h"
#include "sys.h"

#define REGION_BITS 12u
#define KEY_BITS                                                                                   \
	(REGION_BITS - 3) /* pointers are multiples of 8: mimalloc's and jemalloc's small ones */
#define TOP_BITS      15u /* of 47-bit addresses: one table of regions per 4 GiB */
#define TABLE_REGIONS (1u << (32 - REGION_BITS))
#define MIN_LOG2      1u
#define SLAB_BYTES    SYS_HUGE_BYTES
#define REST_BITS     18u
#define MAX_SIDES     (1u << 22)

/* Slot word a: key 9, four spare, used 1, side 1, class 9, bucket or side number 22, size minus the class's least 18.
 * Slot word b: thread 20, birth 44. */
struct slot {
	uint64_t a, b;
};
#define A_KEY(a)   ((uint32_t)(a)&0x1ff)
#define A_USED     (1ull << 13)
#define A_SIDE     (1ull << 14)
#define A_CLASS(a) ((uint32_t)((a) >> 15) & 0x1ff)
#define A_REF(a)   ((uint32_t)((a) >> 24) & 0x3fffff)
#define A_REST(a)  ((a) >> 46)

struct region {
	struct sys_lock lock;
	uint16_t used;
	uint8_t log2; /* of the slots */
	uint8_t reserved;
	struct slot *slots; /* NULL while nothing is in */
};

struct side {
	uint64_t bytes;
	uint32_t bucket;
	uint32_t origin;
	uint32_t regrows;
	uint32_t next_free;
};

static struct region **tops;
static struct sys_lock memory_lock, side_lock;
static void *free_slots[KEY_BITS + 1]; /* by log2; linked through the first word */
static char *slab;
static size_t slab_left;
static struct side *sides;
static uint32_t n_sides, free_side;

static struct slot *slots_new(uint32_t log2)
{
	size_t bytes = sizeof(struct slot) << log2;
	void *p;

	sys_lock(&memory_lock);
	p = free_slots[log2];
	if (p) {
		free_slots[log2] = *(void **)p;
	} else {
		if (slab_left < bytes) {
			char *fresh = sys_map_huge(SLAB_BYTES);
			if (fresh) {
				slab = fresh;
				slab_left = SLAB_BYTES;
			}
		}
		if (slab_left >= bytes) {
			p = slab;
			slab += bytes;
			slab_left -= bytes;
			bytes = 0; /* fresh from the kernel */
		}
	}
	sys_unlock(&memory_lock);
	if (p && bytes)
		memset(p, 0, bytes);
	return p;
}

static void slots_free(struct slot *slots, uint32_t log2)
{
	sys_lock(&memory_lock);
	*(void **)slots = free_slots[log2];
	free_slots[log2] = slots;
	sys_unlock(&memory_lock);
}

static uint32_t side_new(const struct ledger_entry *e)
{
	sys_lock(&side_lock);
	uint32_t n = free_side;
	if (n)
		free_side = sides[n].next_free;
	else if (n_sides < MAX_SIDES)
		n = n_sides++;
	if (n)
		sides[n] = (struct side){e->bytes, e->bucket, e->origin, e->regrows, 0};
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

static COLD struct region *new_regions(uintptr_t pointer)
{
	struct region *fresh = sys_map_huge(sizeof(struct region) * TABLE_REGIONS), *none = NULL;
	struct region **top = &tops[pointer >> 32];

	if (!fresh)
		return NULL;
	/* release: the zeroed table is there for whoever sees it; the loser of a race takes the winner's */
	if (!__atomic_compare_exchange_n(
		    top, &none, fresh, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
		sys_unmap(fresh, sizeof(struct region) * TABLE_REGIONS);
		return none;
	}
	return fresh;
}

static inline struct region *region_of(uintptr_t pointer, bool make)
{
	if (unlikely(pointer >> 47))
		return NULL;
	/* acquire: pairs with new_regions */
	struct region *regions = __atomic_load_n(&tops[pointer >> 32], __ATOMIC_ACQUIRE);
	if (unlikely(!regions)) {
		if (!make)
			return NULL;
		regions = new_regions(pointer);
		if (!regions)
			return NULL;
	}
	return &regions[(pointer >> REGION_BITS) & (TABLE_REGIONS - 1)];
}

static inline uint32_t key_of(uintptr_t pointer)
{
	return (uint32_t)(pointer >> 3) & 0x1ff;
}

static inline uint32_t home(uint32_t key, uint32_t log2)
{
	return key >> (KEY_BITS - log2);
}

/* The slot of a key, or the empty one where it belongs; in a full table that lacks the key, just any. */
static inline uint32_t find(const struct region *r, uint32_t key)
{
	uint32_t mask = (1u << r->log2) - 1, at = home(key, r->log2);

	for (uint32_t left = mask; left > 0; left--) {
		if (!(r->slots[at].a & A_USED) || A_KEY(r->slots[at].a) == key)
			break;
		at = (at + 1) & mask;
	}
	return at;
}

static COLD bool grow(struct region *r)
{
	uint32_t log2 = r->slots ? r->log2 + 1u : MIN_LOG2, old_log2 = r->log2;
	struct slot *old = r->slots, *slots = slots_new(log2);

	if (!slots)
		return false;
	r->slots = slots;
	r->log2 = (uint8_t)log2;
	if (!old)
		return true;
	for (uint32_t i = 0; i < 1u << old_log2; i++)
		if (old[i].a & A_USED)
			slots[find(r, A_KEY(old[i].a))] = old[i];
	slots_free(old, old_log2);
	return true;
}

static void unpack(struct slot s, struct ledger_entry *e)
{
	e->thread = (uint32_t)s.b & ((1u << LEDGER_THREAD_BITS) - 1);
	e->birth_ticks = s.b >> LEDGER_THREAD_BITS << LEDGER_BIRTH_SHIFT;
	e->size_class = A_CLASS(s.a);
	if (s.a & A_SIDE) {
		uint32_t n = A_REF(s.a);
		e->bytes = sides[n].bytes;
		e->bucket = sides[n].bucket;
		e->origin = sides[n].origin;
		e->regrows = sides[n].regrows;
		side_free(n);
	} else {
		e->bucket = e->origin = A_REF(s.a);
		e->regrows = 0;
		e->bytes = ht_class_min_bytes(e->size_class) + A_REST(s.a);
	}
}

static bool pack(uintptr_t pointer, const struct ledger_entry *e, struct slot *s)
{
	uint64_t rest = e->bytes - ht_class_min_bytes(e->size_class);
	uint64_t ref = e->bucket, side = 0;

	if (unlikely(e->regrows > 0 || rest >> REST_BITS)) {
		ref = side_new(e);
		side = A_SIDE;
		rest = 0;
		if (ref == 0)
			return false;
	}
	s->a = key_of(pointer) | A_USED | side | (uint64_t)e->size_class << 15 | ref << 24 |
	       rest << 46;
	s->b = (e->thread & ((1u << LEDGER_THREAD_BITS) - 1)) |
	       e->birth_ticks >> LEDGER_BIRTH_SHIFT << LEDGER_THREAD_BITS;
	return true;
}

enum ledger_result ledger_put(
	uintptr_t pointer, const struct ledger_entry *e, struct ledger_entry *old)
{
	struct region *r = region_of(pointer, true);
	enum ledger_result result = LEDGER_OK;
	struct slot s;

	if (unlikely(!r || !pack(pointer, e, &s)))
		return LEDGER_NO_MEMORY;
	sys_spin_lock(&r->lock);
	if (unlikely(!r->slots) && !grow(r))
		goto no_memory;
	uint32_t at = find(r, key_of(pointer));
	if (unlikely(r->used == 1u << r->log2) && A_KEY(r->slots[at].a) != key_of(pointer)) {
		if (!grow(r))
			goto no_memory;
		at = find(r, key_of(pointer));
	}
	if (unlikely(r->slots[at].a & A_USED)) {
		unpack(r->slots[at], old);
		result = LEDGER_REPLACED;
	} else {
		r->used++;
	}
	r->slots[at] = s;
	sys_spin_unlock(&r->lock);
	return result;
no_memory:
	sys_spin_unlock(&r->lock);
	if (s.a & A_SIDE)
		side_free(A_REF(s.a));
	return LEDGER_NO_MEMORY;
}

bool ledger_take(uintptr_t pointer, struct ledger_entry *e)
{
	struct region *r = region_of(pointer, false);
	struct slot s;

	if (unlikely(!r || (pointer & 7)))
		return false;
	sys_spin_lock(&r->lock);
	if (unlikely(!r->slots))
		goto absent;
	uint32_t mask = (1u << r->log2) - 1, hole = find(r, key_of(pointer));
	s = r->slots[hole];
	if (unlikely(!(s.a & A_USED) || A_KEY(s.a) != key_of(pointer)))
		goto absent;
	/* Close the hole: move back what was pushed past it. */
	uint32_t last = hole;
	for (uint32_t at = (hole + 1) & mask; at != last && (r->slots[at].a & A_USED);
		at = (at + 1) & mask) {
		uint32_t wanted = home(A_KEY(r->slots[at].a), r->log2);
		if (((at - wanted) & mask) >= ((at - hole) & mask)) {
			r->slots[hole] = r->slots[at];
			hole = at;
		}
	}
	r->slots[hole].a = 0;
	if (--r->used == 0 && r->log2 > MIN_LOG2) {
		slots_free(r->slots, r->log2);
		r->slots = NULL;
		r->log2 = 0;
	}
	sys_spin_unlock(&r->lock);
	unpack(s, e);
	return true;
absent:
	sys_spin_unlock(&r->lock);
	return false;
}

bool ledger_init(void)
{
	tops = sys_reserve(sizeof(tops[0]) << TOP_BITS);
	memset(&memory_lock, 0, sizeof(memory_lock));
	memset(&side_lock, 0, sizeof(side_lock));
	memset(free_slots, 0, sizeof(free_slots));
	slab_left = 0;
	n_sides = 1;
	free_side = 0;
	sides = sys_reserve(sizeof(struct side) * MAX_SIDES);
	return tops && sides;
}
