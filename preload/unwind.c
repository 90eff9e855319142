/* SPDX-License-Identifier: MIT */
/*
 * The fast unwinder. Rules per return address come from .eh_frame once and are shared by all threads; V8's code has
 * no tables but keeps frame pointers; everything stranger is libunwind's.
 */
#include "unwind.h"

#include <string.h>

#include "cfi.h"
#include "index.h"
#include "modules.h"
#include "sites.h"
#include "tallyfile.h"
#include "threads.h"
#include "unwind_slow.h"

/* What to do at an address: enum cfi_kind, or one of these. */
enum {
	RULE_FRAME_POINTER = 8, /* no table covers the code: rbp is its frame, or the stack ends */
	RULE_NO_TABLES = 9,     /* the whole module has none */
	RULE_BROKEN = 10,       /* no code at all */
	RULE_PLAIN =
		11, /* CFI_CFA_RSP, and rbp untouched or saved within the frame: nearly all code */
};

#define MAX_FRAME_BYTES (16ul << 20)
#define DEFAULT_RULES   (1u << 15)
#define FORGOTTEN       1u   /* a slot whose module is gone */
#define SITES_AHEAD     8u   /* a stack that is new has four new frames on average */
#define RETURN_ADDRESS  (-8) /* where it lies, from the CFA */

/* A rule packed into 64 bits: kind 4, bp mode 2, after_call 1, module 16, cfa offset 21, bp offset 20. */
#define RULE_KIND(r)       ((uint32_t)(r)&15u)
#define RULE_BP(r)         ((uint32_t)((r) >> 4) & 3u)
#define RULE_AFTER_CALL(r) ((uint32_t)((r) >> 6) & 1u)
#define RULE_MODULE(r)     ((uint16_t)((r) >> 7))
#define RULE_CFA(r)        ((int64_t)((r) << 20) >> 43)
#define RULE_BP_OFFSET(r)  ((int64_t)(r) >> 44)

struct rule_table {
	uint64_t mask;
	struct {
		uintptr_t ip;
		uint64_t rule;
	} slots[];
};

static struct rule_table *rules;
static uint64_t rules_used;
static struct sys_lock rules_lock;
static uint32_t max_depth;
static uint32_t base_sites[HT_PSEUDO_COUNT]; /* what stacks hang on whose outer end is unknown */

static uint64_t rule_pack(uint32_t kind, struct cfi_rule c, bool after_call, uint16_t module)
{
	return (uint64_t)kind | (uint64_t)c.bp << 4 | (uint64_t)after_call << 6 |
	       (uint64_t)module << 7 | ((uint64_t)(uint32_t)c.cfa_offset & 0x1fffff) << 23 |
	       (uint64_t)(int64_t)c.bp_offset << 44;
}

/* Do the bytes before a return address read as a call? is_code: a table says that there is a function. */
static bool follows_call(uintptr_t ip, bool is_code)
{
	const uint8_t *b = (const uint8_t *)ip;
	bool one_page = (ip - 1) % SYS_PAGE_BYTES >= 7;

	if (!(is_code && one_page) && (ip < 64 || !sys_readable(ip - 8) || !sys_readable(ip - 1)))
		return false;
	if (b[-5] == 0xe8) /* call rel32 */
		return true;
	for (int n = 2; n <= 7;
		n++) /* call r/m: FF /2 with 0, 1 or 4 bytes of SIB and displacement */
		if (b[-n] == 0xff && ((b[-n + 1] >> 3) & 7) == 2)
			return true;
	return false;
}

