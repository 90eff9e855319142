/* SPDX-License-Identifier: MIT */
/* Strings that allocators carry, and sums over tables. */
#include "find_describe.h"

#include <emmintrin.h>
#include <string.h>

#include "find_flow.h"

static const struct {
	const char *text;
	const char *allocator;
	const char *version;
} marks[] = {
	{"mimalloc: ", "mimalloc", ""},
	{"page_full_retain", "mimalloc",
		"v3"}, /* names of options, by the version that brought them */
	{"arena_purge_mult", "mimalloc", "v2"},
	{"allow_decommit", "mimalloc", "v2"}, /* up to 2.1.0 */
	{"<jemalloc>: ", "jemalloc", ""},
};

enum { MARKS = sizeof(marks) / sizeof(*marks) };

static void find_mark(struct find_result *r, const uint8_t *at, size_t n)
{
	for (unsigned i = 0; i < MARKS; i++) {
		size_t length = strlen(marks[i].text);
		if (n < length || memcmp(at, marks[i].text, length))
			continue;
		if (!r->allocator[0])
			memcpy(r->allocator, marks[i].allocator, strlen(marks[i].allocator));
		/* v3 knows v2's options too */
		if (marks[i].version[0] && memcmp(r->version, "v3", 2))
			memcpy(r->version, marks[i].version, strlen(marks[i].version));
	}
	/* "5.3.0-0-g54eaed1d8b56b1aa528be3bdd1877e59c56fa90c": at is the "-g" */
	if (n < 10 || memcmp(at, "-g", 2))
		return;
	for (unsigned i = 2; i < 10; i++)
		if (!((at[i] >= '0' && at[i] <= '9') || (at[i] >= 'a' && at[i] <= 'f')))
			return;
	unsigned back = 0, dots = 0;
	while (back < 20 && ((at[-1 - (int)back] >= '0' && at[-1 - (int)back] <= '9') ||
				    at[-1 - (int)back] == '.' || at[-1 - (int)back] == '-')) {
		dots += at[-1 - (int)back] == '.';
		back++;
	}
	if (dots != 2 || r->version[0])
		return;
	for (unsigned i = 0; i < back && at[(int)i - (int)back] != '-'; i++)
		r->version[i] = (char)at[(int)i - (int)back];
}

/* The first two bytes of every mark, sixteen places at a time. */
static void find_strings(struct find_result *r, const struct elf_range *data)
{
	static const char pairs[][2] = {
		{'m', 'i'}, {'p', 'a'}, {'a', 'r'}, {'a', 'l'}, {'<', 'j'}, {'-', 'g'}};
	enum { PAIRS = sizeof(pairs) / sizeof(*pairs), BEFORE = 24 };
	for (size_t i = BEFORE; i + 17 <= data->n; i += 16) {
		__m128i first = _mm_loadu_si128((const __m128i *)(data->bytes + i));
		__m128i second = _mm_loadu_si128((const __m128i *)(data->bytes + i + 1));
		__m128i hit = _mm_setzero_si128();
		for (unsigned k = 0; k < PAIRS; k++)
			hit = _mm_or_si128(hit,
				_mm_and_si128(_mm_cmpeq_epi8(first, _mm_set1_epi8(pairs[k][0])),
					_mm_cmpeq_epi8(second, _mm_set1_epi8(pairs[k][1]))));
		for (unsigned bits = (unsigned)_mm_movemask_epi8(hit); bits; bits &= bits - 1) {
			size_t at = i + (unsigned)__builtin_ctz(bits);
			find_mark(r, data->bytes + at, data->n - at);
		}
	}
}

