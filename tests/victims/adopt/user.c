/* SPDX-License-Identifier: MIT */
/*
 * Calls an allocator that is linked into the same shared object, as compiled Rust does: many call sites, sizes and
 * alignments as constants, each result tested. -DJEMALLOC: malloc, mallocx, realloc, calloc and sdallocx; else mi_*.
 */
#include <string.h>

#include "ledger.h"

#ifdef JEMALLOC
#include <jemalloc/jemalloc.h>
#define ALLOC(size, align)                                                                         \
	((align) <= 16 ? malloc(size) : mallocx(size, MALLOCX_LG_ALIGN(__builtin_ctz(align))))
#define ZEROED(size, align)      calloc(1, size)
#define REALLOC(at, size, align) realloc(at, size)
#define DEALLOC(at, size, align)                                                                   \
	sdallocx(at, size, (align) <= 16 ? 0 : MALLOCX_LG_ALIGN(__builtin_ctz(align)))
#else
#include "toy.h"
#define ALLOC(size, align)       mi_malloc_aligned(size, align)
#define ZEROED(size, align)      mi_zalloc_aligned(size, align)
#define REALLOC(at, size, align) mi_realloc_aligned(at, size, align)
#define DEALLOC(at, size, align) mi_free(at)
#endif

/* One function, and so a set of call sites, per size and alignment. */
#define USER(size, align)                                                                          \
	__attribute__((noinline)) static int use_##size##_##align(struct adopt_ledger *l)          \
	{                                                                                          \
		char *p = ALLOC(size, align), *q;                                                  \
		if (!p)                                                                            \
			return -1;                                                                 \
		l->allocs++;                                                                       \
		l->bytes += size;                                                                  \
		p[0] = 1;                                                                          \
		q = REALLOC(p, l->allocs * 0 + 2 * size + align, align);                           \
		if (!q)                                                                            \
			return -1;                                                                 \
		l->reallocs++;                                                                     \
		l->bytes += 2 * size + align;                                                      \
		if (q[0] != 1 || (uintptr_t)q % align)                                             \
			return -1;                                                                 \
		DEALLOC(q, 2 * size + align, align);                                               \
		l->deallocs++;                                                                     \
		p = ZEROED(size, align);                                                           \
		if (!p)                                                                            \
			return -1;                                                                 \
		l->zeroed++;                                                                       \
		l->bytes += size;                                                                  \
		if (p[0] || p[size - 1])                                                           \
			return -1;                                                                 \
		p[size - 1] = 1;                                                                   \
		DEALLOC(p, size, align);                                                           \
		l->deallocs++;                                                                     \
		q = ALLOC(3 * size, align);                                                        \
		if (!q)                                                                            \
			return -1;                                                                 \
		l->allocs++;                                                                       \
		l->bytes += 3 * size;                                                              \
		DEALLOC(q, 3 * size, align);                                                       \
		l->deallocs++;                                                                     \
		return 0;                                                                          \
	}
#define USERS(DO)                                                                                  \
	DO(24, 8)                                                                                  \
	DO(40, 8) DO(56, 8) DO(72, 8) DO(104, 8) DO(136, 8) DO(200, 8) DO(264, 8) DO(512, 8)       \
		DO(1024, 8) DO(12, 4) DO(20, 4) DO(36, 4) DO(7, 1) DO(31, 1) DO(77, 1) DO(48, 16)  \
			DO(96, 16) DO(4096, 16) DO(160, 32) DO(320, 64) DO(128, 128)
USERS(USER)

#define RUN(size, align) failed |= use_##size##_##align(ledger);
__attribute__((visibility("default"))) int adopt_work(struct adopt_ledger *ledger)
{
	int failed = 0;
	for (unsigned i = 0; i < 100; i++) {
		USERS(RUN)
	}
	return failed;
}
