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
};

#define MAX_FRAME_BYTES (16ul << 20)
#define DEFAULT_RULES   (1u << 15)
#define FORGOTTEN       1u /* a slot whose module is gone */

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

/* Do the bytes before a return address read as a call? */
static bool follows_call(uintptr_t ip)
{
	const uint8_t *b = (const uint8_t *)ip;

	if (ip < 64 || !sys_readable(ip - 8) || !sys_readable(ip - 1))
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
			follows_call(ip), 0);
	if (!m->frame_header)
		return rule_pack(RULE_NO_TABLES, none, follows_call(ip), m->index);
	c = cfi_find(m->frame_header, (const uint8_t *)m->end, ip - 1);
	if (c.kind == CFI_NO_ENTRY)
		return rule_pack(RULE_FRAME_POINTER, none, follows_call(ip), m->index);
	if (c.cfa_offset >= 1 << 20 || c.cfa_offset < -(1 << 20) || c.bp_offset >= 1 << 19 ||
		c.bp_offset < -(1 << 19))
		c = (struct cfi_rule){.kind = CFI_COMPLEX};
	return rule_pack(c.kind, c, follows_call(ip), m->index);
}

static size_t rules_bytes(uint64_t slots)
{
	return sizeof(struct rule_table) + slots * sizeof(rules->slots[0]);
}

static struct rule_table *rules_new(uint64_t slots)
{
	struct rule_table *t = sys_map_table(rules_bytes(slots));

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

static NOINLINE enum step step_rare(
	struct unwinder *u, struct unwind_frame *f, struct unwind_regs *out)
{
	const struct unwind_regs r = f->regs;

	switch (RULE_KIND(f->rule)) {
	case CFI_END:
		return STEP_END;
	case CFI_COMPLEX:
		return STEP_COMPLEX;
	case RULE_NO_TABLES:
		return STEP_NO_TABLES;
	case CFI_SIGNAL:
		/* struct ucontext at sp: gregs from offset 40; 10 is rbp, 15 rsp, 16 rip (arch/x86, sigcontext) */
		if (!readable(u, r.sp + 40 + 16 * 8) || !readable(u, r.sp + 40 + 10 * 8))
			return STEP_BROKEN;
		out->bp = word(r.sp + 40 + 10 * 8);
		out->sp = word(r.sp + 40 + 15 * 8);
		out->ip = word(r.sp + 40 + 16 * 8) + 1; /* interrupted, not returned to */
		return out->ip > 1 ? STEP_OK : STEP_END;
	case RULE_FRAME_POINTER:
		if (r.bp == 0) /* how the ABI marks the outermost frame: the loader's entry */
			return STEP_END;
		if (r.bp < r.sp || r.bp - r.sp > MAX_FRAME_BYTES || !readable(u, r.bp) ||
			!readable(u, r.bp + 8))
			return STEP_BROKEN;
		out->ip = word(r.bp + 8);
		out->sp = r.bp + 16;
		out->bp = word(r.bp);
		return RULE_AFTER_CALL(rule_of(out->ip)) ? STEP_OK : STEP_BROKEN;
	default:
		return STEP_BROKEN;
	}
}

/* From a frame to its caller. Fills f->bp_slot. */
static inline __attribute__((always_inline)) enum step step(
	struct unwinder *u, struct unwind_frame *f, struct unwind_regs *out)
{
	const struct unwind_regs r = f->regs;
	uint64_t rule = f->rule;
	uintptr_t cfa;

