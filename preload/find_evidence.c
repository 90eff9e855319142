/* SPDX-License-Identifier: MIT */
/*
 * What the code around call sites says: which argument registers were set and to what, and what is done with the
 * result. A closer look than the sweep's, at the sites of few targets.
 */
#include "find_evidence.h"

#include <string.h>

#include "find_code.h"

enum {
	WINDOW = 64, /* bytes before a call that are decoded */
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

static void step(struct registers *r, const uint8_t *code, const struct find_instruction *in)
{
	bool pushed = r->pushed;
	r->pushed = false;
	if (in->vector || in->map > 1)
		return;
	if (find_leaves(in)) {
		*r = (struct registers){0};
		return;
	}
	int to = find_written(in);
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
	} else if ((op == 0x31 || op == 0x33) && direct && find_reg(in) == find_rm(in)) {
		r->held[to] = HELD_IMMEDIATE;
	} else if ((op == 0x89 || op == 0x8b) && direct) {
		unsigned from = op == 0x89 ? find_reg(in) : find_rm(in);
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
		return direct && find_rm(in) == RAX && find_written(in) >= 0;
	if (op == 0x89 || op == 0x85 || op == 0x39 || (op < 0x38 && (op & 7) == 1))
		return find_reg(in) == RAX && !(op == 0x31 && direct && find_rm(in) == RAX);
	return direct && find_rm(in) == RAX && (op == 0x8b || op == 0x3b || op == 0x83);
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
		if (plain && in.opcode == 0x85 && direct && find_reg(&in) == find_rm(&in) &&
			(find_rm(&in) == RAX || find_rm(&in) == copy)) {
			*tested = *used = true;
			return;
		}
		if (reads_rax(&in)) {
			*used = true;
			if (plain && in.opcode == 0x89 && direct)
				copy = find_rm(&in);
		}
		bool branches = in.relative_branch && !(plain && find_leaves(&in));
		if (branches || find_leaves(&in))
			return;
		int to = find_written(&in);
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
