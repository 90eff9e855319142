/* SPDX-License-Identifier: MIT */
/*
 * From a found entry point to a hooked one. Nothing is patched before it has behaved as its role says, in a child
 * process that shares nothing with the host and is given half a second. A slot is replaced by one aligned store; a
 * function that is also called directly gets a jump at its start, whose first instructions move to a trampoline.
 */
#include "adopt.h"

#include <string.h>
#include <sys/mman.h>

#include "adopt_cache.h"
#include "adopt_code.h"
#include "find.h"
#include "find_elf.h"
#include "modules.h"
#include "probes.h"
#include "record.h"
#include "tallyfile.h"

#define MAX_HOOKS        64u
#define MAX_WAITING      32u
#define PROOF_MS         500u
#define WHOLE_MS         10000u /* the first look at a module of 100 MB takes a second */
#define PROOF_BLOCKS     64u
#define MOVED_BYTES      128u /* instructions, 64 bytes at most, and the jump back */
#define TRAMPOLINE_BYTES (MOVED_BYTES + ADOPT_PASSING_BYTES)

typedef uintptr_t entry_function(uintptr_t, uintptr_t, uintptr_t, uintptr_t);

/* One hooked entry point. */
struct hook {
	entry_function *real; /* the function, or its moved beginning */
	enum find_role role;
	enum find_shape shape;
	uintptr_t module_start; /* 0: free */
	uint8_t *trampoline;    /* NULL: it has none */
};

static struct hook hooks[MAX_HOOKS];
static struct sys_lock adopt_lock;
static struct {
	uintptr_t start;
	uint16_t index;
} waiting[MAX_WAITING];
static uint32_t n_waiting;
static uintptr_t considered[256]; /* module starts; a ring is enough, it only saves work */
static uint32_t n_considered;
static uintptr_t libc_allocator; /* the next malloc in line, which is hooked already */
bool adopt_waiting;

/* The request in an argument list. */
struct request {
	uintptr_t p;
	uint64_t bytes;
	uint64_t align; /* 0: not told */
};

static inline struct request read_request(
	enum find_shape shape, uintptr_t a, uintptr_t b, uintptr_t c, uintptr_t d)
{
	uint64_t flags_align = 1ull << (c & 63);

	switch (shape) {
	case FIND_SIZE:
		return (struct request){0, a, 0};
	case FIND_SIZE_ALIGN:
		return (struct request){0, a, b};
	case FIND_SIZE_FLAGS:
		return (struct request){0, a, b & 63 ? 1ull << (b & 63) : 0};
	case FIND_COUNT_SIZE:
		return (struct request){0, a * b, 0};
	case FIND_ALIGN_SIZE:
		return (struct request){0, b, a};
	case FIND_PTR_NEW:
		return (struct request){a, b, 0};
	case FIND_PTR_NEW_ALIGN:
		return (struct request){a, b, c};
	case FIND_PTR_NEW_FLAGS:
		return (struct request){a, b, c & 63 ? flags_align : 0};
	case FIND_PTR_OLD_ALIGN_NEW:
		return (struct request){a, d, c};
	default:
		return (struct request){a, 0, 0};
	}
}

/* Entry points call each other: what happens inside a call belongs to it. start: NULL where none is to be timed. */
static inline uintptr_t call_muted(
	const struct hook *h, uintptr_t a, uintptr_t b, uintptr_t c, uintptr_t d, uint64_t *start)
{
	uint64_t before = record_mute();

	if (start)
		*start = probes_start();
	uintptr_t result = h->real(a, b, c, d);
	if (start && probes_timed(*start))
		probes_stop(*start);
	record_unmute(before);
	return result;
}

