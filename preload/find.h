/* SPDX-License-Identifier: MIT */
/*
 * Finds the entry points of an allocator that is linked statically into an x86-64 ELF module, stripped or not: by name
 * where names are left, else by how the module's own code calls them. It reads, it never writes; what it finds is
 * a claim with its evidence, to be proven by trying before anything is patched.
 *
 * Pure, so that it can run inside somebody else's process: no libc beyond memcpy, memcmp, memset, memchr and strlen, no
 * system calls, no locks, no recursion. Thread-safe; not for signal handlers. Addresses are vaddrs: add the bias.
 */
#ifndef HEAPTALLY_FIND_H
#define HEAPTALLY_FIND_H

#include <elf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A file, mapped flat and 8-byte aligned; or a loaded module (with `loaded`, `bias` and `headers`, as dl_iterate_phdr
 * gives them), for which the file is optional: .symtab is only there.
 */
struct find_image {
	const uint8_t *file;
	size_t n_file;
	bool loaded;
	uint64_t bias;
	const Elf64_Phdr *headers;
	size_t n_headers;
};

/* Zeroed scratch, freed before find_entries returns. About as large as the module's code, half of it touched. */
struct find_memory {
	void *(*map)(size_t bytes); /* NULL when there is none */
	void (*unmap)(void *at, size_t bytes);
};

enum find_role {
	FIND_ALLOC,
	FIND_ALLOC_ZEROED,
	FIND_REALLOC,
	FIND_DEALLOC,
	FIND_ROLES,
};

/* The arguments in order. flags are jemalloc's: the low 6 bits log2 of the alignment, 0x40 zeroed. */
enum find_shape {
	FIND_SIZE,              /* malloc */
	FIND_SIZE_ALIGN,        /* __rust_alloc, mi_malloc_aligned */
	FIND_SIZE_FLAGS,        /* mallocx */
	FIND_COUNT_SIZE,        /* calloc */
	FIND_ALIGN_SIZE,        /* aligned_alloc, memalign */
	FIND_OUT_ALIGN_SIZE,    /* posix_memalign */
	FIND_PTR,               /* free */
	FIND_PTR_SIZE,          /* mi_free_size */
	FIND_PTR_SIZE_ALIGN,    /* __rust_dealloc, mi_free_size_aligned */
	FIND_PTR_SIZE_FLAGS,    /* sdallocx */
	FIND_PTR_OTHER,         /* the rest does not matter: dallocx, mi_free_aligned */
	FIND_PTR_NEW,           /* realloc */
	FIND_PTR_NEW_ALIGN,     /* mi_realloc_aligned */
	FIND_PTR_NEW_FLAGS,     /* rallocx */
	FIND_PTR_OLD_ALIGN_NEW, /* __rust_realloc */
	FIND_SHAPES,
};

/* Shares in percent over the call sites that were looked at. Registers: as last set before the call. */
struct find_evidence {
	uint32_t sites;        /* looked at */
	uint32_t returns;      /* of these calls, the others jump */
	uint8_t rsi_alignment; /* a power of two up to 4096, as an immediate */
	uint8_t rsi_small;     /* an immediate from 1 to 127: an alignment or jemalloc's flags */
	uint8_t rsi_set;       /* set at all between the last branch away and the call */
	uint8_t rdx_alignment;
	uint8_t rdx_small; /* an immediate from 0 to 127 */
	uint8_t rdx_set;
	uint8_t rcx_set;
	uint8_t rdi_immediate;
	uint8_t rdi_one;       /* the immediate 1: calloc's count */
	uint8_t result_tested; /* against 0, right after */
	uint8_t result_used;
};

enum { FIND_MAX_ENTRIES = 24, FIND_MAX_SLOTS = 4, FIND_MAX_GROUPS = 4 };

struct find_entry {
	enum find_role role;
	enum find_shape shape;
	uint8_t group; /* entries of one allocator; one may hand its pointers to another of its group only */
	bool by_name;
	bool by_slot; /* writing the slots catches every call from outside; else hook the function, or leas too */
	bool nested; /* it leads to a call of an entry that gives blocks out, where that is hooked: count the outermost only */
	bool endbr;  /* starts with endbr64 */
	/* Bytes of whole instructions at its start, 16 or more if it has them, that a hook may move elsewhere: no branches
	 * among them, none into them. fixups of these are relative to the instruction pointer and need their
	 * displacement corrected. 0: the entry cannot be hooked. */
	uint8_t movable, fixups;
	uint64_t function;
	uint64_t slots[FIND_MAX_SLOTS]; /* GOT slots that hold it */
	uint32_t n_slots;
	uint32_t slot_calls, slot_tails, slot_loads; /* call *slot, jmp *slot, mov slot,%reg */
	uint32_t calls, tails;                       /* call and jmp to the function itself */
	uint32_t leas; /* lea function,%reg: what linkers make of mov slot,%reg; calls %reg later */
	uint32_t shim_calls; /* to functions that only jump to this one, for example __rust_alloc */
	uint32_t pointers;   /* relocated data other than the slots that holds it */
	struct find_evidence evidence; /* all zero when named and not called */
	char name[64];                 /* "" when there is none */
};

struct find_result {
	struct find_entry entries[FIND_MAX_ENTRIES];
	uint32_t n_entries;
	uint32_t n_groups;
	const char *unable; /* NULL, or why nothing here is to be adopted: one sentence's end */
	bool gone_round; /* an allocator is left out, since calls go round what was found of it */
	char allocator[16]; /* "mimalloc", "jemalloc" or "" */
	char version[48];   /* "v3", "5.3.0"; "" when it cannot be told */
	uint32_t symbols;   /* functions that .symtab names */
	bool program;       /* names a program interpreter */
	uint32_t libc_allocs,
		libc_frees; /* call sites of what it imports of the malloc family, by kind */
	uint32_t functions; /* unwind entries */
	uint64_t code_bytes, unwound_bytes;
	uint64_t relro, relro_bytes;
	uint8_t build_id[32];
	uint32_t n_build_id;
};

/* 0; or -1 with the end of a sentence ("it is not an ELF file") in result->unable and nothing else set. */
int find_entries(struct find_result *result, const struct find_image *image,
	const struct find_memory *memory);

const char *find_role_name(enum find_role role);
/* "(size, align)" */
const char *find_shape_name(enum find_shape shape);

#endif
