/* SPDX-License-Identifier: MIT */
/* What is plumbing: by crate for Rust, by built-in lists for C and C++. */
#include "rust_text.h"

static bool has_prefix(const char *s, const char *const *list)
{
	for (; *list; list++)
		if (!strncmp(s, *list, strlen(*list)))
			return true;
	return false;
}

bool rust_symbol(const char *s)
{
	static const char *const prefixes[] = {"__rust_", "__rdl_", "__rg_", "rust_begin_unwind",
		"rust_eh_personality", "rust_panic", NULL};
	return has_prefix(s, prefixes);
}

static bool is_c_plumbing(const char *s)
{
	static const char *const names[] = {"malloc", "calloc", "realloc", "free", "reallocarray",
		"posix_memalign", "aligned_alloc", "memalign", "valloc", "pvalloc", "cfree",
		"free_sized", "free_aligned_sized", "malloc_usable_size", "strdup", "strndup",
		"wcsdup", "asprintf", "vasprintf", "getline", "getdelim", "open_memstream", "fopen",
		"fopen64", "fdopen", "opendir", "fdopendir", "scandir", "realpath", "getcwd",
		"setlocale", "newlocale", "qsort", "qsort_r", "getaddrinfo", "setenv", "putenv",
		"tsearch", "CRYPTO_malloc", "CRYPTO_zalloc", "CRYPTO_realloc", "CRYPTO_strdup",
		"CRYPTO_strndup", "CRYPTO_memdup", "start_thread", "clone", "clone3", "__clone",
		"__clone3", "_start", "_init", "dlopen", "dlsym", "dlclose", "dlerror", "call_init",
		"atexit", "exit", "pthread_create", "pthread_once", "pthread_setspecific",
		"new_heap", "sysmalloc", "arena_get2", "arena_get_retry", "tcache_init", "openaux",
		"allocate_dtv", "allocate_stack", NULL};
	/* prefixes of the allocators' and the loader's own */
	static const char *const prefixes[] = {"__libc_", "__GI_", "_int_", "_dl_", "__dl", "_mi_",
		"mi_", "je_", "_rjem_", "tc_", "__cxa_", "_Unwind_", "__gthread", "__pthread_",
		"__tls_get_addr", "__tls_", "__nptl_", "_IO_", "__fopen", "__strdup", "__strndup",
		"__asprintf", "__vasprintf", "__new_", "__start_thread", "__run_exit_handlers",
		"__static_initialization", "_GLOBAL__sub_I_", NULL};
	/* frames without a name, in the C library and its kin */
	static const char *const modules[] = {"libc.so", "libc-", "ld-linux", "ld-musl",
		"libpthread", "libstdc++", "libgcc_s", "libm.so", "libdl", "libheaptally",
		"libjemalloc", "libmimalloc", "libtcmalloc", NULL};
	for (size_t i = 0; names[i]; i++)
		if (s[0] == names[i][0] && !strcmp(s, names[i]))
			return true;
	return has_prefix(s, prefixes) || (strstr(s, "+0x") && has_prefix(s, modules));
}

bool rust_name_plumbing(
	const struct rust_name *name, const char *demangled, const char *const *crates)
{
	if (name->rust) {
		/* whatever crate wraps the allocator */
		if (strstr(demangled, " as core::alloc::global::GlobalAlloc>::"))
			return true;
		if (!*name->crate || !strcmp(name->crate, "__rustc"))
			return rust_symbol(demangled) || *name->crate;
		for (size_t i = 0; crates && crates[i]; i++)
			if (!strcmp(name->crate, crates[i]))
				return true;
		return false;
	}
	if (*name->crate)
		return !strcmp(name->crate, "std") || !strcmp(name->crate, "__gnu_cxx") ||
		       !strcmp(name->crate, "__cxxabiv1") || !strcmp(name->crate, "tcmalloc");
	return !strncmp(demangled, "operator new", 12) ||
	       !strncmp(demangled, "operator delete", 15) || is_c_plumbing(demangled);
}