static uint64_t rule_make(uintptr_t ip)
{
	const struct module *m = modules_find(ip - 1);
	const struct cfi_rule none = {0};
	struct cfi_rule c;

	if (!m)
		return rule_pack(sys_readable(ip - 1) ? RULE_FRAME_POINTER : RULE_BROKEN, none,
			follows_call(ip, false), 0);
	if (!m->frame_header)
		return rule_pack(RULE_NO_TABLES, none, follows_call(ip, false), m->index);
	c = cfi_find(m->frame_header, (const uint8_t *)m->end, ip - 1);
	if (c.kind == CFI_NO_ENTRY)
		return rule_pack(RULE_FRAME_POINTER, none, follows_call(ip, false), m->index);
	if (c.cfa_offset >= 1 << 20 || c.cfa_offset < -(1 << 20) || c.bp_offset >= 1 << 19 ||
		c.bp_offset < -(1 << 19))
		c = (struct cfi_rule){.kind = CFI_COMPLEX};
	if (c.kind == CFI_CFA_RSP && c.bp == CFI_BP_SAME)
		c.bp_offset = RETURN_ADDRESS; /* what is read there is not used */
	bool plain = c.kind == CFI_CFA_RSP && c.bp != CFI_BP_AT_BP &&
		     c.bp_offset <= RETURN_ADDRESS && c.cfa_offset + c.bp_offset >= 0;
	return rule_pack(plain ? RULE_PLAIN : c.kind, c, follows_call(ip, true), m->index);
}

static size_t rules_bytes(uint64_t slots)
{
	return sizeof(struct rule_table) + slots * sizeof(rules->slots[0]);
}

static struct rule_table *rules_new(uint64_t slots)
{
	struct rule_table *t = sys_reserve(rules_bytes(slots));

	if (t)
		t->mask = slots - 1;
	return t;
}

static uint64_t hash_ip(uintptr_t ip)
{
	return (ip * 0x9e3779b97f4a7c15u) >> 32;
}

static void rules_put(struct rule_table *t, uintptr_t ip, uint64_t rule)
{
	uint64_t at = hash_ip(ip);

	while (t->slots[at & t->mask].ip != 0)
		at++;
	t->slots[at & t->mask].rule = rule;
	/* release: who finds the address finds its rule */
	__atomic_store_n(&t->slots[at & t->mask].ip, ip, __ATOMIC_RELEASE);
}

static COLD uint64_t rule_add(uintptr_t ip)
{
	uint64_t rule = rule_make(ip);

	sys_lock(&rules_lock);
	if (rules_used >= rules->mask / 2) {
		struct rule_table *bigger = rules_new((rules->mask + 1) * 4);
		if (bigger) {
			rules_used = 0;
			for (uint64_t i = 0; i <= rules->mask; i++)
				if (rules->slots[i].ip > FORGOTTEN) {
					rules_put(bigger, rules->slots[i].ip, rules->slots[i].rule);
					rules_used++;
				}
			struct rule_table *old = rules;
			/* release: pairs with the acquire in rule_of. Who is still in the old table finds it
			 * empty and comes here. */
			__atomic_store_n(&rules, bigger, __ATOMIC_RELEASE);
			sys_discard(old, rules_bytes(old->mask + 1));
		}
	}
	if (rules_used < rules->mask - rules->mask / 8) { /* twice in the table does no harm */
		rules_put(rules, ip, rule);
		rules_used++;
	}
	sys_unlock(&rules_lock);
	return rule;
}

static inline uint64_t rule_of(uintptr_t ip)
{
	/* acquire: the slots of a grown table are whole */
	const struct rule_table *t = __atomic_load_n(&rules, __ATOMIC_ACQUIRE);

	for (uint64_t at = hash_ip(ip);; at++) {
		/* acquire: the rule was written before the address */
		uintptr_t found = __atomic_load_n(&t->slots[at & t->mask].ip, __ATOMIC_ACQUIRE);
		uint64_t rule = found == ip ? t->slots[at & t->mask].rule : 0;
		if (likely(rule)) /* 0: the table was discarded in between */
			return rule;
		if (found == 0 || found == ip)
			return rule_add(ip);
	}
}

/* Learns that the page of an address can be read; extends the known part of the stack when it is next to it. */
static COLD bool probe(struct unwinder *u, uintptr_t address)
{
	uintptr_t page = address & ~(SYS_PAGE_BYTES - 1);

	if (address < SYS_PAGE_BYTES || (address & 7) || !sys_readable(address))
		return false;
	if (page == u->stack_high)
		u->stack_high = page + SYS_PAGE_BYTES;
	return true;
}

