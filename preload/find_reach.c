/* SPDX-License-Identifier: MIT */
/* What a function reaches through the calls it makes. */
#include "find_reach.h"

#include "find_flow.h"

static bool libc_allocates(const char *name)
{
	static const char *const names[] = {"malloc", "calloc", "realloc", "posix_memalign",
		"aligned_alloc", "memalign", "free"};
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (elf_same(name, names[i]))
			return true;
	return false;
}

static bool system_maps(const char *name)
{
	return elf_same(name, "mmap") || elf_same(name, "mmap64") || elf_same(name, "sbrk") ||
	       elf_same(name, "munmap") || elf_same(name, "madvise");
}

/* Functions on the way, breadth first. */
struct front {
	uint64_t functions[800];
	unsigned n, most;
};

static void set_out(struct front *f, uint64_t function, unsigned most)
{
	f->functions[0] = function;
	f->n = 1;
	f->most = most;
}

/* False: there is no more room. */
static bool go_on(struct front *f, uint64_t next)
{
	unsigned k = 0;
	while (k < f->n && f->functions[k] != next)
		k++;
	if (k == f->most)
		return false;
	f->functions[k] = next;
	if (k == f->n)
		f->n++;
	return true;
}

/* The same, but not to what lies far from where it set out, or is not here. */
static bool go_on_near(struct front *f, uint64_t next)
{
	return !next || search_distance(next, f->functions[0]) > NEAR || go_on(f, next);
}

/*
 * Breadth first over what it calls. Rust code far behind an allocator (a panic, a thread's end) may allocate through
 * libc; a wrapper of libc's gets there at once. `deep` believes libc's at any depth: for a module without the marks
 * of an allocator.
 */
enum source reach_source(const struct search *s, uint64_t function, uint64_t other, bool deep)
{
	enum { NEAR_LIBC = 2 };
	struct front front;
	set_out(&front, function, 800);
	unsigned level_end = 1, depth = 0;
	struct callee callees[MAX_CALLEES];
	for (unsigned done = 0; done < front.n; done++) {
		if (done == level_end) {
			level_end = front.n;
			depth++;
		}
		size_t n_callees = sites_callees(&s->sites, front.functions[done], callees);
		bool system = false;
		for (size_t i = 0; i < n_callees; i++) {
			uint64_t next = callees[i].function;
			const char *import = callees[i].import;
			if (!import && next) {
				struct thunk t = sites_follow(&s->sites, next);
				import = t.import;
				next = t.function;
			}
			if (import && libc_allocates(import) && (deep || depth < NEAR_LIBC))
				return SOURCE_LIBC;
			if (import) {
				system |= system_maps(import);
				continue;
			}
			if (other && next == other)
				return SOURCE_OTHER;
			go_on(&front, next);
		}
		if (system)
			return SOURCE_SYSTEM;
	}
	return SOURCE_UNKNOWN;
}

/* Does its code, not that of what it calls, call one of the claims' functions? */
bool reach_claim(const struct search *s, uint64_t function, const struct claim *claims, uint32_t n,
	uint32_t self)
{
	struct callee callees[MAX_CALLEES];
	size_t n_callees = sites_callees(&s->sites, function, callees);
	for (size_t i = 0; i < n_callees; i++) {
		if (!callees[i].function)
			continue;
		struct thunk t = sites_follow(&s->sites, callees[i].function);
		for (uint32_t k = 0; k < n; k++)
			if (k != self && claims[k].inner != claims[self].inner &&
				(claims[k].function == callees[i].function ||
					claims[k].inner == callees[i].function ||
					(t.function && claims[k].inner == t.function)))
				return true;
	}
	return false;
}

/* Within a few calls from one function, is another reached? *copies: is memory copied on the way? */
bool reach_function(const struct search *s, uint64_t from, uint64_t to, bool *copies)
{
	bool found = false;
	*copies = false;
	struct front front;
	set_out(&front, from, 96);
	struct callee callees[MAX_CALLEES];
	for (unsigned done = 0; done < front.n; done++) {
		size_t n_callees = sites_callees(&s->sites, front.functions[done], callees);
		for (size_t i = 0; i < n_callees; i++) {
			uint64_t next = callees[i].function;
			const char *import = callees[i].import;
			if (next && !import)
				import = sites_follow(&s->sites, next).import;
			if (import)
				*copies |=
					elf_same(import, "memcpy") || elf_same(import, "memmove");
			found |= next == to;
			if (found && *copies)
				return true;
			go_on_near(&front, next);
		}
	}
	return found;
}

/* Does this call get a block from one of the entries, by a way that will be hooked? */
static bool calls_entry(const struct find_result *r, const struct callee *c)
{
	for (uint32_t i = 0; i < r->n_entries; i++)
		if (c->function == r->entries[i].function && r->entries[i].role != FIND_DEALLOC &&
			(c->slot || !r->entries[i].by_slot))
			return true;
	return false;
}

/* Does a function's code, or what it leads to nearby, do that? */
bool reach_entry(const struct search *s, uint64_t function)
{
	struct front front;
	set_out(&front, function, 400);
	struct callee callees[MAX_CALLEES];
	for (unsigned done = 0; done < front.n; done++) {
		size_t n_callees = sites_callees(&s->sites, front.functions[done], callees);
		for (size_t i = 0; i < n_callees; i++) {
			/* what was not looked at may do it */
			if (calls_entry(s->result, &callees[i]) ||
				!go_on_near(&front, callees[i].function))
				return true;
		}
	}
	return false;
}
