/* SPDX-License-Identifier: MIT */
/* Inside a function: where its calls and jumps go, and whether its first instructions can be moved. */
#include "find_flow.h"

#include <string.h>

#include "find_code.h"

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
			bool jump = find_is_jump(&in), call = find_is_call(&in);
			if ((jump || call || in.relative_branch) &&
				resolve(&to, s, function + at, code, &in)) {
				uint64_t offset = to.function - function;
				if (!call && !to.slot && offset < REACH &&
					!(offset && sites_target(s, to.function))) {
					if (n_pending < PENDING)
						pending[n_pending++] = (uint16_t)offset;
				} else if (n_out < MAX_CALLEES) {
					to.at = function + at;
					to.jump = jump;
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
		if (find_is_jump(&in)) {
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
		int to_reg = find_written(&in);
		if (to_reg < 0 || to_reg > 7 || argument[to_reg] < 0)
			return false;
		unsigned from_reg = in.opcode == 0x89 ? find_reg(&in) : find_rm(&in);
		from[argument[to_reg]] = move && from_reg < 8 && argument[from_reg] >= 0
						 ? from[argument[from_reg]]
						 : -1;
	}
	return false;
}

bool sites_carry(const struct sites *s, uint64_t function, struct thunk *t)
{
	enum { LONGEST = 40 };
	/* of the eight low registers, as in follow_once */
	int8_t held[8] = {-1, 3, 2, -1, -1, -1, 1, 0};
	static const uint8_t arguments[4] = {7, 6, 2, 1};
	uint64_t at = function;
	for (unsigned i = 0; i < LONGEST; i++) {
		struct find_instruction in;
		struct callee to;
		const uint8_t *code = elf_at(s->view, at, 16);
		size_t n = code ? find_decode(code, 16, &in) : 0;
		if (!n || in.vector || in.map > 1)
			return false;
		if (find_is_jump(&in)) {
			if (!resolve(&to, s, at, code, &in))
				return false;
			*t = (struct thunk){.function = to.function, .slot = to.slot};
			t->import = to.import;
			for (unsigned k = 0; k < 4; k++)
				t->from[k] = held[arguments[k]];
			return true;
		}
		if (in.relative_branch || find_leaves(&in))
			return false;
		at += n;
		int reg = find_written(&in);
		if (reg < 0 || reg > 7)
			continue;
		bool direct = in.has_modrm && in.modrm >> 6 == 3;
		unsigned from = !in.map && in.opcode == 0x89 ? find_reg(&in) : find_rm(&in);
		int8_t value = direct && from < 8 ? held[from] : -1;
		if (!in.map && (in.opcode == 0x89 || in.opcode == 0x8b))
			held[reg] = value;
		else if (in.map && (in.opcode == 0xbc || in.opcode == 0xbd) && value >= 0)
			held[reg] = (int8_t)(value | CARRY_LOG);
		else if (in.map || (in.opcode != 0x83 && in.opcode != 0x81) ||
			 (in.modrm & 0x38) != 8 || held[reg] < CARRY_LOG)
			held[reg] =
				-1; /* not an or with an immediate: jemalloc's flag for zeroed */
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
		if (!n || in.relative_branch || find_leaves(&in))
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
