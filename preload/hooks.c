/* SPDX-License-Identifier: MIT */
/*
 * The exported functions, or what passing.c has of them for us. Each calls the next definition in line, so an allocator
 * that is preloaded behind us keeps working, and records what happened. Order matters twice: a pointer leaves the ledger
 * before the real free, for afterwards it may already be somebody else's; and it enters after the real malloc.
 */
#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "adopt.h"
#include "bootstrap.h"
#include "hooks.h"
#include "marks.h"
#include "probes.h"
#include "record.h"
#include "tallyfile.h"

#define EXPORT __attribute__((visibility("default")))

/* C23, not yet in every C library's headers */
void free_sized(void *p, size_t bytes);
void free_aligned_sized(void *p, size_t alignment, size_t bytes);

struct hooks_real hooks_real;
static bool resolved;

static inline uint64_t usable(void *p)
{
	return hooks_real.malloc_usable_size ? hooks_real.malloc_usable_size(p) : 0;
}

static COLD void resolve(void)
{
	static bool resolving; /* at this time there is one thread: the first allocation of the process */

	if (resolving)
		return;
	resolving = true;
#define LOOK_UP(result, name, parameters)                                                          \
	hooks_real.name = (result(*) parameters)dlsym(RTLD_NEXT, #name);
	HOOKS_REAL(LOOK_UP)
#undef LOOK_UP
	adopt_exclude((uintptr_t)hooks_real.malloc);
	/* release: the table is whole for whoever sees the flag */
	__atomic_store_n(&resolved, true, __ATOMIC_RELEASE);
	/* tcmalloc's first malloc_usable_size allocates. Let it do so now, and not inside a recording. */
	uint64_t before = record_mute();
	void *p = hooks_real.malloc(1);
	usable(p);
	hooks_real.free(p);
	record_unmute(before);
}

static inline bool ready(void)
{
	if (likely(__atomic_load_n(&resolved, __ATOMIC_ACQUIRE)))
		return true;
	resolve();
	return resolved;
}

bool hooks_ready(void)
{
	return ready();
}

/* A call of the real function, timed now and then. */
#define TIMED(call)                                                                                \
	({                                                                                         \
		uint64_t start = probes_start();                                                   \
		void *result = (call);                                                             \
		if (probes_timed(start))                                                           \
			probes_stop(start);                                                        \
		result;                                                                            \
	})

/* After the real function: records its success or failure. */
static inline void *allocated(
	const uintptr_t *caller, void *p, size_t bytes, uint8_t align, bool uninitialised)
{
	struct thread *t = record_enter_alloc(p, bytes);

	if (unlikely(!t)) {
		probes_elapsed = 0;
		return p;
	}
	if (likely(p))
		record_alloc(t, caller, p, bytes, usable(p), align, HT_SOURCE_LIBC, uninitialised);
	else
		record_failure(bytes);
	probes_elapsed = 0;
	record_leave(t);
	return p;
}

void *hooks_malloc(size_t bytes)
{
	if (unlikely(!ready()))
		return bootstrap_alloc(bytes, 16);
	return allocated(UNWIND_CALLER, TIMED(hooks_real.malloc(bytes)), bytes, 0, true);
}

void hooks_free(void *p)
{
	if (!p || unlikely(bootstrap_owns(p)))
		return;
	if (unlikely(!ready()))
		return;
	record_freeing(p);
	uint64_t start = probes_start();
	hooks_real.free(p);
	if (probes_timed(start)) {
		probes_stop(start);
		record_freed();
	}
}

EXPORT void *calloc(size_t count, size_t bytes)
{
	size_t all;

	if (unlikely(!ready()))
		return __builtin_mul_overflow(count, bytes, &all) ? NULL : bootstrap_alloc(all, 16);
	if (unlikely(__builtin_mul_overflow(count, bytes, &all)))
		all = SIZE_MAX;
	return allocated(UNWIND_CALLER, TIMED(hooks_real.calloc(count, bytes)), all, 0, false);
}

static COLD void *leave_bootstrap(const uintptr_t *caller, void *p, size_t bytes)
{
	size_t old = bootstrap_usable(p);
	void *q = ready() ? hooks_real.malloc(bytes) : bootstrap_alloc(bytes, 16);

	if (q)
		memcpy(q, p, old < bytes ? old : bytes);
	return resolved ? allocated(caller, q, bytes, 0, false) : q;
}

static inline void *reallocate(const uintptr_t *caller, void *p, size_t bytes)
{
	struct record_realloc r;

	if (unlikely(bootstrap_owns(p)))
		return leave_bootstrap(caller, p, bytes);
	if (unlikely(!ready()))
		return bootstrap_alloc(bytes, 16);
	if (!p)
		return allocated(caller, TIMED(hooks_real.realloc(p, bytes)), bytes, 0, true);
	record_realloc_begin(&r, p);
	void *q = TIMED(hooks_real.realloc(p, bytes));
	if (!q && bytes == 0)
		record_realloc_freed(&r);
	else
		record_realloc_end(&r, caller, q, bytes, q ? usable(q) : 0, 0, HT_SOURCE_LIBC);
	probes_elapsed = 0; /* of one that was not recorded */
	return q;
}

void *hooks_realloc(void *p, size_t bytes)
{
	return reallocate(UNWIND_CALLER, p, bytes);
}

/* glibc's own comes back through realloc and would be counted twice. */
EXPORT void *reallocarray(void *p, size_t count, size_t bytes)
{
	size_t all;

	if (unlikely(__builtin_mul_overflow(count, bytes, &all))) {
		errno = ENOMEM;
		record_failed(SIZE_MAX);
		return NULL;
	}
	return reallocate(UNWIND_CALLER, p, all);
}

EXPORT int posix_memalign(void **out, size_t alignment, size_t bytes)
{
	if (unlikely(!ready())) {
		*out = bootstrap_alloc(bytes, alignment);
		return *out ? 0 : ENOMEM;
	}
	int r = hooks_real.posix_memalign(out, alignment, bytes);
	if (likely(r == 0))
		allocated(UNWIND_CALLER, *out, bytes, record_align_code(alignment), true);
	else if (r == ENOMEM)
		allocated(UNWIND_CALLER, NULL, bytes, 0, false);
	return r;
}

EXPORT void *aligned_alloc(size_t alignment, size_t bytes)
{
	if (unlikely(!ready()))
		return bootstrap_alloc(bytes, alignment);
	return allocated(
		UNWIND_CALLER, hooks_real.aligned_alloc(alignment, bytes), bytes, record_align_code(alignment), true);
}

EXPORT void *memalign(size_t alignment, size_t bytes)
{
	if (unlikely(!ready()))
		return bootstrap_alloc(bytes, alignment);
	return allocated(UNWIND_CALLER, hooks_real.memalign(alignment, bytes), bytes, record_align_code(alignment), true);
}

EXPORT void *valloc(size_t bytes)
{
	if (unlikely(!ready()))
		return bootstrap_alloc(bytes, SYS_PAGE_BYTES);
	return allocated(UNWIND_CALLER, hooks_real.valloc(bytes), bytes, record_align_code(SYS_PAGE_BYTES), true);
}

EXPORT void *pvalloc(size_t bytes)
{
	if (unlikely(!ready()))
		return bootstrap_alloc(bytes, SYS_PAGE_BYTES);
	return allocated(UNWIND_CALLER, hooks_real.pvalloc(bytes), bytes, record_align_code(SYS_PAGE_BYTES), true);
}

EXPORT size_t malloc_usable_size(void *p)
{
	if (unlikely(bootstrap_owns(p)))
		return bootstrap_usable(p);
	return ready() && p ? usable(p) : 0;
}

/* C23; glibc 2.36 does not have them, other allocators may. */
EXPORT void free_sized(void *p, size_t bytes)
{
	if (!p || bootstrap_owns(p) || !ready())
		return;
	record_freeing(p);
	if (hooks_real.free_sized)
		hooks_real.free_sized(p, bytes);
	else
		hooks_real.free(p);
}

EXPORT void free_aligned_sized(void *p, size_t alignment, size_t bytes)
{
	if (!p || bootstrap_owns(p) || !ready())
		return;
	record_freeing(p);
	if (hooks_real.free_aligned_sized)
		hooks_real.free_aligned_sized(p, alignment, bytes);
	else
		hooks_real.free(p);
}

/*
 * C++ operators. libstdc++'s end in malloc, where they are seen with the operator in the stack, and passing.c goes to them;
 * those of another allocator do not. Which it is, is told once: by whether the next operator lies in the module of the next
 * malloc. A library that was loaded privately with its own libstdc++ finds ours first all the same; then its module is asked.
 */
struct hooks_operators hooks_operators;

/* The next operator in line, or the one that the caller's own module would find. *own: it does not end in malloc. */
static COLD void *next_operator(const char *name, void *caller, bool *own)
{
	struct dl_find_object there, here;
	void *f = ready() ? dlsym(RTLD_NEXT, name) : NULL;

	*own = false;
	if (!f && resolved && _dl_find_object(caller, &there) == 0)
		return dlsym(there.dlfo_link_map, name);
	if (f && _dl_find_object(f, &there) == 0 &&
		_dl_find_object((void *)hooks_real.malloc, &here) == 0)
		*own = there.dlfo_link_map == here.dlfo_link_map;
	return f;
}

/* Sets `own`, or leads all further calls past us. */
#define FIND_OPERATOR(name)                                                                        \
	({                                                                                         \
		bool is_own;                                                                       \
		void *f = next_operator(#name, __builtin_return_address(0), &is_own);              \
		__atomic_store_n(is_own ? (void **)&own : (void **)&hooks_operators.name, f,       \
			__ATOMIC_RELEASE);                                                         \
		f;                                                                                 \
	})

#define DEFINE_NEW(name, parameters, arguments, bytes, align)                                      \
	void *hooks_##name parameters                                                              \
	{                                                                                          \
		static void *(*own) parameters;                                                    \
		if (unlikely(!own)) {                                                              \
			void *(*f) parameters = FIND_OPERATOR(name);                               \
			if (!f)                                                                    \
				return bootstrap_alloc(bytes, 16);                                 \
			if (!own)                                                                  \
				return f arguments;                                                \
		}                                                                                  \
		uint64_t before = record_allocs();                                                 \
		void *p = own arguments;                                                           \
		/* It may have called malloc after all; if it throws, there is nothing to record. */ \
		return record_allocs() == before ?                                                 \
			allocated(UNWIND_CALLER, p, bytes, record_align_code(align), true) : p;    \
	}
HOOKS_NEW(DEFINE_NEW)

#define DEFINE_DELETE(name, parameters, arguments)                                                 \
	void hooks_##name parameters                                                               \
	{                                                                                          \
		static void (*own) parameters;                                                     \
		if (!p || bootstrap_owns(p))                                                       \
			return;                                                                    \
		if (unlikely(!own)) {                                                              \
			void (*f) parameters = FIND_OPERATOR(name);                                \
			if (!f)                                                                    \
				free(p);                                                           \
			else if (!own)                                                             \
				f arguments;                                                       \
			if (!own)                                                                  \
				return;                                                            \
		}                                                                                  \
		record_freeing(p);                                                                 \
		uint64_t before = record_mute();                                                   \
		own arguments;                                                                     \
		record_unmute(before);                                                             \
	}
HOOKS_DELETE(DEFINE_DELETE)

/* Mappings: counted, per module, so that heap and resident memory can be told apart. */

EXPORT void *mmap(void *start, size_t bytes, int prot, int flags, int fd, off_t offset)
{
	if (unlikely(!ready() || !hooks_real.mmap)) {
		errno = ENOMEM;
		return MAP_FAILED;
	}
	void *p = hooks_real.mmap(start, bytes, prot, flags, fd, offset);
	if (p != MAP_FAILED)
		record_map((uintptr_t)__builtin_return_address(0), bytes, 0);
	return p;
}

EXPORT void *mmap64(void *start, size_t bytes, int prot, int flags, int fd, off64_t offset)
	__attribute__((alias("mmap")));

EXPORT int munmap(void *start, size_t bytes)
{
	if (unlikely(!ready() || !hooks_real.munmap)) {
		errno = EINVAL;
		return -1;
	}
	int r = hooks_real.munmap(start, bytes);
	if (r == 0)
		record_map((uintptr_t)__builtin_return_address(0), 0, bytes);
	return r;
}

EXPORT void *mremap(void *start, size_t old_bytes, size_t bytes, int flags, ...)
{
	void *wanted = NULL;

	if (flags & MREMAP_FIXED) {
		va_list ap;
		va_start(ap, flags);
		wanted = va_arg(ap, void *);
		va_end(ap);
	}
	if (unlikely(!ready() || !hooks_real.mremap)) {
		errno = ENOMEM;
		return MAP_FAILED;
	}
	void *p = hooks_real.mremap(start, old_bytes, bytes, flags, wanted);
	if (p != MAP_FAILED)
		record_map((uintptr_t)__builtin_return_address(0), bytes, old_bytes);
	return p;
}

EXPORT int madvise(void *start, size_t bytes, int advice)
{
	if (unlikely(!ready() || !hooks_real.madvise)) {
		errno = EINVAL;
		return -1;
	}
	int r = hooks_real.madvise(start, bytes, advice);
	if (r == 0 && (advice == MADV_DONTNEED || advice == MADV_FREE))
		record_madvise(bytes);
	return r;
}

EXPORT int brk(void *end)
{
	if (unlikely(!ready() || !hooks_real.brk || !hooks_real.sbrk)) {
		errno = ENOMEM;
		return -1;
	}
	char *before = hooks_real.sbrk(0);
	int r = hooks_real.brk(end);
	if (r == 0 && (char *)end > before)
		record_map((uintptr_t)__builtin_return_address(0), (uint64_t)((char *)end - before), 0);
	else if (r == 0)
		record_map((uintptr_t)__builtin_return_address(0), 0, (uint64_t)(before - (char *)end));
	return r;
}

EXPORT void *sbrk(intptr_t change)
{
	if (unlikely(!ready() || !hooks_real.sbrk)) {
		errno = ENOMEM;
		return (void *)-1;
	}
	void *p = hooks_real.sbrk(change);
	if (p != (void *)-1 && change)
		record_map((uintptr_t)__builtin_return_address(0), change > 0 ? (uint64_t)change : 0,
			change < 0 ? (uint64_t)-change : 0);
	return p;
}

/* What is loaded by a plain path; passing.c has the others. */
void *hooks_dlopen(const char *file, int mode)
{
	if (unlikely(!ready() || !hooks_real.dlopen))
		return NULL;
	void *handle = hooks_real.dlopen(file, mode);
	if (handle)
		record_modules_added();
	return handle;
}

/* What the namespace has is not on the list that the loader gives of ours, so it is looked at by itself. */
void *hooks_dlmopen(Lmid_t where, const char *file, int mode)
{
	struct link_map *loaded;

	if (unlikely(!ready() || !hooks_real.dlmopen))
		return NULL;
	void *handle = hooks_real.dlmopen(where, file, mode);
	if (handle && dlinfo(handle, RTLD_DI_LINKMAP, &loaded) == 0)
		record_namespace_added(loaded);
	return handle;
}

EXPORT int dlclose(void *handle)
{
	if (unlikely(!ready() || !hooks_real.dlclose))
		return -1;
	int r = hooks_real.dlclose(handle);
	record_modules_changed();
	return r;
}

/* Where marks come in. Only these answers say that the kernel could read the path. */
EXPORT int access(const char *path, int mode)
{
	if (unlikely(!ready() || !hooks_real.access)) {
		errno = ENOSYS;
		return -1;
	}
	int r = hooks_real.access(path, mode);
	if (r == 0 || errno == ENOENT || errno == ENOTDIR)
		marks_path(path);
	return r;
}

__attribute__((constructor)) static void start(void)
{
	ready();
	record_start();
}

__attribute__((destructor)) static void stop(void)
{
	record_exit();
}