	f->bp_slot = 0;
	switch (RULE_KIND(rule)) {
	case CFI_CFA_RSP:
		cfa = r.sp + (uintptr_t)RULE_CFA(rule);
		break;
	case CFI_CFA_RBP:
		cfa = r.bp + (uintptr_t)RULE_CFA(rule);
		break;
	case CFI_CFA_DEREF:
		cfa = r.bp + (uintptr_t)RULE_CFA(rule);
		if (!readable(u, cfa))
			return STEP_BROKEN;
		cfa = word(cfa);
		break;
	default:
		return step_rare(u, f, out);
	}
	if (unlikely(!readable(u, cfa - 8)))
		return STEP_BROKEN;
	if (RULE_BP(rule) != CFI_BP_SAME) {
		f->bp_slot = (RULE_BP(rule) == CFI_BP_AT_CFA ? cfa : r.bp) +
			     (uintptr_t)RULE_BP_OFFSET(rule);
		if (unlikely(!readable(u, f->bp_slot)))
			return STEP_BROKEN;
		out->bp = word(f->bp_slot);
	} else {
		out->bp = r.bp;
	}
	out->ip = word(cfa - 8);
	out->sp = cfa;
	return likely(out->ip != 0) ? STEP_OK : STEP_END;
}

/* For places where it is not worth being inlined. */
static NOINLINE enum step step_out(
	struct unwinder *u, struct unwind_frame *f, struct unwind_regs *out)
{
	return step(u, f, out);
}

/* Is a remembered frame the one with these registers? */
static inline bool same_frame(const struct unwind_frame *f, const struct unwind_regs *regs)
{
	return f->regs.sp == regs->sp && f->regs.ip == regs->ip &&
	       (f->regs.bp == regs->bp || !f->bp_matters);
}

/* Fills what belongs to a frame that is remembered as number `at`, whose callers are there already. */
static inline void remember(struct unwinder *u, uint32_t at)
{
	struct unwind_frame *f = &u->frames[at], *next = at ? f - 1 : NULL;
	uint32_t kind = RULE_KIND(f->rule);
	bool by_table = kind == CFI_CFA_RSP || kind == CFI_CFA_RBP,
	     next_matters = next && next->bp_matters;

	if (kind == CFI_CFA_RSP || kind == CFI_END || kind == RULE_NO_TABLES)
		f->bp_matters =
			next_matters && (f->bp_slot == 0 || RULE_BP(f->rule) != CFI_BP_AT_CFA);
	else
		f->bp_matters = true;
	if (!next)
		return;
	const uintptr_t *ip_slot = (const uintptr_t *)(next->regs.sp - 8);
	u->checks[at] = (struct unwind_check){
		.ip_slot = by_table ? ip_slot : NULL,
		.ip = next->regs.ip,
		.bp_slot = f->bp_slot && next_matters ? (const uintptr_t *)f->bp_slot : ip_slot,
		.bp = f->bp_slot && next_matters ? next->regs.bp : next->regs.ip,
	};
}

static NOINLINE bool unchanged_step(struct unwinder *u, uint32_t at)
{
	struct unwind_regs now;

	return step_out(u, &u->frames[at], &now) == STEP_OK && same_frame(&u->frames[at - 1], &now);
}

/*
 * How far the remembered frames from `at` outwards still stand: 0, or the innermost frame whose caller is another.
 * A word is read only when all before it are what they were.
 */
static inline uint32_t unchanged(struct unwinder *u, uint32_t at)
{
	for (; at > 0; at--) {
		const struct unwind_check *c = &u->checks[at];

		if (unlikely(!c->ip_slot)) {
			if (!unchanged_step(u, at))
				break;
			continue;
		}
		if (unlikely(*(const volatile uintptr_t *)c->ip_slot != c->ip ||
			     *(const volatile uintptr_t *)c->bp_slot != c->bp))
			break;
	}
	return at;
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

/* Identity and site of frame `at`, whose caller's are there already. */

static inline bool of_jit(const struct unwinder *u, uint32_t at)
{
	return RULE_MODULE(u->frames[at].rule) == 0;
}

static inline void identify(struct unwinder *u, uint32_t at)
{
	struct unwind_frame *f = &u->frames[at];
	uint64_t outer = at ? f[-1].identity : pseudo_identity(0, u->base);

	f->site = UNWIND_NO_SITE;
	if (likely(!of_jit(u, at))) /* another module may come to the same address */
		f->identity = mix(outer, f->regs.ip ^ (uint64_t)RULE_MODULE(f->rule) << 48);
	else /* neighbouring JIT frames are one: their addresses come and go */
		f->identity =
			at && of_jit(u, at - 1) ? outer : pseudo_identity(outer, HT_PSEUDO_JIT);
}

static uint32_t new_site(const struct unwinder *u, uint32_t at)
{
	const struct unwind_frame *f = &u->frames[at];
	uint32_t outer = at ? f[-1].site : base_sites[u->base];
	uint16_t module = RULE_MODULE(f->rule);

	if (module)
		return sites_child(
			f->identity, outer, module, f->regs.ip - tally.modules[module].bias);
	if (at && of_jit(u, at - 1))
		return outer;
	return sites_child(f->identity, outer, 0, HT_PSEUDO_JIT);
}

uint32_t unwind_site(struct thread *t)
{
	struct unwinder *u = &t->unwinder;
	uint32_t at = u->walked;

	for (; at > 0 && u->frames[at - 1].site == UNWIND_NO_SITE; at--) {
		uint32_t site = sites_find(u->frames[at - 1].identity);
		if (site) {
			u->frames[at - 1].site = site;
			break;
		}
	}
	for (; at < u->walked; at++)
		u->frames[at].site = new_site(u, at);
	return u->walked ? u->frames[u->walked - 1].site : base_sites[u->base];
}

static COLD uint64_t slow_stack(struct thread *t, struct unwind_regs regs)
{
	struct unwinder *u = &t->unwinder;
	uintptr_t ips[512];
	uint32_t n = unwind_slow(regs.sp, ips, max_depth < 512 ? max_depth : 512);

	__atomic_fetch_add(&tally.header->slow_walks, 1, __ATOMIC_RELAXED);
	u->base = HT_PSEUDO_ROOT;
	if (n == 0 ||
		ips[0] != regs.ip) { /* libunwind is not there or lost its way: keep what is sure */
		ips[0] = regs.ip;
		n = 1;
		u->base = HT_PSEUDO_BROKEN;
	}
	for (uint32_t i = 0; i < n; i++) {
		uintptr_t ip = ips[n - 1 - i];
		u->frames[i] = (struct unwind_frame){.regs.ip = ip, .rule = rule_of(ip)};
		identify(u, i);
	}
	u->depth = 0;
	u->walked = n;
	return u->frames[n - 1].identity;
}

uint64_t unwind_stack(struct thread *t, const uintptr_t *caller)
{
	struct unwinder *u = &t->unwinder;
	struct unwind_regs regs = unwind_regs(caller);
	uint32_t remembered = u->depth, n = 0, kept = 0;
	uintptr_t last_sp = 0;
	enum ht_pseudo base = HT_PSEUDO_ROOT;
	bool stable = true; /* may be matched next time */

	if (unlikely(regs.sp - u->stack_low >= u->stack_high - u->stack_low))
		enter_stack(u, regs.sp);
	for (;;) {
		if (unlikely(regs.sp < last_sp))
			remembered = u->depth; /* the stack was switched: order says nothing */
		last_sp = regs.sp;
		while (remembered > 0 && u->frames[remembered - 1].regs.sp < regs.sp)
			remembered--;

		struct unwind_frame *f;
		if (remembered > 0 && same_frame(&u->frames[remembered - 1], &regs)) {
			uint32_t at = unchanged(u, remembered - 1);
			if (at == 0) {
				kept = remembered;
				break;
			}
			/* Frames up to `at` stand, its caller is another: nothing further in can match. */
			remembered = at;
		}
		f = &u->fresh[n++];
		f->regs = regs;
		f->rule = thread_rule(t, regs.ip);
		enum step s = step(u, f, &regs);
		if (likely(s == STEP_OK)) {
			if (unlikely(n >= max_depth)) {
				base = HT_PSEUDO_TRUNCATED;
				stable = false;
				break;
			}
			continue;
		}
		if (s == STEP_COMPLEX)
			return slow_stack(t, n == 0 ? regs : u->fresh[0].regs);
		if (s == STEP_NO_TABLES) {
			base = HT_PSEUDO_NO_TABLES;
		} else if (s == STEP_BROKEN) {
			base = HT_PSEUDO_BROKEN;
			stable = false;
		}
		break;
	}
	if (kept && unlikely(kept + n > max_depth)) {
		/* Too deep: the innermost frames count, and which they are must not depend on what was remembered. */
		for (uint32_t i = kept; i-- > 0 && n < max_depth;)
			u->fresh[n++] = u->frames[i];
		kept = 0;
		base = HT_PSEUDO_TRUNCATED;
		stable = false;
	}

	if (unlikely(kept == 0)) {
		u->base = base;
		if (base == HT_PSEUDO_TRUNCATED)
			__atomic_fetch_add(&tally.header->deep_stacks, 1, __ATOMIC_RELAXED);
		else if (base != HT_PSEUDO_ROOT)
			t->record->cut_stacks++;
	}
	u->depth = u->walked = kept + n;
	for (uint32_t i = kept; n-- > 0; i++) {
		u->frames[i] = u->fresh[n];
		identify(u, i);
		remember(u, i);
	}
	if (unlikely(!stable))
		u->depth = 0;
	return u->walked ? u->frames[u->walked - 1].identity : pseudo_identity(0, u->base);
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
	for (uint32_t base = HT_PSEUDO_NO_TABLES; base < HT_PSEUDO_COUNT; base++)
		base_sites[base] = sites_child(pseudo_identity(0, base), 0, 0, base);
	return rules != NULL;
}