static uintptr_t hooked_alloc(const struct hook *h, const uintptr_t *caller, uintptr_t a,
	uintptr_t b, uintptr_t c, uintptr_t d)
{
	uint64_t start;

	if (record_self.open == RECORD_MUTED)
		return h->real(a, b, c, d);
	struct request q = read_request(h->shape, a, b, c, d);
	if (sample_passes(q.bytes)) /* and the trampoline could not do it */
		return call_muted(h, a, b, c, d, NULL);
	uintptr_t result = call_muted(h, a, b, c, d, &start);
	struct thread *t = record_enter_alloc((void *)result, q.bytes);
	if (t) {
		if (result)
			record_alloc(t, caller, (void *)result, q.bytes, q.bytes,
				record_align_code(q.align), HT_SOURCE_ADOPTED,
				h->role == FIND_ALLOC);
		else
			record_failure(q.bytes);
		record_leave(t);
	}
	probes_elapsed = 0;
	return result;
}

static uintptr_t hooked_realloc(const struct hook *h, const uintptr_t *caller, uintptr_t a,
	uintptr_t b, uintptr_t c, uintptr_t d)
{
	struct request q = read_request(h->shape, a, b, c, d);
	struct record_realloc r;
	uint64_t start;

	if (!q.p)
		return hooked_alloc(h, caller, a, b, c, d);
	if (record_self.open == RECORD_MUTED)
		return h->real(a, b, c, d);
	if (sample_unknown((void *)q.p) && sample_passes(q.bytes))
		return call_muted(h, a, b, c, d, NULL);
	record_realloc_begin(&r, (void *)q.p);
	uintptr_t result = call_muted(h, a, b, c, d, &start);
	record_realloc_end(&r, caller, (void *)result, q.bytes, q.bytes, record_align_code(q.align),
		HT_SOURCE_ADOPTED);
	probes_elapsed = 0; /* of one that was not recorded */
	return result;
}

static uintptr_t hooked_dealloc(
	const struct hook *h, uintptr_t a, uintptr_t b, uintptr_t c, uintptr_t d)
{
	uint64_t start;

	if (record_self.open == RECORD_MUTED)
		return h->real(a, b, c, d);
	if (a)
		record_freeing((void *)a);
	uintptr_t result = call_muted(h, a, b, c, d, &start);
	if (unlikely(start))
		record_freed();
	return result;
}

#define EACH_HOOK(X)                                                                               \
	X(0)                                                                                       \
	X(1)                                                                                       \
	X(2)                                                                                       \
	X(3)                                                                                       \
	X(4)                                                                                       \
	X(5)                                                                                       \
	X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15) X(16) X(17) X(18) X(19) X(20)      \
		X(21) X(22) X(23) X(24) X(25) X(26) X(27) X(28) X(29) X(30) X(31) X(32) X(33)      \
			X(34) X(35) X(36) X(37) X(38) X(39) X(40) X(41) X(42) X(43) X(44) X(45)    \
				X(46) X(47) X(48) X(49) X(50) X(51) X(52) X(53) X(54) X(55) X(56)  \
					X(57) X(58) X(59) X(60) X(61) X(62) X(63)
#define DEFINE_HOOK(n)                                                                             \
	static uintptr_t alloc_##n(uintptr_t a, uintptr_t b, uintptr_t c, uintptr_t d)             \
	{                                                                                          \
		return hooked_alloc(&hooks[n], UNWIND_CALLER, a, b, c, d);                         \
	}                                                                                          \
	static uintptr_t realloc_##n(uintptr_t a, uintptr_t b, uintptr_t c, uintptr_t d)           \
	{                                                                                          \
		return hooked_realloc(&hooks[n], UNWIND_CALLER, a, b, c, d);                       \
	}                                                                                          \
	static uintptr_t dealloc_##n(uintptr_t a, uintptr_t b, uintptr_t c, uintptr_t d)           \
	{                                                                                          \
		return hooked_dealloc(&hooks[n], a, b, c, d);                                      \
	}
EACH_HOOK(DEFINE_HOOK)
/* Hook functions by role; those of hooks[n]. */
#define NAME_HOOK(n) {alloc_##n, alloc_##n, realloc_##n, dealloc_##n},
static entry_function *const hook_functions[MAX_HOOKS][FIND_ROLES] = {EACH_HOOK(NAME_HOOK)};

/* The proof. It runs in the child; `proven` is shared with the parent. */

/* jemalloc's flags: nothing for an alignment that a block of this size has anyway, as Rust's wrappers do it. */
static uintptr_t align_flags(size_t align, size_t bytes)
{
	return align > 16 || align > bytes ? (uintptr_t)__builtin_ctzl(align) : 0;
}

