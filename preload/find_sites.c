/* SPDX-License-Identifier: MIT */
/*
 * One sweep over the code for the bytes of calls, jumps and loads through memory; then a closer look at the sites of
 * few targets. The sweep does not decode: a stray match costs a count of one on a target that nobody calls.
 */
#include "find_sites.h"

#include <emmintrin.h>
#include <string.h>

#include "find_code.h"

enum {
	BYTES_PER_TARGET = 48, /* room; real code has one in 150 bytes or less */
	BYTES_PER_SITE = 5,    /* the shortest there is */
	WINDOW = 64,           /* bytes before a call that are decoded */
	LARGEST_ALIGNMENT = 4096,
};

/* What a register holds, as far as the code before a call tells. */
enum held { HELD_UNKNOWN, HELD_IMMEDIATE, HELD_OTHER };

struct registers {
	uint8_t held[16];
	uint32_t value[16];
	bool pushed; /* the last instruction pushed an immediate */
	uint32_t pushed_value;
};

enum { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI };

static struct target *place(const struct sites *s, uint32_t offset)
{
	uint32_t at = offset * 2654435761u >> 7 & s->mask;
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

static void add_site(struct sites *s, uint64_t site, uint64_t target, bool tail)
{
	uint32_t offset = (uint32_t)(target - s->view->low);
	struct target *t = s->n_sites + 1 < s->max_sites ? insert(s, offset) : NULL;
	if (!t)
		return;
	if (tail)
		t->tails++;
	else
		t->calls++;
	s->sites[++s->n_sites] = (struct site){(uint32_t)(site - s->view->low), t->first};
	t->first = s->n_sites;
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

/* --- around a call --- */

static unsigned reg_of(const struct find_instruction *in)
{
	return (in->modrm >> 3 & 7) | (in->rex & 4) << 1;
}

static unsigned rm_of(const struct find_instruction *in)
{
	return (in->modrm & 7) | (in->rex & 1) << 3;
}

/* The register an instruction of the one-byte map writes, -1 for none or memory. */
static int written(const struct find_instruction *in)
{
	uint8_t op = in->opcode;
	bool direct = in->has_modrm && in->modrm >> 6 == 3;
	if (op >= 0xb0 && op <= 0xbf)
		return (op & 7) | (in->rex & 1) << 3;
	if (op >= 0x58 && op <= 0x5f)
		return (op & 7) | (in->rex & 1) << 3;
	if (op == 0x8a || op == 0x8b || op == 0x8d || op == 0x63 || op == 0x69 || op == 0x6b)
		return (int)reg_of(in);
	if (op < 0x38 && (op & 7) >= 2 && (op & 7) <= 3)
		return (int)reg_of(in);
	if (!direct)
		return -1;
	if (op == 0x88 || op == 0x89 || op == 0xc7 || op == 0xc6 || (op < 0x38 && (op & 7) <= 1) ||
		op == 0xc0 || op == 0xc1 || (op >= 0xd0 && op <= 0xd3))
		return (int)rm_of(in);
	if ((op == 0x80 || op == 0x81 || op == 0x83) && (in->modrm & 0x38) != 0x38)
		return (int)rm_of(in);
	if ((op == 0xfe || op == 0xff) && (in->modrm & 0x38) <= 8)
		return (int)rm_of(in);
	if ((op == 0xf6 || op == 0xf7) && (in->modrm & 0x30) == 0x10)
		return (int)rm_of(in);
	return -1;
}

/* cmov, movzx, movsx, imul, bit scans */
static int written_two_byte(const struct find_instruction *in)
{
	uint8_t op = in->opcode;
	if ((op & 0xf0) == 0x40 || op == 0xaf ||
		(op >= 0xb6 && op <= 0xbf && op != 0xba && op != 0xb9))
		return (int)reg_of(in);
	return -1;
}

/* Control does not come out at the other end, or comes back with the argument registers lost. */
static bool leaves(const struct find_instruction *in)
{
	if (in->map || in->vector)
		return false;
	return in->opcode == 0xe8 || in->opcode == 0xe9 || in->opcode == 0xeb ||
	       in->opcode == 0xc3 || in->opcode == 0xcc ||
	       (in->opcode == 0xff && (in->modrm & 0x38) >= 0x10 && (in->modrm & 0x38) <= 0x28);
}

static void step(struct registers *r, const uint8_t *code, const struct find_instruction *in)
{
	bool pushed = r->pushed;
	r->pushed = false;
	if (in->vector || in->map > 1)
		return;
	if (leaves(in)) {
		*r = (struct registers){0};
		return;
	}
	int to = in->map ? written_two_byte(in) : written(in);
	uint8_t op = in->opcode;
	if (!in->map && (op == 0x6a || op == 0x68)) {
		r->pushed = true;
		r->pushed_value = 0;
		memcpy(&r->pushed_value, code + in->immediate, in->immediate_bytes);
	}
	if (to < 0)
		return;
	r->held[to] = HELD_OTHER;
	r->value[to] = 0;
	if (in->map)
		return;
	bool direct = in->has_modrm && in->modrm >> 6 == 3;
	if (op >= 0x58 && op <= 0x5f && pushed) {
		r->held[to] = HELD_IMMEDIATE;
		r->value[to] = r->pushed_value;
	} else if ((op >= 0xb8 && op <= 0xbf) || op == 0xc7) {
		r->held[to] = HELD_IMMEDIATE;
		memcpy(&r->value[to], code + in->immediate,
			in->immediate_bytes < 4 ? in->immediate_bytes : 4);
		if (in->immediate_bytes == 8 &&
			(code[in->immediate + 4] || code[in->immediate + 5]))
			r->held[to] = HELD_OTHER;
	} else if ((op == 0x31 || op == 0x33) && direct && reg_of(in) == rm_of(in)) {
		r->held[to] = HELD_IMMEDIATE;
	} else if ((op == 0x89 || op == 0x8b) && direct) {
		unsigned from = op == 0x89 ? reg_of(in) : rm_of(in);
		if (r->held[from] == HELD_IMMEDIATE) {
			r->held[to] = HELD_IMMEDIATE;
			r->value[to] = r->value[from];
		}
	}
}

/*
 * Decodes what comes before a call. Instructions cannot be read backwards; but decoding from almost any byte falls
 * into step after a few, so the first start whose decoding ends exactly at the call will do.
 */
static bool registers_before(
	struct registers *r, const struct sites *s, uint64_t site, unsigned window)
{
	for (unsigned back = window; back >= window / 2 && back; back--) {
		const uint8_t *code = elf_at(s->view, site - back, back + 5);
		unsigned at = 0;
		if (!code)
			continue;
		*r = (struct registers){0};
		while (at < back) {
			struct find_instruction in;
			size_t n = find_decode(code + at, back - at, &in);
			if (!n)
				break;
			step(r, code + at, &in);
			at += (unsigned)n;
		}
		/* A linker that makes a direct call of a call through a slot pads it with a prefix. */
		if (at == back || (at + 1 == back && code[at] == 0x67 && code[back] == 0xe8))
			return true;
	}
	return false;
}

static bool reads_rax(const struct find_instruction *in)
{
	if (in->vector || !in->has_modrm || in->map > 1)
		return false;
	bool direct = in->modrm >> 6 == 3;
	uint8_t op = in->opcode;
	if (!direct && (in->modrm & 7) == RAX && !(in->rex & 1))
		return true;
	if (in->map)
		return direct && rm_of(in) == RAX && written_two_byte(in) >= 0;
	if (op == 0x89 || op == 0x85 || op == 0x39 || (op < 0x38 && (op & 7) == 1))
		return reg_of(in) == RAX && !(op == 0x31 && direct && rm_of(in) == RAX);
	return direct && rm_of(in) == RAX && (op == 0x8b || op == 0x3b || op == 0x83);
}

/* What is done with the result in the next few instructions. */
static void look_after(const struct sites *s, uint64_t after, bool *tested, bool *used)
{
	unsigned copy = RAX;
	*tested = *used = false;
	for (unsigned i = 0; i < 5; i++) {
		struct find_instruction in;
		const uint8_t *code = elf_at(s->view, after, 16);
		size_t n = code ? find_decode(code, 16, &in) : 0;
		if (!n)
			return;
		after += n;
		bool plain = !in.map && !in.vector, direct = in.has_modrm && in.modrm >> 6 == 3;
		if (plain && in.opcode == 0x85 && direct && reg_of(&in) == rm_of(&in) &&
			(rm_of(&in) == RAX || rm_of(&in) == copy)) {
			*tested = *used = true;
			return;
		}
		if (reads_rax(&in)) {
			*used = true;
			if (plain && in.opcode == 0x89 && direct)
				copy = rm_of(&in);
		}
		bool branches = in.relative_branch && !(plain && leaves(&in));
		if (branches || leaves(&in))
			return;
		int to = in.vector || in.map > 1 ? -1
			 : in.map                ? written_two_byte(&in)
						 : written(&in);
		if (to == RAX)
			return;
	}
}

static bool alignment_like(const struct registers *r, unsigned reg)
{
	uint32_t v = r->value[reg];
	return r->held[reg] == HELD_IMMEDIATE && v && !(v & (v - 1)) && v <= LARGEST_ALIGNMENT;
}

static bool site_is_tail(const uint8_t *code)
{
	return code[0] == 0xff && code[1] == 0x25;
}

void evidence_add(
	struct evidence_counts *c, const struct sites *s, const struct target *t, uint32_t max)
{
	uint32_t all = t->calls + t->tails, stride = all > max ? all / max : 1, n = 0, i = 0;
	for (uint32_t at = t->first; at && n < max; at = s->sites[at].next, i++) {
		uint64_t site = s->view->low + s->sites[at].offset;
		const uint8_t *code = elf_at(s->view, site, 6);
		struct registers r;
		if (i % stride || !code || !registers_before(&r, s, site, WINDOW))
			continue;
		n++;
		c->sites++;
		c->rsi_alignment += alignment_like(&r, RSI);
		c->rsi_small += r.held[RSI] == HELD_IMMEDIATE && r.value[RSI] - 1 < 127;
		c->rsi_set += r.held[RSI] != HELD_UNKNOWN;
		c->rdx_alignment += alignment_like(&r, RDX);
		c->rdx_small += r.held[RDX] == HELD_IMMEDIATE && r.value[RDX] < 128;
		c->rdx_set += r.held[RDX] != HELD_UNKNOWN;
		c->rcx_set += r.held[RCX] != HELD_UNKNOWN;
		c->rdi_immediate += r.held[RDI] == HELD_IMMEDIATE;
		c->rdi_one += r.held[RDI] == HELD_IMMEDIATE && r.value[RDI] == 1;
		if (site_is_tail(code))
			continue;
		bool tested, used;
		look_after(s, site + (*code == 0xe8 ? 5 : 6), &tested, &used);
		c->calls++;
		c->result_tested += tested;
		c->result_used += used;
	}
}

static uint8_t percent(uint32_t part, uint32_t whole)
{
	return whole ? (uint8_t)((part * 100ull + whole / 2) / whole) : 0;
}

struct find_evidence evidence_close(const struct evidence_counts *c)
{
	return (struct find_evidence){
		.sites = c->sites,
		.returns = c->calls,
		.rsi_alignment = percent(c->rsi_alignment, c->sites),
		.rsi_small = percent(c->rsi_small, c->sites),
		.rsi_set = percent(c->rsi_set, c->sites),
		.rdx_alignment = percent(c->rdx_alignment, c->sites),
		.rdx_small = percent(c->rdx_small, c->sites),
		.rdx_set = percent(c->rdx_set, c->sites),
		.rcx_set = percent(c->rcx_set, c->sites),
		.rdi_immediate = percent(c->rdi_immediate, c->sites),
		.rdi_one = percent(c->rdi_one, c->sites),
		.result_tested = percent(c->result_tested, c->calls),
		.result_used = percent(c->result_used, c->calls),
	};
}

uint32_t evidence_tested(
	const struct sites *s, const struct target *t, uint32_t max, uint32_t *seen)
{
	uint32_t n = 0;
	*seen = 0;
	for (uint32_t at = t->first; at && *seen < max; at = s->sites[at].next) {
		uint64_t site = s->view->low + s->sites[at].offset;
		const uint8_t *code = elf_at(s->view, site, 6);
		bool tested, used;
		if (*seen == 4 && !n)
			break;
		if (!code || site_is_tail(code))
			continue;
		look_after(s, site + (*code == 0xe8 ? 5 : 6), &tested, &used);
		++*seen;
		n += tested;
	}
	return n;
}

/* --- inside a function --- */

/* Where a call or jump goes. False when it goes somewhere else than to code or an import. */
static bool resolve(struct callee *out, const struct sites *s, uint64_t vaddr, const uint8_t *code,
	const struct find_instruction *in)
{
	int32_t displacement = 0;
	*out = (struct callee){0};
	if (in->relative_branch) {
		if (in->immediate_bytes == 1)
			displacement = (int8_t)code[in->immediate];
		else
			memcpy(&displacement, code + in->immediate, 4);
		out->function = vaddr + in->length + (int64_t)displacement;
		return elf_executable(s->view, out->function);
	}
	if (!in->rip_relative)
		return false;
	memcpy(&displacement, code + in->displacement, 4);
	out->slot = vaddr + in->length + (int64_t)displacement;
	struct target *slot = sites_target(s, out->slot);
	if (!slot)
		return false;
	if (slot->import)
		out->import =
			elf_name(&s->view->dynamic, &s->view->dynamic.symbols[slot->import - 1]);
	else if (slot->function)
		out->function = s->view->low + slot->function;
	return out->import || out->function;
}

static bool is_call(const struct find_instruction *in)
{
	return !in->map && !in->vector &&
	       (in->opcode == 0xe8 || (in->opcode == 0xff && (in->modrm & 0x38) == 0x10));
}

static bool is_jump(const struct find_instruction *in)
{
	return !in->map && !in->vector &&
	       (in->opcode == 0xe9 || in->opcode == 0xeb ||
		       (in->opcode == 0xff && (in->modrm & 0x38) == 0x20));
}

size_t sites_callees(const struct sites *s, uint64_t function, struct callee out[MAX_CALLEES])
{
	enum { REACH = 4096, PENDING = 64 };
	uint8_t seen[REACH / 8] = {0};
	uint16_t pending[PENDING] = {0};
	unsigned n_pending = 1, left = 1200;
	size_t n_out = 0;
	while (n_pending) {
		unsigned at = pending[--n_pending];
		while (at < REACH && left && !(seen[at / 8] >> at % 8 & 1)) {
			const uint8_t *code = elf_at(s->view, function + at, 16);
			struct find_instruction in;
			struct callee to;
			size_t n = code ? find_decode(code, 16, &in) : 0;
			if (!n)
				break;
			left--;
			seen[at / 8] |= (uint8_t)(1 << at % 8);
			bool jump = is_jump(&in), call = is_call(&in);
			if ((jump || call || in.relative_branch) &&
				resolve(&to, s, function + at, code, &in)) {
				uint64_t offset = to.function - function;
				if (!call && !to.slot && offset < REACH &&
					!(offset && sites_target(s, to.function))) {
					if (n_pending < PENDING)
						pending[n_pending++] = (uint16_t)offset;
				} else if (n_out < MAX_CALLEES) {
					out[n_out++] = to;
				}
			}
			if (jump ||
				(!in.map && !in.vector && (in.opcode == 0xc3 || in.opcode == 0xcc)))
				break;
			at += (unsigned)n;
		}
	}
	return n_out;
}

/* One step: moves between argument registers, then a jump. */
static bool follow_once(struct thunk *t, const struct sites *s)
{
	static const int8_t argument[8] = {-1, 3, 2, -1, -1, -1, 1, 0};
	static const uint8_t endbr64[4] = {0xf3, 0x0f, 0x1e, 0xfa};
	uint64_t at = t->function;
	int8_t from[4];
	memcpy(from, t->from, sizeof(from));
	for (unsigned i = 0; i < 8; i++) {
		struct find_instruction in;
		struct callee to;
		const uint8_t *code = elf_at(s->view, at, 16);
		size_t n = code ? find_decode(code, 16, &in) : 0;
		if (!n || in.vector)
			return false;
		if (is_jump(&in)) {
			if (!resolve(&to, s, at, code, &in) || from[0] != 0)
				return false;
			memcpy(t->from, from, sizeof(from));
			t->function = to.function;
			t->slot = to.slot;
			t->import = to.import;
			return true;
		}
		at += n;
		if (n == 4 && !memcmp(code, endbr64, 4))
			continue;
		bool move =
			!in.map && (in.opcode == 0x89 || in.opcode == 0x8b) && in.modrm >> 6 == 3;
		int to_reg = in.map ? -1 : written(&in);
		if (to_reg < 0 || to_reg > RDI || argument[to_reg] < 0)
			return false;
		unsigned from_reg = in.opcode == 0x89 ? reg_of(&in) : rm_of(&in);
		from[argument[to_reg]] = move && from_reg <= RDI && argument[from_reg] >= 0
						 ? from[argument[from_reg]]
						 : -1;
	}
	return false;
}

unsigned sites_movable(const struct sites *s, uint64_t function, unsigned *fixups)
{
	enum { BODY = 2048, ENOUGH = 16 };
	unsigned movable = 0, target = BODY, at = 0;
	*fixups = 0;
	while (movable < ENOUGH) {
		struct find_instruction in;
		const uint8_t *code = elf_at(s->view, function + movable, 16);
		size_t n = code ? find_decode(code, 16, &in) : 0;
		if (!n || in.relative_branch || leaves(&in))
			break;
		*fixups += in.rip_relative;
		movable += (unsigned)n;
	}
	/* A branch back into what is moved would land in the middle of a jump. */
	while (at < BODY) {
		struct find_instruction in;
		struct callee to;
		const uint8_t *code = elf_at(s->view, function + at, 16);
		size_t n = code ? find_decode(code, 16, &in) : 0;
		if (!n)
			break;
		if (in.relative_branch && resolve(&to, s, function + at, code, &in) &&
			to.function > function && to.function - function < target)
			target = (unsigned)(to.function - function);
		at += (unsigned)n;
	}
	return movable <= target ? movable : 0;
}

struct thunk sites_follow(const struct sites *s, uint64_t function)
{
	struct thunk t = {.function = function, .from = {0, 1, 2, 3}};
	for (unsigned i = 0; i < 4 && t.function; i++)
		if (!follow_once(&t, s))
			break;
	return t;
}
