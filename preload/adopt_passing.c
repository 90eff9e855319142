/* SPDX-License-Identifier: MIT */
/*
 * The same for adopted allocators as passing.c for the exported functions: with sampling, these stand before their
 * hooks. Compiled with sibling calls, see the Makefile.
 */
#include "adopt_passing.h"

#include "record.h"

#define DEFINE_PASSING(n)                                                                          \
	static uintptr_t alloc_##n(uintptr_t bytes, uintptr_t b, uintptr_t c, uintptr_t d)         \
	{                                                                                          \
		uintptr_t p;                                                                       \
		if (!sample_passes(bytes))                                                         \
			return adopt_hooks[n].record(bytes, b, c, d);                              \
		record_passed();                                                                   \
		p = adopt_hooks[n].real(bytes, b, c, d);                                           \
		if (unlikely(!p))                                                                  \
			record_failed(bytes);                                                      \
		return p;                                                                          \
	}                                                                                          \
	static uintptr_t dealloc_##n(uintptr_t p, uintptr_t b, uintptr_t c, uintptr_t d)           \
	{                                                                                          \
		if (sample_filtered((void *)p))                                                    \
			return adopt_hooks[n].real(p, b, c, d);                                    \
		return adopt_hooks[n].record(p, b, c, d);                                          \
	}
ADOPT_EACH_HOOK(DEFINE_PASSING)

#define NAME_ALLOC(n)   alloc_##n,
#define NAME_DEALLOC(n) dealloc_##n,
adopt_function *const adopt_passing_alloc[ADOPT_MAX_HOOKS] = {ADOPT_EACH_HOOK(NAME_ALLOC)};
adopt_function *const adopt_passing_dealloc[ADOPT_MAX_HOOKS] = {ADOPT_EACH_HOOK(NAME_DEALLOC)};