static inline bool readable(struct unwinder *u, uintptr_t address)
{
	return likely(address - u->stack_low < u->stack_high - u->stack_low) || probe(u, address);
}

/* The same for two addresses, the lower one first. */
static inline bool both_readable(struct unwinder *u, uintptr_t low, uintptr_t high)
{
	return likely(low >= u->stack_low && high < u->stack_high) ||
	       (probe(u, low) && probe(u, high));
}

static COLD void enter_stack(struct unwinder *u, uintptr_t sp)
{
	if (sp < u->stack_low && u->stack_low - sp < MAX_FRAME_BYTES) {
		u->stack_low = sp; /* deeper on the same stack */
		return;
	}
	u->stack_low = sp;
	u->stack_high = (sp & ~(SYS_PAGE_BYTES - 1)) + SYS_PAGE_BYTES;
}

enum step { STEP_OK, STEP_END, STEP_NO_TABLES, STEP_BROKEN, STEP_COMPLEX };

static inline uintptr_t word(uintptr_t address)
{
	return *(const volatile uintptr_t *)address;
}

/* struct ucontext at sp: gregs from offset 40; 10 is rbp, 15 rsp, 16 rip (arch/x86, sigcontext) */
#define SIGNAL_REG(sp, n) ((sp) + 40 + (n)*8u)
#define SIGNAL_BP         10u
#define SIGNAL_SP         15u
#define SIGNAL_IP         16u

/* From a frame to its caller, by a rule that is not plain. Fills f->bp_slot. */
static NOINLINE enum step step_rare(
	struct unwinder *u, struct unwind_fresh *f, struct unwind_regs *out)
{
	const struct unwind_regs r = f->regs;
	uint64_t rule = f->rule;
	uintptr_t cfa = r.sp;

	f->bp_slot = 0;
	switch (RULE_KIND(rule)) {
	case CFI_END:
		return STEP_END;
	case CFI_COMPLEX:
		return STEP_COMPLEX;
	case RULE_NO_TABLES:
		return STEP_NO_TABLES;
	case CFI_SIGNAL:
		if (!readable(u, SIGNAL_REG(r.sp, SIGNAL_IP)) ||
			!readable(u, SIGNAL_REG(r.sp, SIGNAL_BP)))
			return STEP_BROKEN;
		f->bp_slot = SIGNAL_REG(r.sp, SIGNAL_BP);
		out->bp = word(f->bp_slot);
		out->sp = word(SIGNAL_REG(r.sp, SIGNAL_SP));
		out->ip = word(SIGNAL_REG(r.sp, SIGNAL_IP)) + 1; /* interrupted, not returned to */
		return out->ip > 1 ? STEP_OK : STEP_END;
	case RULE_FRAME_POINTER:
		if (r.bp == 0) /* how the ABI marks the outermost frame: the loader's entry */
			return STEP_END;
		if (r.bp < r.sp || r.bp - r.sp > MAX_FRAME_BYTES || !readable(u, r.bp) ||
			!readable(u, r.bp + 8))
			return STEP_BROKEN;
		f->bp_slot = r.bp;
		out->ip = word(r.bp + 8);
		out->sp = r.bp + 16;
		out->bp = word(r.bp);
		return RULE_AFTER_CALL(rule_of(out->ip)) ? STEP_OK : STEP_BROKEN;
	case CFI_CFA_RBP:
		cfa = r.bp;
		break;
	case CFI_CFA_DEREF:
		if (!readable(u, r.bp + (uintptr_t)RULE_CFA(rule)))
			return STEP_BROKEN;
		cfa = word(r.bp + (uintptr_t)RULE_CFA(rule)) - (uintptr_t)RULE_CFA(rule);
		break;
	case CFI_CFA_RSP:
		break;
	default:
		return STEP_BROKEN;
	}
	cfa += (uintptr_t)RULE_CFA(rule);
	if (!readable(u, cfa - 8))
		return STEP_BROKEN;
	out->bp = r.bp;
	if (RULE_BP(rule) != CFI_BP_SAME) {
		f->bp_slot = (RULE_BP(rule) == CFI_BP_AT_CFA ? cfa : r.bp) +
			     (uintptr_t)RULE_BP_OFFSET(rule);
		if (!readable(u, f->bp_slot))
			return STEP_BROKEN;
		out->bp = word(f->bp_slot);
	}
	out->ip = word(cfa - 8);
	out->sp = cfa;
	return out->ip != 0 ? STEP_OK : STEP_END;
}

