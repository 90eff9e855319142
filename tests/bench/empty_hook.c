/* SPDX-License-Identifier: MIT */
/* A preload library that hooks malloc and free and does nothing: the floor of any tool that works by LD_PRELOAD. */
#include <dlfcn.h>
#include <stddef.h>

void *malloc(size_t bytes);
void free(void *p);

static void *(*real_malloc)(size_t);
static void (*real_free)(void *);

void *malloc(size_t bytes)
{
	if (__builtin_expect(!real_malloc, 0))
		real_malloc = (void *(*)(size_t))dlsym(RTLD_NEXT, "malloc");
	return real_malloc(bytes);
}

void free(void *p)
{
	if (__builtin_expect(!real_free, 0))
		real_free = (void (*)(void *))dlsym(RTLD_NEXT, "free");
	real_free(p);
}