static uintptr_t call_alloc(const struct find_entry *e, uintptr_t bias, size_t bytes, size_t align)
{
	entry_function *f = (entry_function *)(bias + e->function);

	switch (e->shape) {
	case FIND_SIZE:
		return f(bytes, 0, 0, 0);
	case FIND_SIZE_ALIGN:
		return f(bytes, align, 0, 0);
	case FIND_SIZE_FLAGS:
		return f(bytes,
			align_flags(align, bytes) | (e->role == FIND_ALLOC_ZEROED ? 0x40 : 0), 0,
			0);
	case FIND_COUNT_SIZE:
		return f(1, bytes, 0, 0);
	case FIND_ALIGN_SIZE:
		return f(align, bytes, 0, 0);
	default:
		return 0;
	}
}

static uintptr_t call_realloc(const struct find_entry *e, uintptr_t bias, uintptr_t p, size_t old,
	size_t bytes, size_t align)
{
	entry_function *f = (entry_function *)(bias + e->function);

	/* What an entry does not take is set to what would show if it did. */
	switch (e->shape) {
	case FIND_PTR_NEW:
		return f(p, bytes, 1, 1);
	case FIND_PTR_NEW_ALIGN:
		return f(p, bytes, align, 1);
	case FIND_PTR_NEW_FLAGS:
		return f(p, bytes, align_flags(align, bytes), 1);
	case FIND_PTR_OLD_ALIGN_NEW:
		return f(p, old, align, bytes);
	default:
		return 0;
	}
}

static void call_dealloc(
	const struct find_entry *e, uintptr_t bias, uintptr_t p, size_t bytes, size_t align)
{
	entry_function *f = (entry_function *)(bias + e->function);

	f(p, bytes, e->shape == FIND_PTR_SIZE_FLAGS ? align_flags(align, bytes) : align, 0);
}

static bool has_alignment(enum find_shape shape)
{
	return shape == FIND_SIZE_ALIGN || shape == FIND_SIZE_FLAGS || shape == FIND_ALIGN_SIZE;
}

static bool filled(uintptr_t p, unsigned char with, size_t bytes)
{
	const unsigned char *block = (const unsigned char *)p;

	return bytes == 0 || (block[0] == with && memcmp(block, block + 1, bytes - 1) == 0);
}

/* Many blocks at a time: aligned, apart from each other, keeping what is written, and used again once freed. */
static bool prove_alloc(const struct find_entry *a, const struct find_entry *d, uintptr_t bias)
{
	static const size_t sizes[] = {1, 24, 56, 200, 1000, 5000, 70000, 300000};
	uintptr_t blocks[PROOF_BLOCKS], first = 0;
	size_t size_of[PROOF_BLOCKS], align_of[PROOF_BLOCKS];

	for (unsigned i = 0; i < PROOF_BLOCKS; i++) {
		size_of[i] = sizes[i % 8];
		align_of[i] = has_alignment(a->shape) ? 8u << (i / 8 % 4) : 8;
		blocks[i] = call_alloc(a, bias, size_of[i], align_of[i]);
		if (!blocks[i] || blocks[i] % align_of[i])
			return false;
		if (a->role == FIND_ALLOC_ZEROED && !filled(blocks[i], 0, size_of[i]))
			return false;
		memset((void *)blocks[i], (int)i + 1, size_of[i]);
	}
	for (unsigned i = 0; i < PROOF_BLOCKS; i++)
		if (!filled(blocks[i], (unsigned char)(i + 1), size_of[i]))
			return false;
	for (unsigned i = 0; i < PROOF_BLOCKS; i++)
		call_dealloc(d, bias, blocks[i], size_of[i], align_of[i]);
	/* A dealloc that keeps everything would show: addresses must come back. */
	unsigned seen_again = 0;
	for (unsigned i = 0; i < 2000; i++) {
		uintptr_t p = call_alloc(a, bias, 48, 8);
		if (!p || (a->role == FIND_ALLOC_ZEROED && !filled(p, 0, 48)))
			return false;
		if (i == 1000)
			first = p;
		seen_again += i > 1000 && p == first;
		memset((void *)p, 0x5a, 48);
		call_dealloc(d, bias, p, 48, 8);
	}
	return seen_again > 0;
}

