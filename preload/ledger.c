/* SPDX-License-Identifier: MIT */
/*
 * What a thread put last stays in a small table of its own, found by a hash of the pointer, until another block wants the place:
 * 6 in 10 of a bundler's blocks are freed from there, by the thread that allocated them, without a lock. The others go on
 * to the table of the page that they start in, found by its number: 8-byte slots with linear probing, where a slot's home
 * is the pointer's place within its page scaled to the table. Allocators fill pages with objects of like size, so most
 * sit at home, and a table can be filled to its last slot. Slots lie in the order of their homes (Celis 1986, "Robin Hood
 * Hashing"), which ends a search, and the closing of a hole, at the first one that is at home. The word that leads to a
 * table holds its lock too, and the words of neighbouring pages lie together: a look-up misses the cache once, in the
 * table. What does not fit a slot (chains, large sizes) has a side record.
 */
#include "ledger.h"

#include <string.h>

#include "sys.h"
#include "tallyfile.h"

#define ADDRESS_BITS 47u
#define AREA_BITS    LEDGER_AREA_BITS
#define AREA_PAGES   (1u << (AREA_BITS - 12))
#define PART_PAGES   (AREA_PAGES / LEDGER_PARTS)
#define MAX_AREAS    1024u /* of those that are looked at */
#define KEY_BITS     9u    /* pointers are multiples of 8: mimalloc's and jemalloc's small ones */
#define MIN_LOG2     3u    /* 8 slots: one cache line */
#define LINE_BYTES   64u
#define TABLE_BYTES  (1ul << 30) /* of all tables */
#define MAX_SIDES    (1u << 22)

/* What leads to a page's table: a bit that is 0, log2 of its slots 4, its first line 24; 0: no table yet. */
#define LOCKED        1u /* a thread holds the word, and with it the table */
#define LOG2(word)    ((word) >> 1 & 15u)
#define SLOTS(word)   ((uint64_t *)(tables + (size_t)((word) >> 5) * LINE_BYTES))
#define WORD(p, log2) ((uint32_t)(((char *)(p)-tables) / LINE_BYTES) << 5 | (log2) << 1)

/*
 * A slot: place within the page 9, side 1, bucket 20 and size beyond the class's least 8, or side number 28, thread 8,
 * birth 18. Empty is 0: bucket 0 has a side record, and there is no side 0.
 */
#define KEY(s)    ((uint32_t)(s)&0x1ff)
#define SIDE      (1ull << 9)
#define REF(s)    ((uint32_t)((s) >> 10) & MAX_REF)
#define MAX_REF   0xfffffu
#define REST(s)   ((s) >> 30 & 0xff)
#define SIDE_N(s) ((uint32_t)((s) >> 10) & 0xfffffff)
#define THREAD(s) ((uint32_t)((s) >> 38) & 0xff)
#define BIRTH(s)  ((uint32_t)((s) >> 46))

/* Birth as a floating number: exponent 5, mantissa 13 below a leading 1. 0 is for one that is not known. */
#define BIRTH_UNIT_BITS 8u /* ticks are counted in this unit */
#define BIRTH_MANTISSA  13u

/* Side records go to and fro between threads and the store in lists of this length, linked by next_free. */
#define SIDE_BATCH 32u

struct side {
	uint64_t bytes;
	union {
		uint32_t bucket;
		uint32_t next_free; /* of one without use */
	};
	union {
		uint32_t origin;
		uint32_t next_batch;
	};
	uint32_t regrows;
	bool filled;
};

static uint32_t **areas; /* words of the pages of each GiB */
static char *tables;
static struct side *sides;
static bool sparse; /* what a thread puts goes to the tables at once */
static struct ledger_own *joined;
static uint32_t used_areas[MAX_AREAS], n_used_areas; /* each plus 1 */
static struct {
	struct sys_lock memory_lock, side_lock;
	size_t tables_used;
	void *free_slots[KEY_BITS + 1]; /* by log2; linked through the first word */
	uint32_t n_sides, free_batch;
} store;

