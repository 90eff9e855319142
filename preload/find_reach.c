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

/*
 * Breadth first over what it calls. Rust code far behind an allocator (a panic, a thread's end) may allocate through
 * libc; a wrapper of libc's gets there at once. `deep` believes libc's at any depth: for a module without the marks
 * of an allocator.
 */
enum source reach_source(const struct search *s, uint64_t function, uint64_t other, bool deep)
{
	enum { FRONT = 800, NEAR_LIBC = 2 };
	uint64_t front[FRONT] = {function};
	unsigned n = 1, level_end = 1, depth = 0;
	struct callee callees[MAX_CALLEES];
	for (unsigned done = 0; done < n; done++) {
		if (done == level_end) {
			level_end = n;
			depth++;
		}
		size_t n_callees = sites_callees(&s->sites, front[done], callees);
		bool system = false;
		for (size_t i = 0; i < n_callees; i++) {
			uint64_t next = callees[i].function;
			const char *import = callees[i].import;
			unsigned k = 0;
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
			while (k < n && front[k] != next)
				k++;
			if (k == n && n < FRONT)
				front[n++] = next;
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
	enum { FRONT = 96 };
	bool found = false;
	*copies = false;
	uint64_t front[FRONT] = {from};
	unsigned n = 1, done = 0;
	struct callee callees[MAX_CALLEES];
	for (; done < n; done++) {
		size_t n_callees = sites_callees(&s->sites, front[done], callees);
		for (size_t i = 0; i < n_callees; i++) {
			uint64_t next = callees[i].function;
			const char *import = callees[i].import;
			unsigned k = 0;
			if (next && !import)
				import = sites_follow(&s->sites, next).import;
			if (import)
				*copies |=
					elf_same(import, "memcpy") || elf_same(import, "memmove");
			found |= next == to;
			if (found && *copies)
				return true;
			if (!next || next - (from - NEAR) > 2 * NEAR)
				continue;
			while (k < n && front[k] != next)
				k++;
			if (k == n && n < FRONT)
				front[n++] = next;
		}
	}
	return found;
}