/* Grows and shrinks; contents stay; what was asked for is really there: neighbours made later do not lie in it. */
static bool prove_realloc(const struct find_entry *r, const struct find_entry *a,
	const struct find_entry *d, uintptr_t bias)
{
	static const size_t steps[] = {40, 100, 3000, 100000, 1 << 20, 500, 60};
	uintptr_t p = call_alloc(a, bias, steps[0], 16), others[PROOF_BLOCKS];

	if (!p)
		return false;
	memset((void *)p, 0x11, steps[0]);
	for (unsigned i = 1; i < sizeof(steps) / sizeof(steps[0]); i++) {
		size_t least = steps[i] < steps[i - 1] ? steps[i] : steps[i - 1];
		p = call_realloc(r, bias, p, steps[i - 1], steps[i], 16);
		if (!p || p % 8 || !filled(p, (unsigned char)(0x10 + i), least))
			return false;
		memset((void *)p, (int)(0x11 + i), steps[i]);
		for (unsigned k = 0; k < PROOF_BLOCKS; k++) {
			others[k] = call_alloc(a, bias, least / (k + 1) + 1, 8);
			if (!others[k] ||
				(others[k] + least / (k + 1) >= p && others[k] < p + steps[i]))
				return false;
			memset((void *)others[k], 0xee, least / (k + 1) + 1);
		}
		if (!filled(p, (unsigned char)(0x11 + i), steps[i]))
			return false;
		for (unsigned k = 0; k < PROOF_BLOCKS; k++)
			call_dealloc(d, bias, others[k], least / (k + 1) + 1, 8);
	}
	call_dealloc(d, bias, p, 60, 16);
	return true;
}

static const struct find_entry *first_of(
	const struct find_result *found, uint8_t group, enum find_role role)
{
	for (uint32_t i = 0; i < found->n_entries; i++)
		if (found->entries[i].group == group && found->entries[i].role == role)
			return &found->entries[i];
	return NULL;
}

static void prove_all(const struct find_result *found, uintptr_t bias, volatile uint32_t *proven)
{
	for (uint32_t i = 0; i < found->n_entries; i++) {
		const struct find_entry *e = &found->entries[i];
		const struct find_entry *a = first_of(found, e->group, FIND_ALLOC),
					*d = first_of(found, e->group, FIND_DEALLOC);
		bool ok = a && d;

		switch (e->role) {
		case FIND_ALLOC:
		case FIND_ALLOC_ZEROED:
			ok = ok && prove_alloc(e, d, bias);
			break;
		case FIND_REALLOC:
			ok = ok && prove_realloc(e, a, d, bias);
			break;
		case FIND_DEALLOC:
			ok = ok && prove_alloc(a, e, bias);
			break;
		default:
			ok = false;
		}
		if (ok)
			*proven |= 1u << i;
	}
}

/* Bits of the entries that behaved. */
static uint32_t prove(const struct find_result *found, uintptr_t bias)
{
	volatile uint32_t *shared = sys_map_shared(SYS_PAGE_BYTES);
	uint32_t proven = 0;

	if (!shared)
		return 0;
	uint64_t before = record_mute(); /* also in the child, whose tables are not there */
	int child = sys_fork_quietly();
	if (child == 0) {
		prove_all(found, bias, shared);
		sys_exit(0);
	}
	record_unmute(before);
	if (child > 0) {
		if (!sys_wait_for(child, PROOF_MS))
			sys_kill_and_wait(child);
		proven = *shared;
	}
	sys_unmap((void *)shared, SYS_PAGE_BYTES);
	return proven;
}

/* The hooking. */

static void free_hooks(uintptr_t module_start)
{
	for (uint32_t i = 0; i < MAX_HOOKS; i++)
		if (hooks[i].module_start == module_start)
			hooks[i].module_start = 0;
}