/* Is a remembered frame the one with these registers? Number 0 never is. */
static inline bool same_frame(
	const struct unwinder *u, uint32_t at, uintptr_t ip, uintptr_t sp, uintptr_t bp)
{
	const struct unwind_frame *f = &u->frames[at];

	return u->sps[at] == sp && f->ip == ip && ((f->bp ^ bp) & f->bp_mask) == 0;
}

/*
 * How far the remembered frames from `at` outwards still stand: 0, or the innermost frame whose caller is another.
 * A word is read only when all before it are what they were.
 */
static inline uint32_t unchanged(const struct unwinder *u, uint32_t at)
{
	const struct unwind_word *w = &u->words[u->frames[at].n_words];

	do
		w--;
	while (likely(*(const volatile uintptr_t *)w->slot == w->value));
	uint32_t n = (uint32_t)(w - u->words);
	if (likely(n == 0))
		return 0;
	while (u->frames[at - 1].n_words > n)
		at--;
	return at;
}

/* Ends of the lists: a frame further out than any, and a word that is never what it was. */
static COLD void remember_none(struct unwinder *u)
{
	u->sps[0] = UINTPTR_MAX;
	u->words[0].slot = (const uintptr_t *)&u->words[0].slot;
	u->words[0].value = 0;
	u->frames[0].n_words = 1;
}

/* The rule of an address, by way of the thread's own memory. */
static inline uint64_t thread_rule(struct thread *t, uintptr_t ip)
{
	struct thread_frame *f = &t->frames[(ip * 0x9e3779b97f4a7c15u) >> (64 - THREAD_FRAME_BITS)];

	if (unlikely(f->ip != ip))
		*f = (struct thread_frame){.ip = ip, .rule = rule_of(ip)};
	return f->rule;
}

/* One to one in either argument. */
static inline uint64_t mix(uint64_t identity, uint64_t value)
{
	uint64_t h = (identity ^ value) * 0x9e3779b97f4a7c15u;

	return h ^ h >> 32;
}

/* Far from all addresses and from the root's identity, which is 0. */
static inline uint64_t pseudo_identity(uint64_t outer, enum ht_pseudo pseudo)
{
	return pseudo == HT_PSEUDO_ROOT ? outer : mix(outer, ~(uint64_t)pseudo);
}

static inline bool of_jit(const struct unwinder *u, uint32_t at)
{
	return RULE_MODULE(u->frames[at].rule) == 0;
}

/* JIT frames' addresses come and go: neighbours are one. */
static inline bool joins_caller(const struct unwinder *u, uint32_t at)
{
	return of_jit(u, at) && at > 1 && of_jit(u, at - 1);
}

/* Identity of the stack that ends at `at`; outer: of its caller's. */
static inline uint64_t identity_of(const struct unwinder *u, uint32_t at, uint64_t outer)
{
	const struct unwind_frame *f = &u->frames[at];

	if (likely(!of_jit(u, at))) /* another module may come to the same address */
		return mix(outer, f->ip ^ (uint64_t)RULE_MODULE(f->rule) << 48);
	return joins_caller(u, at) ? outer : pseudo_identity(outer, HT_PSEUDO_JIT);
}

