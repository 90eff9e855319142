/* SPDX-License-Identifier: MIT */
/*
 * One sweep over the code for the bytes of calls, jumps and loads through memory. It does not decode: a stray match costs a
 * count of one on a target that nobody calls.
 */
#include "find_sites.h"

#include <emmintrin.h>
#include <string.h>

enum {
	BYTES_PER_TARGET = 48, /* room; real code has one in 150 bytes or less */
	BYTES_PER_SITE = 5,    /* the shortest there is */
};

static uint32_t hash(const struct sites *s, uint32_t offset)
{
	return offset * 2654435761u >> 7 & s->mask;
}

static struct target *place(const struct sites *s, uint32_t offset)
{
	uint32_t at = hash(s, offset);
	while (s->targets[at].offset && s->targets[at].offset != offset)
		at = (at + 1) & s->mask;
	return &s->targets[at];
}

struct target *sites_target(const struct sites *s, uint64_t vaddr)
{
	uint64_t offset = vaddr - s->view->low;
	if (!offset || offset > UINT32_MAX)
		return NULL;
	struct target *t = place(s, (uint32_t)offset);
	return t->offset ? t : NULL;
}

bool sites_is_slot(const struct sites *s, const struct target *t)
{
	return !elf_executable(s->view, s->view->low + t->offset);
}

static struct target *insert(struct sites *s, uint32_t offset)
{
	struct target *t = place(s, offset);
	if (t->offset)
		return t;
	if (!offset || s->n_targets > s->mask / 4 * 3)
		return NULL;
	s->n_targets++;
	t->offset = offset;
	return t;
}

static void add_call(struct sites *s, const struct pending_call *c)
{
	struct target *t = s->n_sites + 1 < s->max_sites ? insert(s, c->target) : NULL;
	if (!t)
		return;
	if (c->tail)
		t->tails++;
	else
		t->calls++;
	s->sites[++s->n_sites] = (struct site){c->site, t->first};
	t->first = s->n_sites;
}

static void flush(struct sites *s)
{
	for (unsigned i = 0; i < s->n_pending; i++)
		add_call(s, &s->pending[i]);
	s->n_pending = 0;
}

static void add_site(struct sites *s, uint64_t site, uint64_t target, bool tail)
{
	uint32_t offset = (uint32_t)(target - s->view->low);
	__builtin_prefetch(&s->targets[hash(s, offset)], 1);
	s->pending[s->n_pending++] =
		(struct pending_call){(uint32_t)(site - s->view->low), offset, tail};
	if (s->n_pending == sizeof(s->pending) / sizeof(*s->pending))
		flush(s);
}

static void add_later(struct sites *s, uint64_t site, uint64_t target)
{
	if (s->n_later < s->max_sites)
		s->later[s->n_later++] = (struct site){
			(uint32_t)(site - s->view->low), (uint32_t)(target - s->view->low)};
}

/* A place for a pointer: aligned, in the image, not code. */
static bool slot_like(const struct sites *s, const struct elf_range *code, uint64_t vaddr)
{
	return !(vaddr & 7) && vaddr > s->view->low && vaddr < s->view->high &&
	       vaddr - code->vaddr >= code->n;
}

static void sweep_byte(struct sites *s, const struct elf_range *code, size_t i)
{
	const uint8_t *at = code->bytes + i;
	uint64_t vaddr = code->vaddr + i;
	int32_t displacement;
	if (*at == 0xe8 || *at == 0xe9) {
		memcpy(&displacement, at + 1, 4);
		uint64_t target = vaddr + 5 + (int64_t)displacement;
		if (target - code->vaddr >= code->n && !elf_executable(s->view, target))
			return;
		if (*at == 0xe8)
			add_site(s, vaddr, target, false);
		else
			add_later(s, vaddr, target);
		return;
	}
	bool branch = *at == 0xff && (at[1] == 0x15 || at[1] == 0x25);
	bool load = *at == 0x8b && (at[1] & 0xc7) == 5, lea = *at == 0x8d && (at[1] & 0xc7) == 5;
	if (!branch && !load && !lea)
		return;
	memcpy(&displacement, at + 2, 4);
	uint64_t target = vaddr + 6 + (int64_t)displacement;
	if (lea) {
		if (target - code->vaddr < code->n)
			add_later(s, vaddr, target);
		return;
	}
	if (!slot_like(s, code, target))
		return;
	if (branch)
		add_site(s, vaddr, target, at[1] == 0x25);
	else
		add_later(s, vaddr, target);
}

static void sweep(struct sites *s, const struct elf_range *code)
{
	size_t i = 0, n = code->n < 6 ? 0 : code->n - 6;
	const __m128i low = _mm_set1_epi8((char)0xfe), call = _mm_set1_epi8((char)0xe8),
		      indirect = _mm_set1_epi8((char)0xff), load = _mm_set1_epi8((char)0x8b),
		      lea = _mm_set1_epi8((char)0x8d);
	for (; i + 16 <= n; i += 16) {
		__m128i bytes = _mm_loadu_si128((const __m128i *)(code->bytes + i));
		__m128i hit = _mm_or_si128(_mm_cmpeq_epi8(_mm_and_si128(bytes, low), call),
			_mm_or_si128(_mm_cmpeq_epi8(bytes, indirect),
				_mm_or_si128(
					_mm_cmpeq_epi8(bytes, load), _mm_cmpeq_epi8(bytes, lea))));
		for (unsigned bits = (unsigned)_mm_movemask_epi8(hit); bits; bits &= bits - 1)
			sweep_byte(s, code, i + (unsigned)__builtin_ctz(bits));
	}
	for (; i < n; i++)
		sweep_byte(s, code, i);
}

