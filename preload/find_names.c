/* SPDX-License-Identifier: MIT */
/* The names of allocators' entry points: from the headers of mimalloc and jemalloc, and from rustc's codegen. */
#include "find_names.h"

#include <string.h>

struct known {
	const char *name;
	enum find_role role;
	enum find_shape shape;
};

static const struct known mimalloc[] = {
	{"malloc", FIND_ALLOC, FIND_SIZE},
	{"malloc_small", FIND_ALLOC, FIND_SIZE},
	{"malloc_aligned", FIND_ALLOC, FIND_SIZE_ALIGN},
	{"mallocn", FIND_ALLOC, FIND_COUNT_SIZE},
	{"zalloc", FIND_ALLOC_ZEROED, FIND_SIZE},
	{"zalloc_small", FIND_ALLOC_ZEROED, FIND_SIZE},
	{"zalloc_aligned", FIND_ALLOC_ZEROED, FIND_SIZE_ALIGN},
	{"calloc", FIND_ALLOC_ZEROED, FIND_COUNT_SIZE},
	{"realloc", FIND_REALLOC, FIND_PTR_NEW},
	{"realloc_aligned", FIND_REALLOC, FIND_PTR_NEW_ALIGN},
	{"free", FIND_DEALLOC, FIND_PTR},
	{"free_size", FIND_DEALLOC, FIND_PTR_SIZE},
	{"free_size_aligned", FIND_DEALLOC, FIND_PTR_SIZE_ALIGN},
	{"free_aligned", FIND_DEALLOC, FIND_PTR_OTHER},
	{NULL, 0, 0},
};

static const struct known jemalloc[] = {
	{"malloc", FIND_ALLOC, FIND_SIZE},
	{"mallocx", FIND_ALLOC, FIND_SIZE_FLAGS},
	{"calloc", FIND_ALLOC_ZEROED, FIND_COUNT_SIZE},
	{"aligned_alloc", FIND_ALLOC, FIND_ALIGN_SIZE},
	{"memalign", FIND_ALLOC, FIND_ALIGN_SIZE},
	{"posix_memalign", FIND_ALLOC, FIND_OUT_ALIGN_SIZE},
	{"realloc", FIND_REALLOC, FIND_PTR_NEW},
	{"rallocx", FIND_REALLOC, FIND_PTR_NEW_FLAGS},
	{"free", FIND_DEALLOC, FIND_PTR},
	{"dallocx", FIND_DEALLOC, FIND_PTR_OTHER},
	{"sdallocx", FIND_DEALLOC, FIND_PTR_SIZE_FLAGS},
	{NULL, 0, 0},
};

static const struct known rust[] = {
	{"alloc", FIND_ALLOC, FIND_SIZE_ALIGN},
	{"alloc_zeroed", FIND_ALLOC_ZEROED, FIND_SIZE_ALIGN},
	{"realloc", FIND_REALLOC, FIND_PTR_OLD_ALIGN_NEW},
	{"dealloc", FIND_DEALLOC, FIND_PTR_SIZE_ALIGN},
	{NULL, 0, 0},
};

static const struct {
	const char *prefix;
	const struct known *names;
} families[] = {
	{"mi_", mimalloc}, {"_rjem_", jemalloc}, {"je_", jemalloc}, {"jemalloc_", jemalloc},
	{"", jemalloc}, /* a program may define malloc itself; mallocx and the like are jemalloc's own */
};

static const struct known *match(const struct known *names, const char *rest)
{
	for (; names->name; names++)
		if (elf_same(names->name, rest))
			return names;
	return NULL;
}

static const struct known *match_shim(const char *name)
{
	static const char *const prefixes[] = {"__rust_", "__rg_"};
	/* v0: _RNvCs<hash>_7___rustc12___rust_alloc; the number is the length of what follows, and the "_" that
	 * parts them is there because it starts with one. */
	if (elf_starts(name, "_RNvC")) {
		const char *crate = name + 5;
		while (*crate && !elf_starts(crate, "7___rustc"))
			crate++;
		if (!*crate)
			return NULL;
		name = crate + 9;
		while (*name >= '0' && *name <= '9')
			name++;
		name += *name == '_';
	}
	for (unsigned i = 0; i < sizeof(prefixes) / sizeof(*prefixes); i++)
		if (elf_starts(name, prefixes[i]))
			return match(rust, name + strlen(prefixes[i]));
	return NULL;
}

static const struct known *match_allocator(const char *name)
{
	for (unsigned i = 0; i < sizeof(families) / sizeof(*families); i++)
		if (elf_starts(name, families[i].prefix)) {
			const struct known *known =
				match(families[i].names, name + strlen(families[i].prefix));
			if (known)
				return known;
		}
	return NULL;
}

void find_names(const struct elf_symbols *symbols, bool shims,
	void (*found)(void *arg, const char *name, enum find_role role, enum find_shape shape,
		uint64_t function),
	void *arg)
{
	for (size_t i = 0; i < symbols->n; i++) {
		const Elf64_Sym *symbol = &symbols->symbols[i];
		if (ELF64_ST_TYPE(symbol->st_info) != STT_FUNC || symbol->st_shndx == SHN_UNDEF ||
			!symbol->st_value)
			continue;
		const char *name = elf_name(symbols, symbol);
		const struct known *known = shims ? match_shim(name) : match_allocator(name);
		if (known)
			found(arg, name, known->role, known->shape, symbol->st_value);
	}
}
