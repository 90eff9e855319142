/* SPDX-License-Identifier: MIT */
/*
 * Calls an allocator that is linked into the same shared object, as compiled Rust does: many call sites, sizes and
 * alignments as constants, each result tested. -DJEMALLOC: malloc, mallocx, realloc, calloc and sdallocx; else mi_*.
 * -DROUND: mi_* through shims, and round them with alignments that no call site shows.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

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
#ifdef ROUND
static unsigned long through_shim;
static size_t alignments[4] = {8, 16, 32, 64};
void *shim(size_t size, size_t align);
__attribute__((noinline)) void *shim(size_t size, size_t align)
{
	char *p = mi_malloc_aligned(size, align < 16 ? 16 : align);
	through_shim += p != NULL;
	return p;
}
__attribute__((noinline)) static int round_shim(struct adopt_ledger *l)
{
	volatile size_t *align = alignments;
	for (unsigned i = 0; i < 4; i++) {
		void *p = mi_malloc_aligned(align[i] * 3, align[i]);
		void *q = mi_malloc_aligned(align[3 - i], align[3 - i]);
		if (!p || !q)
			return -1;
		void *r = mi_malloc_aligned(100, align[i]);
		if (!r)
			return -1;
		mi_free(p);
		void *s = mi_malloc_aligned(50, align[i]);
		if (!s)
			return -1;
		mi_free(q);
		mi_free(r);
		mi_free(s);
		l->allocs += 4;
		l->deallocs += 4;
		l->bytes += align[i] * 3 + align[3 - i] + 150;
	}
	return 0;
}
#define ALLOC(size, align) shim(size, align)
#else
#define ALLOC(size, align) mi_malloc_aligned(size, align)
#endif
#define ZEROED(size, align)      mi_zalloc_aligned(size, align)
#define REALLOC(at, size, align) mi_realloc_aligned(at, size, align)
#define DEALLOC(at, size, align) mi_free(at)
#endif

/* While it is loaded it maps memory, which makes it worth a look; in HOST_BUSY it gives others the time for one. */
__attribute__((constructor)) static void map_early(void)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p != MAP_FAILED)
		munmap(p, 4096);
	if (getenv("HOST_BUSY"))
		usleep(1000);
}

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
	DO(40, 8)                                                                                  \
	DO(56, 8)                                                                                  \
	DO(72, 8) DO(104, 8) DO(136, 8) DO(200, 8) DO(264, 8) DO(512, 8) DO(1024, 8) DO(12, 4)     \
		DO(20, 4) DO(36, 4) DO(7, 1) DO(31, 1) DO(77, 1) DO(48, 16) DO(96, 16)             \
			DO(4096, 16) DO(160, 32) DO(320, 64) DO(128, 128)
USERS(USER)

#define RUN(size, align) failed |= use_##size##_##align(ledger);
__attribute__((visibility("default"))) int adopt_work(struct adopt_ledger *ledger)
{
	int failed = 0;
	for (unsigned i = 0; i < 100; i++) {
		USERS(RUN)
#ifdef ROUND
		failed |= round_shim(ledger);
#endif
	}
	return failed;
}