static void count_later(struct sites *s)
{
	for (uint32_t i = 0; i < s->n_later; i++) {
		struct target *t = place(s, s->later[i].next);
		if (!t->offset)
			continue;
		const uint8_t *at = elf_at(s->view, s->view->low + s->later[i].offset, 1);
		if (at && *at == 0xe9)
			t->tails++;
		else
			t->loads++;
	}
}

/* A slot's function becomes a target too, so that other ways to reach it are counted. */
static void point_at(struct sites *s, uint64_t slot, uint64_t function)
{
	struct target *from = sites_target(s, slot);
	if (!from || !elf_executable(s->view, function))
		return;
	from->function = (uint32_t)(function - s->view->low);
	insert(s, from->function);
}

/* Call when all slots are known. */
static void count_pointers(struct sites *s)
{
	for (size_t i = 0; i < s->view->n_rela; i++) {
		const Elf64_Rela *r = &s->view->rela[i];
		if (ELF64_R_TYPE(r->r_info) != R_X86_64_RELATIVE ||
			!elf_executable(s->view, (uint64_t)r->r_addend))
			continue;
		struct target *to = sites_target(s, (uint64_t)r->r_addend);
		if (to)
			to->pointers++;
	}
}

static void relocate(struct sites *s, const Elf64_Rela *rela, size_t n)
{
	const struct elf_symbols *symbols = &s->view->dynamic;
	for (size_t i = 0; i < n; i++) {
		uint64_t type = ELF64_R_TYPE(rela[i].r_info), index = ELF64_R_SYM(rela[i].r_info);
		if (type == R_X86_64_RELATIVE || type == R_X86_64_IRELATIVE) {
			point_at(s, rela[i].r_offset, (uint64_t)rela[i].r_addend);
			continue;
		}
		struct target *slot = sites_target(s, rela[i].r_offset);
		if (!slot || index >= symbols->n || type == R_X86_64_DTPMOD64)
			continue;
		if (symbols->symbols[index].st_shndx != SHN_UNDEF)
			point_at(s, rela[i].r_offset, symbols->symbols[index].st_value);
		else
			slot->import = (uint32_t)index + 1;
	}
}

/* In a file the pointers that DT_RELR relocates lie in place; in a loaded image the bias is in them. */
static void relocate_packed(struct sites *s, uint64_t bias)
{
	uint64_t at = 0;
	for (size_t i = 0; i < s->view->n_relr; i++) {
		uint64_t word = s->view->relr[i], bits = word & 1 ? word >> 1 : 1;
		if (!(word & 1))
			at = word;
		for (uint64_t slot = at; bits; bits >>= 1, slot += 8) {
			const uint8_t *value = bits & 1 ? elf_at(s->view, slot, 8) : NULL;
			uint64_t function;
			if (!value)
				continue;
			memcpy(&function, value, 8);
			point_at(s, slot, function - bias);
		}
		at += word & 1 ? 63 * 8 : 8;
	}
}

/* A program that is not relocated has its pointers in place. */
static void read_pointers(struct sites *s)
{
	for (uint32_t i = 0; i <= s->mask; i++) {
		struct target *t = &s->targets[i];
		const uint8_t *value;
		uint64_t function;
		if (!t->offset || t->function || t->import || !sites_is_slot(s, t) ||
			!(value = elf_at(s->view, s->view->low + t->offset, 8)))
			continue;
		memcpy(&function, value, 8);
		if (elf_executable(s->view, function))
			point_at(s, s->view->low + t->offset, function);
	}
}

static uint32_t room(uint64_t code_bytes, unsigned per)
{
	uint32_t n = 1024;
	while (n < code_bytes / per && n < 1u << 26)
		n *= 2;
	return n;
}

int sites_init(struct sites *s, const struct elf_view *view, const struct find_memory *memory)
{
	*s = (struct sites){.view = view, .memory = memory};
	uint64_t code_bytes = 0;
	for (unsigned i = 0; i < view->n_loads; i++)
		if (view->flags[i] & PF_X)
			code_bytes += view->loads[i].n;
	s->mask = room(code_bytes, BYTES_PER_TARGET) - 1;
	s->max_sites = (uint32_t)(code_bytes / BYTES_PER_SITE) + 2;
	s->targets = memory->map(((size_t)s->mask + 1) * sizeof(*s->targets));
	s->sites = memory->map(s->max_sites * sizeof(*s->sites));
	s->later = memory->map(s->max_sites * sizeof(*s->later));
	if (!s->targets || !s->sites || !s->later) {
		sites_release(s);
		return -1;
	}
	for (unsigned i = 0; i < view->n_loads; i++)
		if (view->flags[i] & PF_X)
			sweep(s, &view->loads[i]);
	flush(s);
	relocate(s, view->rela, view->n_rela);
	relocate(s, view->jmprel, view->n_jmprel);
	relocate_packed(s, view->relr_bias);
	if (!view->has_relocations)
		read_pointers(s);
	count_pointers(s);
	count_later(s);
	return 0;
}

void sites_release(struct sites *s)
{
	if (s->targets)
		s->memory->unmap(s->targets, ((size_t)s->mask + 1) * sizeof(*s->targets));
	if (s->sites)
		s->memory->unmap(s->sites, s->max_sites * sizeof(*s->sites));
	if (s->later)
		s->memory->unmap(s->later, s->max_sites * sizeof(*s->later));
	*s = (struct sites){0};
}
