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

/* C++ operators: name, parameters, arguments, and of new the size and the alignment. */
#define HOOKS_NEW(X)                                                                               \
	X(_Znwm, (size_t bytes), (bytes), bytes, 0)                                                \
	X(_Znam, (size_t bytes), (bytes), bytes, 0)                                                \
	X(_ZnwmRKSt9nothrow_t, (size_t bytes, const void *tag), (bytes, tag), bytes, 0)            \
	X(_ZnamRKSt9nothrow_t, (size_t bytes, const void *tag), (bytes, tag), bytes, 0)            \
	X(_ZnwmSt11align_val_t, (size_t bytes, size_t align), (bytes, align), bytes, align)        \
	X(_ZnamSt11align_val_t, (size_t bytes, size_t align), (bytes, align), bytes, align)        \
	X(_ZnwmSt11align_val_tRKSt9nothrow_t, (size_t bytes, size_t align, const void *tag),       \
		(bytes, align, tag), bytes, align)                                                 \
	X(_ZnamSt11align_val_tRKSt9nothrow_t, (size_t bytes, size_t align, const void *tag),       \
		(bytes, align, tag), bytes, align)
#define HOOKS_DELETE(X)                                                                            \
	X(_ZdlPv, (void *p), (p))                                                                  \
	X(_ZdaPv, (void *p), (p))                                                                  \
	X(_ZdlPvRKSt9nothrow_t, (void *p, const void *tag), (p, tag))                              \
	X(_ZdaPvRKSt9nothrow_t, (void *p, const void *tag), (p, tag))                              \
	X(_ZdlPvm, (void *p, size_t bytes), (p, bytes))                                            \
	X(_ZdaPvm, (void *p, size_t bytes), (p, bytes))                                            \
	X(_ZdlPvSt11align_val_t, (void *p, size_t align), (p, align))                              \
	X(_ZdaPvSt11align_val_t, (void *p, size_t align), (p, align))                              \
	X(_ZdlPvmSt11align_val_t, (void *p, size_t bytes, size_t align), (p, bytes, align))        \
	X(_ZdaPvmSt11align_val_t, (void *p, size_t bytes, size_t align), (p, bytes, align))        \
	X(_ZdlPvSt11align_val_tRKSt9nothrow_t, (void *p, size_t align, const void *tag),           \
		(p, align, tag))                                                                   \
	X(_ZdaPvSt11align_val_tRKSt9nothrow_t, (void *p, size_t align, const void *tag),           \
		(p, align, tag))

/* The next of them in line, where they end in malloc or free; NULL: that is not known, or they do not. */
struct hooks_operators {
#define HOOKS_FIELD_NEW(name, parameters, ...)    void *(*name)parameters;
#define HOOKS_FIELD_DELETE(name, parameters, ...) void(*name) parameters;
	HOOKS_NEW(HOOKS_FIELD_NEW)
	HOOKS_DELETE(HOOKS_FIELD_DELETE)
#undef HOOKS_FIELD_NEW
#undef HOOKS_FIELD_DELETE
};
extern struct hooks_operators hooks_operators;

/* True when they are known. */
bool hooks_ready(void);

void *hooks_malloc(size_t bytes);
void hooks_free(void *p);
void *hooks_realloc(void *p, size_t bytes);
#define HOOKS_HOOK_NEW(name, parameters, ...)    void *hooks_##name parameters;
#define HOOKS_HOOK_DELETE(name, parameters, ...) void hooks_##name parameters;
HOOKS_NEW(HOOKS_HOOK_NEW)
HOOKS_DELETE(HOOKS_HOOK_DELETE)
#undef HOOKS_HOOK_NEW
#undef HOOKS_HOOK_DELETE
void *hooks_dlopen(const char *file, int mode);
void *hooks_dlmopen(Lmid_t where, const char *file, int mode);

#endif