static struct hook *free_hook(void)
{
	for (uint32_t i = 0; i < MAX_HOOKS; i++)
		if (hooks[i].module_start == 0)
			return &hooks[i];
	return NULL;
}

/* What was patched, to take it back when the rest of a group cannot be. */
struct patch {
	uint64_t *at;
	uint64_t before;
	int prot; /* of the page, to be restored; 0: it is writable */
};
struct patches {
	struct patch list[FIND_MAX_ENTRIES * FIND_MAX_SLOTS];
	uint32_t n;
};

static bool store(struct patches *patches, uint64_t *at, uint64_t value, int prot)
{
	struct patch *p = &patches->list[patches->n];

	if (prot && sys_protect((uintptr_t)at, 8, PROT_READ | PROT_WRITE | (prot & PROT_EXEC)) < 0)
		return false;
	*p = (struct patch){at, *at, prot};
	patches->n++;
	/* one aligned store: a thread that comes by sees the one or the other */
	__atomic_store_n(at, value, __ATOMIC_SEQ_CST);
	if (prot)
		sys_protect((uintptr_t)at, 8, prot);
	return true;
}

static void take_back(struct patches *patches)
{
	struct patches none = {.n = 0};

	while (patches->n > 0) {
		struct patch *p = &patches->list[--patches->n];
		none.n = 0;
		store(&none, p->at, p->before, p->prot);
	}
}

/*
 * Beside the module there may be no room: the allocator's first gigabyte on one side, the tally's tables on the other.
 * A jump reaches 2 GiB; what is left of that is for the distances in the moved instructions.
 */
static uint8_t *map_trampoline(uintptr_t function)
{
	const uintptr_t further = 896ul << 20;
	uint8_t *near = sys_map_near(function, SYS_PAGE_BYTES);

	if (!near)
		near = sys_map_near(function - further, SYS_PAGE_BYTES);
	return near ? near : sys_map_near(function + further, SYS_PAGE_BYTES);
}

/*
 * Beside a function: its first instructions and a jump back to the rest, if its start is to be patched; then what callers are
 * led to, the hook or what passes most calls by it.
 */
static bool make_trampoline(
	const struct find_entry *e, struct hook *h, entry_function *to, bool at_start, bool passing)
{
	const uint8_t *function = (const uint8_t *)h->real;
	uint8_t *near = map_trampoline((uintptr_t)function);

	if (!near)
		return false;
	if (at_start) {
		size_t moved = adopt_move(near, function, ADOPT_NEAR_JUMP_BYTES, e->movable);
		if (moved == 0)
			goto fail;
		adopt_put_jump(near + moved, (uintptr_t)function + moved);
		h->real = (entry_function *)near;
	}
	if (passing)
		adopt_put_passing(
			near + MOVED_BYTES, e->role, e->shape, (uintptr_t)h->real, (uintptr_t)to);
	else
		adopt_put_jump(near + MOVED_BYTES, (uintptr_t)to);
	if (sys_protect((uintptr_t)near, TRAMPOLINE_BYTES, PROT_READ | PROT_EXEC) < 0)
		goto fail;
	h->trampoline = near;
	return true;
fail:
	sys_unmap(near, SYS_PAGE_BYTES);
	return false;
}

/*
 * Puts a jump at the start of a function. The five bytes are written by one aligned store of eight, so a thread calls
 * the old function or the new one; none is in the middle of those bytes as long as the module has only just mapped
 * its first memory.
 */
static bool patch_start(uintptr_t function, const uint8_t *to, struct patches *patches)
{
	uint64_t *aligned = (uint64_t *)(function & ~7ul), word = *aligned;

	return adopt_put_near_jump((uint8_t *)&word + (function & 7),
		       (int64_t)(uintptr_t)to - (int64_t)function) &&
	       store(patches, aligned, word, PROT_READ | PROT_EXEC);
}

/* A function can be patched at its start. */
static bool patchable(const struct find_entry *e, uintptr_t bias)
{
	return e->movable >= ADOPT_NEAR_JUMP_BYTES && ((bias + e->function) & 7) <= 3;
}

static bool in_relro(const struct find_result *found, uint64_t vaddr)
{
	return vaddr - found->relro < found->relro_bytes;
}