static inline uint32_t birth_pack(uint64_t ticks)
{
	uint64_t v =
		((ticks - tally.header->start_ticks) >> BIRTH_UNIT_BITS) + (1 << BIRTH_MANTISSA);
	uint32_t exponent = 63u - (uint32_t)__builtin_clzll(v) - BIRTH_MANTISSA;

	uint32_t packed = exponent << BIRTH_MANTISSA |
			  ((uint32_t)(v >> exponent) & ((1u << BIRTH_MANTISSA) - 1));

	return packed ? packed : 1;
}

static inline uint64_t birth_unpack(uint32_t packed)
{
	uint64_t v = (uint64_t)((packed & ((1u << BIRTH_MANTISSA) - 1)) | 1u << BIRTH_MANTISSA)
		     << (packed >> BIRTH_MANTISSA);

	return ((v - (1 << BIRTH_MANTISSA)) << BIRTH_UNIT_BITS) + tally.header->start_ticks;
}

uint64_t ledger_age(const struct ledger_entry *e, uint64_t now)
{
	if (e->rounded)
		now = birth_unpack(birth_pack(now));
	return now > e->birth_ticks ? now - e->birth_ticks : 0;
}

/* A list of SIDE_BATCH records, or nothing. */
static COLD void side_fetch(struct ledger_own *own)
{
	sys_lock(&store.side_lock);
	uint32_t n = store.free_batch;
	if (n) {
		store.free_batch = sides[n].next_batch;
	} else if (store.n_sides + SIDE_BATCH <= MAX_SIDES) {
		n = store.n_sides;
		store.n_sides += SIDE_BATCH;
		for (uint32_t i = n; i < n + SIDE_BATCH - 1; i++)
			sides[i].next_free = i + 1;
	}
	sys_unlock(&store.side_lock);
	own->first_side = n;
	own->n_sides = n ? SIDE_BATCH : 0;
}

static COLD void side_give_back(struct ledger_own *own)
{
	uint32_t batch = own->first_side, last = batch;

	for (uint32_t i = 1; i < SIDE_BATCH; i++)
		last = sides[last].next_free;
	own->first_side = sides[last].next_free;
	own->n_sides -= SIDE_BATCH;
	sides[last].next_free = 0;
	sys_lock(&store.side_lock);
	sides[batch].next_batch = store.free_batch;
	store.free_batch = batch;
	sys_unlock(&store.side_lock);
}

static NOINLINE uint32_t side_new(struct ledger_own *own, const struct ledger_entry *e)
{
	if (unlikely(own->n_sides == 0))
		side_fetch(own);
	uint32_t n = own->first_side;
	if (likely(n)) {
		own->first_side = sides[n].next_free;
		own->n_sides--;
		sides[n] = (struct side){.bytes = e->bytes,
			.bucket = e->bucket,
			.origin = e->origin,
			.regrows = e->regrows,
			.filled = e->filled};
	}
	return n;
}

static NOINLINE void side_free(struct ledger_own *own, uint32_t n)
{
	sides[n].next_free = own->first_side;
	own->first_side = n;
	if (unlikely(++own->n_sides >= 2 * SIDE_BATCH))
		side_give_back(own);
}

static uint64_t *slots_new(uint32_t log2)
{
	size_t bytes = sizeof(uint64_t) << log2;
	void *p;
	bool used = true;

	sys_lock(&store.memory_lock);
	p = store.free_slots[log2];
	if (p) {
		store.free_slots[log2] = *(void **)p;
	} else if (store.tables_used + bytes <= TABLE_BYTES) {
		p = tables + store.tables_used;
		store.tables_used += bytes;
		used = false; /* fresh from the kernel */
	}
	sys_unlock(&store.memory_lock);
	if (p && used)
		memset(p, 0, bytes);
	return p;
}

static void slots_free(uint64_t *slots, uint32_t log2)
{
	sys_lock(&store.memory_lock);
	*(void **)slots = store.free_slots[log2];
	store.free_slots[log2] = slots;
	sys_unlock(&store.memory_lock);
}

