/* SPDX-License-Identifier: MIT */
/*
 * A small allocator that nobody knows, with the entry points that Rust uses of mimalloc: size classes cut from mapped
 * chunks, a free list for each, one lock. A block's class lies before it.
 */
#include "toy.h"

#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

enum { CLASSES = 40, CHUNK = 1 << 20 };

struct block {
	struct block *next;
};

static struct block *lists[CLASSES];
static char *chunk, *chunk_end;
static atomic_flag lock = ATOMIC_FLAG_INIT;

static unsigned class_of(size_t size)
{
	unsigned class = 4;
	while (class < CLASSES - 1 && (size_t)1 << class < size)
		class ++;
	return class;
}

__attribute__((noinline)) static char *toy_map(size_t size)
{
	char *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return at == MAP_FAILED ? NULL : at;
}

__attribute__((noinline)) static void *toy_fresh(unsigned class)
{
	size_t size = ((size_t)1 << class) *
		      2; /* the first half holds the class, and keeps the second aligned */
	if (size > CHUNK) {
		char *own = toy_map(size);
		return own ? own + size / 2 : NULL;
	}
	chunk += -(uintptr_t)chunk & (size / 2 - 1);
	if (!chunk || chunk + size > chunk_end) {
		chunk = toy_map(2 * CHUNK);
		chunk_end = chunk ? chunk + 2 * CHUNK : NULL;
		if (!chunk)
			return NULL;
		chunk += -(uintptr_t)chunk & (size / 2 - 1);
	}
	char *at = chunk + size / 2;
	chunk += size;
	return at;
}

__attribute__((noinline)) static void *toy_take(size_t size, size_t align)
{
	unsigned class = class_of(size < align ? align : size);
	if (align & (align - 1))
		return NULL;
	while (atomic_flag_test_and_set_explicit(&lock, memory_order_acquire))
		;
	struct block *b = lists[class];
	if (b)
		lists[class] = b->next;
	else if ((b = toy_fresh(class)))
		((unsigned *)b)[-1] = class;
	atomic_flag_clear_explicit(&lock, memory_order_release);
	return b;
}

void *mi_malloc_aligned(size_t size, size_t align)
{
	return toy_take(size, align);
}

void *mi_zalloc_aligned(size_t size, size_t align)
{
	void *at = toy_take(size, align);
	if (at)
		memset(at, 0, size);
	return at;
}

/* realloc calls it, as mimalloc's does */
__attribute__((noinline)) void mi_free(void *at)
{
	if (!at)
		return;
	unsigned class = ((unsigned *)at)[-1];
	while (atomic_flag_test_and_set_explicit(&lock, memory_order_acquire))
		;
	((struct block *)at)->next = lists[class];
	lists[class] = at;
	atomic_flag_clear_explicit(&lock, memory_order_release);
}

void *mi_realloc_aligned(void *at, size_t size, size_t align)
{
	size_t old = at ? (size_t)1 << ((unsigned *)at)[-1] : 0;
	if (at && size <= old)
		return at;
	void *to = toy_take(size, align);
	if (to && at) {
		memcpy(to, at, old < size ? old : size);
		mi_free(at);
	}
	return to;
}