/* Calls within calls are nobody's: with them, hooks have to know that they are inside of one. */
static bool group_nested(const struct find_result *found, uint8_t group)
{
	for (uint32_t i = 0; i < found->n_entries; i++)
		if (found->entries[i].group == group && found->entries[i].nested)
			return true;
	return false;
}

/* nested: an entry of its group is. */
static bool hook_entry(const struct find_result *found, const struct find_entry *e, bool nested,
	const struct module *m, struct patches *patches)
{
	struct hook *h = free_hook();

	if (!h)
		return false;

	entry_function *to = hook_functions[h - hooks][e->role];
	bool at_start = !e->by_slot || e->n_slots == 0;
	bool passing = sample_mean && adopt_passes(e->role, e->shape) &&
		       (!nested || e->role == FIND_DEALLOC);
	h->real = (entry_function *)(m->bias + e->function);
	h->role = e->role;
	h->shape = e->shape;
	h->module_start = m->start;
	h->trampoline = NULL;
	bool made = (at_start || passing) && make_trampoline(e, h, to, at_start, passing);
	if (at_start &&
		!(made && patch_start(m->bias + e->function, h->trampoline + MOVED_BYTES, patches)))
		return false;
	if (made && passing)
		to = (entry_function *)(h->trampoline + MOVED_BYTES);
	/* The slots in any case: that spares their callers the jump at the start. */
	for (uint32_t i = 0; i < e->n_slots; i++)
		if (e->slots[i] % 8 ||
			!store(patches, (uint64_t *)(m->bias + e->slots[i]), (uintptr_t)to,
				in_relro(found, e->slots[i]) ? PROT_READ : 0))
			return false;
	return true;
}

/* All of a group, or nothing of it. The roles, as bits. */
static uint32_t hook_group(const struct find_result *found, uint8_t group, const struct module *m)
{
	static struct patches patches; /* under adopt_lock */
	uint32_t roles = 0;
	bool nested = group_nested(found, group);

	patches.n = 0;
	for (uint32_t i = 0; i < found->n_entries; i++) {
		const struct find_entry *e = &found->entries[i];
		if (e->group != group)
			continue;
		if (!hook_entry(found, e, nested, m, &patches)) {
			take_back(&patches);
			free_hooks(m->start);
			return 0;
		}
		roles |= 1u << e->role;
	}
	return roles;
}

/* Can this entry be hooked at all? Asked for all before the first is touched. */
static bool hookable(const struct find_entry *e, uintptr_t bias)
{
	return (e->by_slot && e->n_slots > 0) || patchable(e, bias);
}

/* A group is adopted whole or not at all: half an allocator would give wrong sums. */
static enum ht_refusal group_refused(
	const struct find_result *found, uint8_t group, uint32_t proven, uintptr_t bias)
{
	uint32_t roles = 0;

	for (uint32_t i = 0; i < found->n_entries; i++) {
		const struct find_entry *e = &found->entries[i];
		if (e->group != group)
			continue;
		if (!hookable(e, bias))
			return HT_REFUSED_SHORT;
		if (!(proven >> i & 1))
			return HT_REFUSED_UNPROVEN;
		roles |= 1u << e->role;
	}
	return (roles >> FIND_ALLOC & 1) && (roles >> FIND_DEALLOC & 1) ? HT_REFUSED_NOTHING
									: HT_REFUSED_PARTLY;
}

static void *scratch_map(size_t bytes)
{
	return sys_reserve(bytes);
}