static inline void identify(struct unwinder *u, uint32_t at)
{
	u->frames[at].site = UNWIND_NO_SITE;
	u->frames[at].identity = identity_of(u, at, u->frames[at - 1].identity);
}

/* The words that led from a frame to its caller `at`, when its rule is not plain; returns their end. */
static NOINLINE struct unwind_word *remember_rare(
	struct unwinder *u, uint32_t at, const struct unwind_fresh *fresh, struct unwind_word *w)
{
	const struct unwind_frame *outer = &u->frames[at];
	const uintptr_t sp = fresh->regs.sp;

	if (at == 0)
		return w;
	if (fresh->bp_slot && outer->bp_mask)
		*w++ = (struct unwind_word){(const uintptr_t *)fresh->bp_slot, outer->bp};
	switch (RULE_KIND(fresh->rule)) {
	case CFI_SIGNAL:
		*w++ = (struct unwind_word){
			(const uintptr_t *)SIGNAL_REG(sp, SIGNAL_IP), outer->ip - 1};
		*w++ = (struct unwind_word){
			(const uintptr_t *)SIGNAL_REG(sp, SIGNAL_SP), u->sps[at]};
		break;
	case CFI_CFA_DEREF:
		*w++ = (struct unwind_word){(const uintptr_t *)(u->sps[at] - 8), outer->ip};
		*w++ = (struct unwind_word){
			(const uintptr_t *)(fresh->regs.bp + (uintptr_t)RULE_CFA(fresh->rule)),
			u->sps[at]};
		break;
	default:
		*w++ = (struct unwind_word){(const uintptr_t *)(u->sps[at] - 8), outer->ip};
	}
	return w;
}

/* Does a walk from a frame outwards depend on rbp? As a mask, see struct unwind_frame. */
static inline uintptr_t bp_mask_of(const struct unwind_fresh *f, uintptr_t outer_mask)
{
	uint32_t kind = RULE_KIND(f->rule);

	if (likely(kind == RULE_PLAIN))
		return f->bp_slot ? 0 : outer_mask;
	if (kind == CFI_CFA_RSP || kind == CFI_END || kind == RULE_NO_TABLES)
		return f->bp_slot && RULE_BP(f->rule) == CFI_BP_AT_CFA ? 0 : outer_mask;
	return UINTPTR_MAX;
}

/* Puts n fresh frames in front of the `kept` ones that still stand. */
static inline void remember(struct unwinder *u, uint32_t kept, uint32_t n)
{
	struct unwind_frame outer = u->frames[kept];
	uintptr_t outer_sp = u->sps[kept];
	struct unwind_word *w = &u->words[outer.n_words];

	for (uint32_t at = kept + 1; n > 0; at++) {
		const struct unwind_fresh *fresh = &u->fresh[--n];
		struct unwind_frame *f = &u->frames[at];

		f->ip = fresh->regs.ip;
		f->bp = fresh->regs.bp;
		f->rule = fresh->rule;
		/* Within a frame a walk outwards meets the last word first: it says where the others are. */
		if (likely(RULE_KIND(fresh->rule) == RULE_PLAIN && at > 1)) {
			w->slot = (const uintptr_t *)fresh->bp_slot;
			w->value = outer.bp;
			w += (fresh->bp_slot != 0) & (outer.bp_mask != 0);
			w->slot = (const uintptr_t *)(outer_sp - 8);
			w->value = outer.ip;
			w++;
		} else {
			w = remember_rare(u, at - 1, fresh, w);
		}
		f->n_words = (uint32_t)(w - u->words);
		f->site = UNWIND_NO_SITE;
		f->bp_mask = outer.bp_mask = bp_mask_of(fresh, outer.bp_mask);
		f->identity = outer.identity = identity_of(u, at, outer.identity);
		outer.ip = fresh->regs.ip;
		outer.bp = fresh->regs.bp;
		u->sps[at] = outer_sp = fresh->regs.sp;
	}
}

