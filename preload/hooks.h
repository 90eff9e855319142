/* SPDX-License-Identifier: MIT */
/* The functions we stand in front of, and the hooks of those that passing.c looks at first. */
#ifndef HEAPTALLY_HOOKS_H
#define HEAPTALLY_HOOKS_H

#include <link.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Result, name, parameters. */
#define HOOKS_REAL(X)                                                                              \
	X(void *, malloc, (size_t))                                                                \
	X(void, free, (void *))                                                                    \
	X(void *, calloc, (size_t, size_t))                                                        \
	X(void *, realloc, (void *, size_t))                                                       \
	X(int, posix_memalign, (void **, size_t, size_t))                                          \
	X(void *, aligned_alloc, (size_t, size_t))                                                 \
	X(void *, memalign, (size_t, size_t))                                                      \
	X(void *, valloc, (size_t))                                                                \
	X(void *, pvalloc, (size_t))                                                               \
	X(size_t, malloc_usable_size, (void *))                                                    \
	X(void, free_sized, (void *, size_t))                                                      \
	X(void, free_aligned_sized, (void *, size_t, size_t))                                      \
	X(void *, mmap, (void *, size_t, int, int, int, off_t))                                    \
	X(int, munmap, (void *, size_t))                                                           \
	X(void *, mremap, (void *, size_t, size_t, int, ...))                                      \
	X(int, madvise, (void *, size_t, int))                                                     \
	X(int, brk, (void *))                                                                      \
	X(void *, sbrk, (intptr_t))                                                                \
	X(void *, dlopen, (const char *, int))                                                     \
	X(void *, dlmopen, (Lmid_t, const char *, int))                                            \
	X(int, dlclose, (void *))                                                                  \
	X(int, access, (const char *, int))

/* The next definitions in line; NULL where there is none. */
struct hooks_real {
#define HOOKS_FIELD(result, name, parameters) result(*name) parameters;
	HOOKS_REAL(HOOKS_FIELD)
#undef HOOKS_FIELD
};
extern struct hooks_real hooks_real;

/* True when they are known. */
bool hooks_ready(void);

void *hooks_malloc(size_t bytes);
void hooks_free(void *p);
void *hooks_dlopen(const char *file, int mode);
void *hooks_dlmopen(Lmid_t where, const char *file, int mode);

#endif