static void adopt_module(const struct module *m)
{
	struct ht_module *out = &tally.modules[m->index];
	struct find_memory memory = {scratch_map, sys_unmap};
	struct find_result *found =
		sys_map_shared(sizeof(*found)); /* the child of the proof reads it */
	struct find_image image = {.loaded = true, .bias = m->bias};

	if (!found)
		return;
	const char *path = tally.strings + out->path;
	bool known = adopt_cache_load(out, path, found);
	if (!known) {
		image.headers = modules_headers(m, &image.n_headers);
		known = image.headers && find_entries(found, &image, &memory) == 0;
		if (known)
			adopt_cache_store(out, path, found);
	}
	if (known && found->gone_round)
		out->refused = HT_REFUSED_ROUND;
	if (known && !found->unable && found->n_entries > 0) {
		uint32_t proven = prove(found, m->bias);
		for (uint8_t group = 0; group < found->n_groups; group++) {
			enum ht_refusal refused = group_refused(found, group, proven, m->bias);
			if (refused != HT_REFUSED_NOTHING) {
				out->refused = (uint16_t)refused;
				continue;
			}
			uint32_t roles = hook_group(found, group, m);
			out->adopted |= (uint8_t)roles;
			if (roles)
				out->flags |= HT_MODULE_ADOPTED;
			else
				out->refused = HT_REFUSED_PARTLY;
		}
	}
	sys_unmap(found, sizeof(*found));
}

void adopt_exclude(uintptr_t function)
{
	libc_allocator = function;
}

/* An allocator gets its memory from the kernel: a module that cannot ask for it needs no closer look. */
static bool asks_kernel(const struct module *m)
{
	static const char *const names[] = {"mmap", "mmap64", "mremap", "sbrk", "syscall"};
	struct find_image image = {.loaded = true, .bias = m->bias};
	struct elf_view view;
	const char *why;

	image.headers = modules_headers(m, &image.n_headers);
	if (!image.headers || elf_open(&view, &image, &why))
		return false;
	for (size_t i = 0; i < view.dynamic.n; i++)
		for (unsigned k = 0; k < sizeof(names) / sizeof(names[0]); k++)
			if (view.dynamic.symbols[i].st_shndx == SHN_UNDEF &&
				elf_same(elf_name(&view.dynamic, &view.dynamic.symbols[i]),
					names[k]))
				return true;
	return false;
}

void adopt_consider(const struct module *m)
{
	if (m == modules_self() || m == modules_find(libc_allocator))
		return;
	for (uint32_t i = 0; i < sizeof(considered) / sizeof(considered[0]); i++)
		if (considered[i] == m->start)
			return;
	bool worth = asks_kernel(m);
	sys_lock(&adopt_lock);
	considered[n_considered++ % (sizeof(considered) / sizeof(considered[0]))] = m->start;
	if (worth && n_waiting < MAX_WAITING) {
		waiting[n_waiting].start = m->probe;
		waiting[n_waiting++].index = m->index;
		__atomic_store_n(&adopt_waiting, true, __ATOMIC_RELEASE);
	}
	sys_unlock(&adopt_lock);
}

/* Under the lock, which is given back. */
static void adopt_all(void)
{
	while (n_waiting > 0) {
		const struct module *m = modules_find(waiting[--n_waiting].start);
		bool hooked_already = false;
		if (!m)
			continue;
		for (uint32_t i = 0; i < MAX_HOOKS; i++)
			hooked_already = hooked_already || hooks[i].module_start == m->start;
		if (hooked_already) /* by the parent of this process */
			tally.modules[m->index].flags |= HT_MODULE_ADOPTED;
		else
			adopt_module(m);
	}
	__atomic_store_n(&adopt_waiting, false, __ATOMIC_RELEASE);
	sys_unlock(&adopt_lock);
}

void adopt_run(void)
{
	if (sys_trylock(&adopt_lock))
		adopt_all();
}

void adopt_run_whole(void)
{
	if (sys_lock_within(&adopt_lock, WHOLE_MS))
		adopt_all();
}

void adopt_init(void)
{
	memset(&adopt_lock, 0, sizeof(adopt_lock));
	memset(considered, 0, sizeof(considered));
	n_waiting = 0;
	adopt_waiting = false;
}

void adopt_forget(const struct module *m)
{
	/* Nobody is in them who is not in what is gone. */
	for (uint32_t i = 0; i < MAX_HOOKS; i++)
		if (hooks[i].module_start == m->start && hooks[i].trampoline)
			sys_unmap(hooks[i].trampoline, SYS_PAGE_BYTES);
	free_hooks(m->start);
	for (uint32_t i = 0; i < sizeof(considered) / sizeof(considered[0]); i++)
		if (considered[i] == m->start)
			considered[i] = 0;
}