/* The next stack hangs on this. */
static inline void hang_on(struct unwinder *u, enum ht_pseudo base)
{
	u->frames[0].identity = pseudo_identity(0, base);
	u->frames[0].site = base_sites[base];
	u->cut = base == HT_PSEUDO_NO_TABLES || base == HT_PSEUDO_BROKEN;
}

static uint32_t new_site(const struct unwinder *u, uint32_t at)
{
	const struct unwind_frame *f = &u->frames[at];
	uint16_t module = RULE_MODULE(f->rule);

	if (module)
		return sites_child(
			f->identity, f[-1].site, module, f->ip - tally.modules[module].bias);
	if (joins_caller(u, at))
		return f[-1].site;
	return sites_child(f->identity, f[-1].site, 0, HT_PSEUDO_JIT);
}

uint32_t unwind_site(struct thread *t)
{
	struct unwinder *u = &t->unwinder;
	uint32_t at = u->walked;

	for (uint32_t i = at; u->frames[i].site == UNWIND_NO_SITE && at - i < SITES_AHEAD; i--)
		sites_expect(u->frames[i].identity);
	for (; u->frames[at].site == UNWIND_NO_SITE; at--) {
		uint32_t site = sites_find(u->frames[at].identity);
		if (site) {
			u->frames[at].site = site;
			break;
		}
	}
	if (at < u->walked) {
		sites_lock();
		while (at++ < u->walked)
			u->frames[at].site = new_site(u, at);
		sites_unlock();
	}
	return u->frames[u->walked].site;
}

static COLD uint64_t slow_stack(struct thread *t, struct unwind_regs regs)
{
	struct unwinder *u = &t->unwinder;
	uintptr_t ips[512];
	uint32_t n = unwind_slow(regs.sp, ips, max_depth < 512 ? max_depth : 512);

	__atomic_fetch_add(&tally.header->slow_walks, 1, __ATOMIC_RELAXED);
	hang_on(u, HT_PSEUDO_ROOT);
	if (n == 0 ||
		ips[0] != regs.ip) { /* libunwind is not there or lost its way: keep what is sure */
		ips[0] = regs.ip;
		n = 1;
		hang_on(u, HT_PSEUDO_BROKEN);
	}
	for (uint32_t i = 1; i <= n; i++) {
		u->frames[i] = (struct unwind_frame){.ip = ips[n - i], .rule = rule_of(ips[n - i])};
		identify(u, i);
	}
	u->depth = 0;
	u->walked = n;
	return u->frames[n].identity;
}

/* Of a stack that must not be matched next time: too deep, or it ends where it should not. */
static COLD uint64_t forgettable_stack(
	struct thread *t, uint32_t kept, uint32_t n, enum ht_pseudo base)
{
	struct unwinder *u = &t->unwinder;

	/* Too deep: the innermost frames count, and which they are must not depend on what was remembered. */
	for (uint32_t i = kept; i > 0 && n < max_depth; i--)
		u->fresh[n++] = (struct unwind_fresh){
			.regs.ip = u->frames[i].ip, .rule = u->frames[i].rule};
	hang_on(u, base);
	for (uint32_t i = 1; i <= n; i++) {
		u->frames[i].ip = u->fresh[n - i].regs.ip;
		u->frames[i].rule = u->fresh[n - i].rule;
		identify(u, i);
	}
	if (base == HT_PSEUDO_TRUNCATED)
		__atomic_fetch_add(&tally.header->deep_stacks, 1, __ATOMIC_RELAXED);
	u->depth = 0;
	u->walked = n;
	return u->frames[n].identity;
}

