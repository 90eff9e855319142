/* SPDX-License-Identifier: MIT */
/*
 * An allocator that signal handlers may call, to be preloaded behind the shim: it only ever moves a pointer on. With
 * it under the shim, an allocating handler is the shim's business alone.
 */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <malloc.h>

#define SPACE ((size_t)8 << 30)

static char *space;
static size_t used;

static char *space_of(void)
{
	char *p = __atomic_load_n(&space, __ATOMIC_ACQUIRE), *none = NULL;

	if (p)
		return p;
	p = mmap(NULL, SPACE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
		-1, 0);
	if (p == MAP_FAILED)
		abort();
	if (__atomic_compare_exchange_n(&space, &none, p, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		return p;
	munmap(p, SPACE);
	return none;
}

/* The block's size lies in the word before it. */
static void *take(size_t align, size_t size)
{
	char *base = space_of();
	size_t room = size + align + 16, at;
	uintptr_t p;

	if (align < 16)
		align = 16;
	room = (size + align + 16 + 15) & ~(size_t)15;
	if (size > SPACE || __atomic_load_n(&used, __ATOMIC_RELAXED) + room > SPACE) {
		errno = ENOMEM;
		return NULL;
	}
	at = __atomic_fetch_add(&used, room, __ATOMIC_RELAXED);
	p = ((uintptr_t)base + at + 8 + align - 1) & -(uintptr_t)align;
	((size_t *)p)[-1] = size;
	return (void *)p;
}

void *malloc(size_t size)
{
	return take(16, size);
}

void free(void *p)
{
	(void)p;
}

void *calloc(size_t n, size_t size)
{
	size_t bytes;

	if (__builtin_mul_overflow(n, size, &bytes)) {
		errno = ENOMEM;
		return NULL;
	}
	return take(16, bytes);
}

void *realloc(void *p, size_t size)
{
	size_t before = p ? ((size_t *)p)[-1] : 0;
	void *q = take(16, size);

	if (q && before)
		memcpy(q, p, before < size ? before : size);
	return q;
}

void *memalign(size_t align, size_t size)
{
	return take(align, size);
}

void *aligned_alloc(size_t align, size_t size)
{
	return take(align, size);
}

int posix_memalign(void **p, size_t align, size_t size)
{
	void *q = take(align, size);

	if (!q)
		return ENOMEM;
	*p = q;
	return 0;
}

size_t malloc_usable_size(void *p)
{
	return p ? ((size_t *)p)[-1] : 0;
}