/* The size of a CIE's FDE addresses: its 'R' augmentation; 0 when it is not understood. */
static unsigned address_bytes(const uint8_t *cie, const uint8_t *end)
{
	const uint8_t *text = cie + 9, *at = text;
	while (at < end && *at)
		at++;
	if (at >= end || *text != 'z')
		return *text ? 0 : 8;
	at++;
	for (unsigned i = 0; i < 4; i++) { /* code and data alignment, return register, length */
		while (at < end && *at & 0x80)
			at++;
		at++;
	}
	for (const uint8_t *c = text + 1; at < end && *c; c++) {
		if (*c == 'R')
			return (*at & 7) == 3 ? 4 : (*at & 7) == 2 ? 2 : 8;
		if (*c == 'P')
			at += 1 + ((*at & 7) == 3 ? 4 : (*at & 7) == 2 ? 2 : 8);
		else if (*c == 'L')
			at++;
	}
	return 0;
}

static void sum_frames(struct find_result *r, const struct elf_range *frames)
{
	const uint8_t *at = frames->bytes, *end = at + frames->n, *last = NULL;
	unsigned width = 0;
	while (end - at >= 8) {
		uint32_t length, id;
		memcpy(&length, at, 4);
		memcpy(&id, at + 4, 4);
		if (length < 4 || length >= 0xfffffff0 || length > (size_t)(end - at) - 4)
			return;
		const uint8_t *cie = at + 4 - id;
		if (id && cie >= frames->bytes && cie < at) {
			if (cie != last)
				width = address_bytes(cie, at);
			last = cie;
			uint64_t range = 0;
			if (width && length >= 4 + 2 * width) {
				memcpy(&range, at + 8 + width, width);
				r->functions++;
				r->unwound_bytes += range;
			}
		}
		at += 4 + (size_t)length;
	}
}

static void count_libc(struct find_result *r, const struct sites *sites)
{
	static const char *const allocs[] = {"malloc", "calloc", "realloc", "posix_memalign",
		"aligned_alloc", "memalign", "valloc", "reallocarray"};
	const struct elf_symbols *symbols = &sites->view->dynamic;
	for (uint32_t i = 0; i <= sites->mask; i++) {
		const struct target *t = &sites->targets[i];
		uint32_t calls = t->calls + t->tails + t->loads;
		uint32_t import = t->import;
		if (!t->offset || !calls)
			continue;
		if (!import && !t->function) {
			/* a stub of the PLT */
			struct thunk stub = {0};
			uint64_t vaddr = sites->view->low + t->offset;
			const uint8_t *code = elf_at(sites->view, vaddr, 2);
			if (code && (*code == 0xff || *code == 0xf2 || *code == 0xf3) &&
				elf_executable(sites->view, vaddr))
				stub = sites_follow(sites, vaddr);
			struct target *slot = stub.import ? sites_target(sites, stub.slot) : NULL;
			import = slot ? slot->import : 0;
		}
		if (!import)
			continue;
		const char *name = elf_name(symbols, &symbols->symbols[import - 1]);
		if (elf_same(name, "free"))
			r->libc_frees += calls;
		for (unsigned k = 0; k < sizeof(allocs) / sizeof(*allocs); k++)
			if (elf_same(name, allocs[k]))
				r->libc_allocs += calls;
	}
}

void find_describe(struct find_result *r, const struct elf_view *view, const struct sites *sites)
{
	for (unsigned i = 0; i < view->n_loads; i++) {
		if (view->flags[i] & PF_X)
			r->code_bytes += view->loads[i].n;
		else if (!(view->flags[i] & PF_W))
			find_strings(r, &view->loads[i]);
	}
	sum_frames(r, &view->frames);
	count_libc(r, sites);
	for (size_t i = 0; i < view->full.n; i++)
		r->symbols += ELF64_ST_TYPE(view->full.symbols[i].st_info) == STT_FUNC &&
			      view->full.symbols[i].st_shndx != SHN_UNDEF;
	r->program = view->program;
	r->relro = view->relro;
	r->relro_bytes = view->relro_bytes;
	if (view->n_build_id && view->n_build_id <= sizeof(r->build_id)) {
		memcpy(r->build_id, view->build_id, view->n_build_id);
		r->n_build_id = (uint32_t)view->n_build_id;
	}
}