static inline uint64_t walk(struct thread *t, const uintptr_t *caller)
{
	struct unwinder *u = &t->unwinder;
	const struct unwind_regs start = unwind_regs(caller);
	uintptr_t ip = start.ip, sp = start.sp, bp = start.bp;
	uint32_t remembered = u->depth, n = 0, kept = 0;

	if (unlikely(sp - u->stack_low >= u->stack_high - u->stack_low))
		enter_stack(u, sp);
	if (unlikely(remembered == 0))
		remember_none(u);
	for (;;) {
		while (u->sps[remembered] < sp)
			remembered--;
		if (same_frame(u, remembered, ip, sp, bp)) {
			uint32_t at = unchanged(u, remembered);
			if (likely(at == 0)) {
				kept = remembered;
				break;
			}
			/* Frames up to `at` stand, its caller is another: nothing further in can match. */
			remembered = at - 1;
		}
		struct unwind_fresh *f = &u->fresh[n++];
		uint64_t rule = thread_rule(t, ip);
		f->regs.ip = ip;
		f->regs.sp = sp;
		f->regs.bp = bp;
		f->rule = rule;
		uintptr_t cfa = sp + (uintptr_t)RULE_CFA(rule),
			  slot = cfa + (uintptr_t)RULE_BP_OFFSET(rule);
		if (likely(RULE_KIND(rule) == RULE_PLAIN && both_readable(u, slot, cfa - 8))) {
			/* Read whether it is used or not: half of all functions save rbp, which no branch
			 * predictor learns. */
			uintptr_t saved = word(slot),
				  keep = (uintptr_t)(RULE_BP(rule) != CFI_BP_SAME) - 1;
			f->bp_slot = slot & ~keep;
			bp = (bp & keep) | (saved & ~keep);
			ip = word(cfa - 8);
			sp = cfa;
			if (likely(ip != 0 && n < max_depth))
				continue;
			if (ip != 0)
				return forgettable_stack(t, 0, n, HT_PSEUDO_TRUNCATED);
			hang_on(u, HT_PSEUDO_ROOT);
			break;
		}
		struct unwind_regs out = {0};
		switch (step_rare(u, f, &out)) {
		case STEP_OK:
			if (n >= max_depth)
				return forgettable_stack(t, 0, n, HT_PSEUDO_TRUNCATED);
			/* the stack was switched: order says nothing */
			if (out.sp < sp)
				remembered = u->depth;
			ip = out.ip;
			sp = out.sp;
			bp = out.bp;
			continue;
		case STEP_COMPLEX:
			return slow_stack(t, u->fresh[0].regs);
		case STEP_BROKEN:
			return forgettable_stack(t, 0, n, HT_PSEUDO_BROKEN);
		case STEP_NO_TABLES:
			hang_on(u, HT_PSEUDO_NO_TABLES);
			break;
		case STEP_END:
			hang_on(u, HT_PSEUDO_ROOT);
		}
		break;
	}
	if (unlikely(kept + n > max_depth))
		return forgettable_stack(t, kept, n, HT_PSEUDO_TRUNCATED);

	u->depth = u->walked = kept + n;
	remember(u, kept, n);
	return u->frames[u->walked].identity;
}

uint64_t unwind_stack(struct thread *t, const uintptr_t *caller)
{
	uint64_t identity = walk(t, caller);

	if (unlikely(t->unwinder.cut))
		t->record->cut_stacks++;
	return identity;
}

void unwind_forget(uintptr_t start, uintptr_t end)
{
	sys_lock(&rules_lock);
	for (uint64_t i = 0; i <= rules->mask; i++)
		if (rules->slots[i].ip - start < end - start)
			__atomic_store_n(&rules->slots[i].ip, FORGOTTEN, __ATOMIC_RELAXED);
	sys_unlock(&rules_lock);
}

bool unwind_init(uint32_t depth)
{
	memset(&rules_lock, 0, sizeof(rules_lock));
	max_depth = depth < UNWIND_MAX_DEPTH ? depth : UNWIND_MAX_DEPTH;
	rules_used = 0;
	rules = rules_new(DEFAULT_RULES);
	/* Nobody else is there yet: no lock. */
	for (uint32_t base = HT_PSEUDO_NO_TABLES; base < HT_PSEUDO_COUNT; base++)
		base_sites[base] = sites_child(pseudo_identity(0, base), 0, 0, base);
	return rules != NULL;
}