static COLD uint32_t *new_area(uint32_t **area)
{
	uint32_t *fresh = sys_reserve(AREA_PAGES * sizeof(*fresh)), *none = NULL;

	if (!fresh)
		return NULL;
	/* release: the zeroed words are there for whoever sees them; the loser of a race takes the winner's */
	if (!__atomic_compare_exchange_n(
		    area, &none, fresh, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
		sys_unmap(fresh, AREA_PAGES * sizeof(*fresh));
		return none;
	}
	uint32_t n = __atomic_fetch_add(&n_used_areas, 1, __ATOMIC_RELAXED);
	if (n < MAX_AREAS)
		__atomic_store_n(&used_areas[n], (uint32_t)(area - areas) + 1, __ATOMIC_RELAXED);
	return fresh;
}

/* The word of a pointer's page; NULL: nothing was ever there. */
static inline uint32_t *word_of(uintptr_t pointer, bool make)
{
	if (unlikely(pointer >> ADDRESS_BITS))
		return NULL;
	/* acquire: pairs with new_area */
	uint32_t *area = __atomic_load_n(&areas[pointer >> AREA_BITS], __ATOMIC_ACQUIRE);
	if (unlikely(!area)) {
		area = make ? new_area(&areas[pointer >> AREA_BITS]) : NULL;
		if (!area)
			return NULL;
	}
	return &area[(pointer >> 12) & (AREA_PAGES - 1)];
}

static COLD uint32_t lock_wait(uint32_t *word)
{
	for (unsigned tries = 0;; tries++) {
		if (__atomic_load_n(word, __ATOMIC_RELAXED) != LOCKED) {
			uint32_t value = __atomic_exchange_n(word, LOCKED, __ATOMIC_ACQUIRE);
			if (value != LOCKED)
				return value;
		}
		if (tries % 64 == 63)
			sys_yield(); /* its holder may wait for this core */
		__builtin_ia32_pause();
	}
}

/* The word as it was: it is ours to keep and to give back. */
static inline uint32_t lock(uint32_t *word)
{
	/* acquire: what the holder before us wrote is visible */
	uint32_t value = __atomic_exchange_n(word, LOCKED, __ATOMIC_ACQUIRE);
	return likely(value != LOCKED) ? value : lock_wait(word);
}

static inline void unlock(uint32_t *word, uint32_t value)
{
	/* release: the next holder sees what we wrote */
	__atomic_store_n(word, value, __ATOMIC_RELEASE);
}

static inline uint32_t key_of(uintptr_t pointer)
{
	return (uint32_t)(pointer >> 3) & 0x1ff;
}

static inline uint32_t home(uint32_t key, uint32_t log2)
{
	return key >> (KEY_BITS - log2);
}

/* How far from its home what is in a place has come. */
static inline uint32_t away(uint64_t s, uint32_t at, uint32_t log2)
{
	return (at - home(KEY(s), log2)) & ((1u << log2) - 1);
}

/* The slot of a key, or the place where it belongs; in a full table that lacks the key, just any. */
static inline uint32_t find(const uint64_t *slots, uint32_t log2, uint32_t key)
{
	uint32_t mask = (1u << log2) - 1, at = home(key, log2);

	for (uint32_t way = 0; way < mask; way++) {
		uint64_t s = slots[at];
		if (!s || KEY(s) == key || away(s, at, log2) < way)
			break;
		at = (at + 1) & mask;
	}
	return at;
}

/* Into a place that find gave, which something else has: that and what is behind it moves on. False: the table is full. */
static NOINLINE bool squeeze_in(uint64_t *slots, uint32_t log2, uint32_t at, uint64_t s)
{
	uint32_t mask = (1u << log2) - 1, gap = at;

	do {
		gap = (gap + 1) & mask;
		if (gap == at)
			return false;
	} while (slots[gap]);
	for (; gap != at; gap = (gap - 1) & mask)
		slots[gap] = slots[(gap - 1) & mask];
	slots[at] = s;
	return true;
}

/* Into a table. *before: what was there under the same key. False: the table is full. */
static inline bool settle(uint64_t *slots, uint32_t log2, uint64_t s, uint64_t *before)
{
	uint32_t at = find(slots, log2, KEY(s));

	if (unlikely(slots[at] && KEY(slots[at]) != KEY(s)))
		return squeeze_in(slots, log2, at, s);
	*before = slots[at];
	slots[at] = s;
	return true;
}

/* The word of a table of twice the size, or of the first one; 0: no memory. */
static COLD uint32_t grow(uint32_t word)
{
	uint32_t log2 = word ? LOG2(word) + 1 : MIN_LOG2;
	uint64_t *slots = slots_new(log2);

	if (!slots)
		return 0;
	if (word) {
		uint64_t *old = SLOTS(word);
		uint64_t none;
		for (uint32_t i = 0; i < 1u << LOG2(word); i++)
			if (old[i])
				settle(slots, log2, old[i], &none);
		slots_free(old, LOG2(word));
	}
	return WORD(slots, log2);
}

static NOINLINE void unpack_side(struct ledger_own *own, uint32_t n, struct ledger_entry *e)
{
	e->bytes = sides[n].bytes;
	e->bucket = sides[n].bucket;
	e->origin = sides[n].origin;
	e->regrows = sides[n].regrows;
	e->filled = sides[n].filled;
	side_free(own, n);
}

static inline void unpack(struct ledger_own *own, uint64_t s, struct ledger_entry *e)
{
	e->thread = THREAD(s);
	e->birth_ticks = BIRTH(s) ? birth_unpack(BIRTH(s)) : 0;
	e->rounded = true;
	if (unlikely(s & SIDE)) {
		unpack_side(own, SIDE_N(s), e);
	} else {
		e->bucket = e->origin = REF(s);
		e->regrows = 0;
		e->filled = false;
		e->bytes = ht_class_min_bytes(tally.buckets[e->bucket].size_class) + REST(s);
	}
}

static inline bool pack(
	struct ledger_own *own, uintptr_t pointer, const struct ledger_entry *e, uint64_t *s)
{
	uint64_t rest = e->bytes - ht_class_min_bytes(ht_size_class(e->bytes)), ref = e->bucket;
	uint64_t side = 0;

	if (unlikely(e->regrows > 0 || e->filled || rest > 0xff || ref == 0 || ref > MAX_REF)) {
		ref = side_new(own, e);
		side = SIDE;
		rest = 0;
		if (ref == 0)
			return false;
	}
	*s = key_of(pointer) | side | ref << 10 | rest << 30 | (uint64_t)e->thread << 38 |
	     (e->birth_ticks ? (uint64_t)birth_pack(e->birth_ticks) << 46 : 0);
	return true;
}

/* The lock is a barrier: what is behind it should be on its way before. */
static inline void prefetch(const uint32_t *place, uint32_t key)
{
	uint32_t word = __atomic_load_n(place, __ATOMIC_RELAXED);

	__builtin_prefetch(SLOTS(word) + home(key, LOG2(word)), 1);
}

static inline struct ledger_recent *recent_of(struct ledger_own *own, uintptr_t pointer)
{
	return &own->recent[pointer * 0x9e3779b97f4a7c15u >> (64 - LEDGER_RECENT_BITS)];
}

static inline uintptr_t recent_pointer(const struct ledger_recent *r)
{
	/* acquire: what is known of it is there; and who took it has read it */
	return __atomic_load_n(&r->pointer, __ATOMIC_ACQUIRE);
}

static inline void set_recent(struct ledger_recent *r, uintptr_t pointer)
{
	/* release: pairs with recent_pointer */
	__atomic_store_n(&r->pointer, pointer, __ATOMIC_RELEASE);
}

/* Takes a pointer out of a thread's own part. False: not there. */
static inline bool take_recent(struct ledger_own *own, uintptr_t pointer, struct ledger_entry *e)
{
	struct ledger_recent *r = recent_of(own, pointer);

	if (recent_pointer(r) != pointer)
		return false;
	*e = r->e;
	set_recent(r, 0);
	return true;
}

void ledger_expect(struct ledger_own *own, uintptr_t pointer)
{
	if (sparse) /* the word's page may be new: to read it before it is written costs two faults */
		return;
	uintptr_t goes = recent_pointer(recent_of(own, pointer));
	const uint32_t *place = word_of(goes, false);
	if (place)
		prefetch(place, key_of(goes));
}

/* Into a table that is locked. *before: what was there under the same key, or 0. False: no memory. */
static inline bool insert(uint32_t *word, uint64_t s, uint64_t *before)
{
	for (;;) {
		if (likely(*word && settle(SLOTS(*word), LOG2(*word), s, before)))
			return true;
		uint32_t grown = grow(*word);
		if (!grown)
			return false;
		*word = grown;
	}
}

/* Out of a table that is locked; 0: it is not there. */
static inline uint64_t extract(uint32_t word, uint32_t key)
{
	uint64_t *slots = SLOTS(word);
	uint32_t log2 = LOG2(word), mask = (1u << log2) - 1, hole = find(slots, log2, key);
	uint64_t s = slots[hole];

	if (unlikely(!word || !s || KEY(s) != key))
		return 0;
	/* Close the hole: what was pushed on behind it moves back. */
	for (uint32_t at = (hole + 1) & mask; slots[at] && away(slots[at], at, log2) > 0;
		at = (at + 1) & mask) {
		slots[hole] = slots[at];
		hole = at;
	}
	slots[hole] = 0;
	return s;
}

static COLD enum ledger_result replaced(
	struct ledger_own *own, uint64_t before, struct ledger_entry *old)
{
	unpack(own, before, old);
	return LEDGER_REPLACED;
}

/* Into the table of its page; `from`: out of there at the same time, unless another thread has freed it meanwhile. */
static enum ledger_result enter(struct ledger_own *own, uintptr_t pointer,
	const struct ledger_entry *e, struct ledger_recent *from, struct ledger_entry *old)
{
	uint32_t *place = word_of(pointer, true);
	uint64_t s, before = 0;
	bool done;

	if (unlikely(!place || !pack(own, pointer, e, &s))) {
		if (from)
			set_recent(from, 0);
		return LEDGER_NO_MEMORY;
	}
	uint32_t word = lock(place);
	bool gone = from && recent_pointer(from) != pointer;
	done = likely(!gone) && insert(&word, s, &before);
	if (from)
		set_recent(from, 0);
	unlock(place, word);
	if (unlikely(!done && (s & SIDE)))
		side_free(own, SIDE_N(s));
	if (unlikely(before))
		return replaced(own, before, old);
	return likely(done || gone) ? LEDGER_OK : LEDGER_NO_MEMORY;
}

enum ledger_result ledger_put(struct ledger_own *own, uintptr_t pointer,
	const struct ledger_entry *e, struct ledger_entry *old)
{
	struct ledger_recent *r = recent_of(own, pointer);
	uintptr_t there = recent_pointer(r);
	enum ledger_result result = LEDGER_OK;

	if (unlikely(sparse))
		return enter(own, pointer, e, NULL, old);
	if (unlikely(there == pointer)) {
		*old = r->e;
		result = LEDGER_REPLACED;
	} else if (there) {
		result = enter(own, there, &r->e, r, old);
	}
	r->e = *e;
	set_recent(r, pointer);
	return result;
}

static inline struct ledger_own **source_of(struct ledger_own *own, uintptr_t pointer)
{
	return &own->sources[(pointer >> 16) * 0x9e3779b97f4a7c15u >> (64 - LEDGER_SOURCE_BITS)];
}

/*
 * Neither in the thread's own part nor in the table. From the part of another it goes to the table under the page's lock: a
 * look at both under it misses nothing.
 */
static COLD bool take_foreign(struct ledger_own *own, uintptr_t pointer, struct ledger_entry *e)
{
	uint32_t *place = word_of(pointer, true);

	if (!place)
		return false;
	uint32_t word = lock(place);
	uint64_t s = extract(word, key_of(pointer));
	bool found = s != 0;
	if (found)
		unpack(own, s, e);
	struct ledger_own **source = source_of(own, pointer);
	if (!found && *source)
		found = take_recent(*source, pointer, e);
	/* acquire: pairs with ledger_join */
	for (struct ledger_own *o = __atomic_load_n(&joined, __ATOMIC_ACQUIRE); o && !found;
		o = o->next) {
		found = take_recent(o, pointer, e);
		if (found)
			*source = o;
	}
	unlock(place, word);
	return found;
}

bool ledger_take(struct ledger_own *own, uintptr_t pointer, struct ledger_entry *e)
{
	if (likely(!sparse && take_recent(own, pointer, e)))
		return true;
	uint32_t *place = word_of(pointer, false);
	if (unlikely(pointer & 7))
		return false;
	if (likely(place && __atomic_load_n(place, __ATOMIC_RELAXED))) {
		prefetch(place, key_of(pointer));
		uint32_t word = lock(place);
		uint64_t s = extract(word, key_of(pointer));
		unlock(place, word);
		if (likely(s)) {
			unpack(own, s, e);
			return true;
		}
	}
	return !sparse && take_foreign(own, pointer, e);
}

void ledger_join(struct ledger_own *own)
{
	own->next = joined;
	/* release: its zeroes are there for whoever sees it */
	__atomic_store_n(&joined, own, __ATOMIC_RELEASE);
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

void ledger_view(struct ledger_view *v, const struct ledger_own *own, uint32_t area)
{
	const uint32_t *words = areas[area];

	v->area = area;
	for (uint32_t part = 0; part < LEDGER_PARTS; part++, words += PART_PAGES) {
		uint32_t any = 0;
		for (uint32_t i = 0; i < PART_PAGES; i++)
			any |= __atomic_load_n(&words[i], __ATOMIC_RELAXED);
		v->written[part] = any != 0;
	}
	for (uint32_t i = 0; i < 1u << LEDGER_RECENT_BITS; i++) {
		uintptr_t pointer = recent_pointer(&own->recent[i]);
		if (pointer && pointer >> AREA_BITS == area)
			v->written[pointer / LEDGER_PART_BYTES % LEDGER_PARTS] = 1;
	}
}

static void peek(uint64_t s, uintptr_t page, struct ledger_block *b)
{
	const struct side *side = s & SIDE ? &sides[SIDE_N(s)] : NULL;

	b->start = page + KEY(s) * 8;
	b->bucket = side ? side->bucket : REF(s);
	b->bytes = side ? side->bytes
			: ht_class_min_bytes(tally.buckets[b->bucket].size_class) + REST(s);
}

uint32_t ledger_page(const struct ledger_own *own, uintptr_t page, struct ledger_block *blocks)
{
	uint32_t *place = word_of(page, false), n = 0;

	for (uint32_t i = 0; i < 1u << LEDGER_RECENT_BITS; i++) {
		const struct ledger_recent *r = &own->recent[i];
		uintptr_t pointer = recent_pointer(r);
		if (pointer && pointer >> 12 == page >> 12)
			blocks[n++] = (struct ledger_block){pointer, r->e.bytes, r->e.bucket};
	}
	if (!place || !__atomic_load_n(place, __ATOMIC_RELAXED))
		return n;
	uint32_t word = lock(place);
	for (uint32_t i = 0; word && i < 1u << LOG2(word) && n < LEDGER_PAGE_BLOCKS; i++)
		if (SLOTS(word)[i])
			peek(SLOTS(word)[i], page, &blocks[n++]);
	unlock(place, word);
	return n;
}

bool ledger_init(bool few)
{
	memset(used_areas, 0, sizeof(used_areas));
	n_used_areas = 0;
	areas = sys_reserve(sizeof(areas[0]) << (ADDRESS_BITS - AREA_BITS));
	tables = few ? sys_reserve(TABLE_BYTES) : sys_map_huge(TABLE_BYTES);
	memset(&store, 0, sizeof(store));
	store.tables_used = LINE_BYTES; /* no table has the number 0 */
	store.n_sides = 1;
	sides = sys_reserve(sizeof(struct side) * MAX_SIDES);
	sparse = few;
	joined = NULL;
	return areas && tables && sides;
}
