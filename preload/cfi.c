/* SPDX-License-Identifier: MIT */
/*
 * Reads .eh_frame_hdr and .eh_frame. Every read is checked against the module's end: a table that lies gives
 * CFI_COMPLEX or CFI_NO_ENTRY, and the caller then asks libunwind or ends the stack.
 */
#include "cfi.h"

#include <string.h>

enum { REG_RBP = 6, REG_RSP = 7, REG_RA = 16, STATES = 8 };

enum pe {
	PE_ABSPTR = 0x00,
	PE_ULEB128 = 0x01,
	PE_UDATA2 = 0x02,
	PE_UDATA4 = 0x03,
	PE_UDATA8 = 0x04,
	PE_SLEB128 = 0x09,
	PE_SDATA2 = 0x0a,
	PE_SDATA4 = 0x0b,
	PE_SDATA8 = 0x0c,
	PE_PCREL = 0x10,
	PE_DATAREL = 0x30,
	PE_INDIRECT = 0x80,
	PE_OMIT = 0xff,
};

enum cfa_op {
	OP_NOP = 0x00,
	OP_SET_LOC = 0x01,
	OP_ADVANCE_LOC1 = 0x02,
	OP_ADVANCE_LOC2 = 0x03,
	OP_ADVANCE_LOC4 = 0x04,
	OP_OFFSET_EXTENDED = 0x05,
	OP_RESTORE_EXTENDED = 0x06,
	OP_UNDEFINED = 0x07,
	OP_SAME_VALUE = 0x08,
	OP_REGISTER = 0x09,
	OP_REMEMBER_STATE = 0x0a,
	OP_RESTORE_STATE = 0x0b,
	OP_DEF_CFA = 0x0c,
	OP_DEF_CFA_REGISTER = 0x0d,
	OP_DEF_CFA_OFFSET = 0x0e,
	OP_DEF_CFA_EXPRESSION = 0x0f,
	OP_EXPRESSION = 0x10,
	OP_OFFSET_EXTENDED_SF = 0x11,
	OP_DEF_CFA_SF = 0x12,
	OP_DEF_CFA_OFFSET_SF = 0x13,
	OP_VAL_OFFSET = 0x14,
	OP_VAL_OFFSET_SF = 0x15,
	OP_VAL_EXPRESSION = 0x16,
	OP_GNU_ARGS_SIZE = 0x2e,
	OP_GNU_NEGATIVE_OFFSET = 0x2f,
	OP_ADVANCE_LOC = 0x40,
	OP_OFFSET = 0x80,
	OP_RESTORE = 0xc0,
};

enum { DW_OP_DEREF = 0x06, DW_OP_BREG0 = 0x70 };

/* A reading position; `bad` once anything went over the end. */
struct cursor {
	const uint8_t *at;
	const uint8_t *end;
	bool bad;
};

enum place { PLACE_SAME, PLACE_CFA, PLACE_BP, PLACE_UNDEFINED, PLACE_COMPLEX };

struct reg_rule {
	enum place place;
	int64_t offset;
};

struct row {
	enum { CFA_REG, CFA_DEREF, CFA_COMPLEX } cfa_kind;
	uint64_t cfa_reg;
	int64_t cfa_offset;
	struct reg_rule bp, ra;
};

struct cie {
	uint64_t code_align;
	int64_t data_align;
	uint64_t ra_reg;
	uint8_t pointer_encoding;
	bool augmented; /* 'z': FDEs have an augmentation length */
	bool signal;
	const uint8_t *instructions, *end;
};

static uint64_t get(struct cursor *c, size_t bytes)
{
	uint64_t v = 0;

	if ((size_t)(c->end - c->at) < bytes || c->at > c->end) {
		c->bad = true;
		return 0;
	}
	memcpy(&v, c->at, bytes);
	c->at += bytes;
	return v;
}

static uint64_t get_uleb(struct cursor *c)
{
	uint64_t v = 0;

	for (unsigned shift = 0;; shift += 7) {
		uint8_t byte = (uint8_t)get(c, 1);
		if (shift < 64)
			v |= (uint64_t)(byte & 0x7f) << shift;
		if (c->bad || !(byte & 0x80))
			return v;
	}
}

static int64_t get_sleb(struct cursor *c)
{
	uint64_t v = 0;
	unsigned shift = 0;
	uint8_t byte;

	do {
		byte = (uint8_t)get(c, 1);
		if (shift < 64)
			v |= (uint64_t)(byte & 0x7f) << shift;
		shift += 7;
	} while (!c->bad && (byte & 0x80));
	if (shift < 64 && (byte & 0x40))
		v |= ~0ull << shift;
	return (int64_t)v;
}

static uint64_t get_encoded(struct cursor *c, uint8_t encoding, const uint8_t *data_base)
{
	const uint8_t *here = c->at;
	uint64_t v;

	switch (encoding & 0x0f) {
	case PE_ABSPTR:
	case PE_UDATA8:
	case PE_SDATA8:
		v = get(c, 8);
		break;
	case PE_UDATA2:
		v = get(c, 2);
		break;
	case PE_SDATA2:
		v = (uint64_t)(int16_t)get(c, 2);
		break;
	case PE_UDATA4:
		v = get(c, 4);
		break;
	case PE_SDATA4:
		v = (uint64_t)(int32_t)get(c, 4);
		break;
	case PE_ULEB128:
		v = get_uleb(c);
		break;
	case PE_SLEB128:
		v = (uint64_t)get_sleb(c);
		break;
	default:
		c->bad = true;
		return 0;
	}
	switch (encoding & 0x70) {
	case 0:
		break;
	case PE_PCREL:
		v += (uintptr_t)here;
		break;
	case PE_DATAREL:
		v += (uintptr_t)data_base;
		break;
	default:
		c->bad = true;
	}
	if (encoding & PE_INDIRECT)
		c->bad = true; /* not used for what is read here */
	return v;
}

/* Length of a CIE or FDE; *body then holds what follows the length. 0 or -1. */
static int entry_body(const uint8_t *entry, const uint8_t *limit, struct cursor *body)
{
	struct cursor c = {entry, limit, false};
	uint64_t length = get(&c, 4);

	if (length == 0xffffffff)
		length = get(&c, 8);
	if (c.bad || length == 0 || length > (uint64_t)(limit - c.at))
		return -1;
	*body = (struct cursor){c.at, c.at + length, false};
	return 0;
}

static int read_cie(struct cie *cie, const uint8_t *entry, const uint8_t *limit)
{
	struct cursor c;

	memset(cie, 0, sizeof(*cie));
	if (entry_body(entry, limit, &c) < 0 || get(&c, 4) != 0)
		return -1;
	uint8_t version = (uint8_t)get(&c, 1);
	if (version != 1 && version != 3)
		return -1;
	const char *augmentation = (const char *)c.at;
	while (!c.bad && get(&c, 1) != 0)
		;
	cie->code_align = get_uleb(&c);
	cie->data_align = get_sleb(&c);
	cie->ra_reg = version == 1 ? get(&c, 1) : get_uleb(&c);
	if (c.bad)
		return -1;
	if (augmentation[0] == 'z') {
		uint64_t bytes = get_uleb(&c);
		const uint8_t *after = c.at + bytes;

		if (c.bad || bytes > (uint64_t)(c.end - c.at))
			return -1;
		cie->augmented = true;
		for (const char *a = augmentation + 1; *a; a++) {
			if (*a == 'R') {
				cie->pointer_encoding = (uint8_t)get(&c, 1);
			} else if (*a == 'P') {
				uint8_t encoding = (uint8_t)get(&c, 1);
				get_encoded(&c, encoding & (uint8_t)~PE_INDIRECT, NULL);
			} else if (*a == 'L') {
				get(&c, 1);
			} else if (*a == 'S') {
				cie->signal = true;
			} else {
				break;
			}
		}
		if (c.bad)
			return -1;
		c.at = after;
	} else if (augmentation[0] != '\0') {
		return -1;
	}
	cie->instructions = c.at;
	cie->end = c.end;
	return 0;
}

static struct reg_rule *rule_of(struct row *row, uint64_t reg, const struct cie *cie)
{
	if (reg == REG_RBP)
		return &row->bp;
	return reg == cie->ra_reg ? &row->ra : NULL;
}

static void set_rule(
	struct row *row, const struct cie *cie, uint64_t reg, enum place place, int64_t offset)
{
	struct reg_rule *r = rule_of(row, reg, cie);

	if (r)
		*r = (struct reg_rule){place, offset};
}

/* An expression that is `rbp + constant`, or that dereferenced: true, and the cursor is past it. */
static bool read_expression(struct cursor *c, int64_t *offset, uint64_t *reg, bool *deref)
{
	uint64_t bytes = get_uleb(c);
	struct cursor e = {c->at, c->at, false};

	if (c->bad || bytes > (uint64_t)(c->end - c->at)) {
		c->bad = true;
		return false;
	}
	c->at += bytes;
	e.end = c->at;
	uint8_t op = (uint8_t)get(&e, 1);
	if (op != DW_OP_BREG0 + REG_RBP && op != DW_OP_BREG0 + REG_RSP)
		return false;
	*reg = op - DW_OP_BREG0;
	*offset = get_sleb(&e);
	*deref = false;
	if (!e.bad && e.at < e.end) {
		*deref = get(&e, 1) == DW_OP_DEREF;
		if (!*deref)
			return false;
	}
	return !e.bad && e.at == e.end;
}

/* Runs instructions until the row for pc is complete. 0 or -1. */
static int run(struct cursor c, const struct cie *cie, uintptr_t loc, uintptr_t pc,
	const struct row *initial, struct row *row)
{
	struct row stack[STATES];
	unsigned depth = 0;

	while (c.at < c.end && !c.bad) {
		uint8_t op = (uint8_t)get(&c, 1), low = op & 0x3f;
		uint64_t reg, advance = 0;
		int64_t offset;
		bool deref;

		switch (op & 0xc0 ? op & 0xc0 : op) {
		case OP_NOP:
			break;
		case OP_ADVANCE_LOC:
			advance = low;
			goto moved;
		case OP_ADVANCE_LOC1:
			advance = get(&c, 1);
			goto moved;
		case OP_ADVANCE_LOC2:
			advance = get(&c, 2);
			goto moved;
		case OP_ADVANCE_LOC4:
			advance = get(&c, 4);
		moved:
			loc += advance * cie->code_align;
			if (loc > pc)
				return c.bad ? -1 : 0;
			break;
		case OP_SET_LOC:
			loc = get_encoded(&c, cie->pointer_encoding, NULL);
			if (loc > pc)
				return c.bad ? -1 : 0;
			break;
		case OP_OFFSET:
			set_rule(row, cie, low, PLACE_CFA, (int64_t)get_uleb(&c) * cie->data_align);
			break;
		case OP_OFFSET_EXTENDED:
			reg = get_uleb(&c);
			set_rule(row, cie, reg, PLACE_CFA, (int64_t)get_uleb(&c) * cie->data_align);
			break;
		case OP_OFFSET_EXTENDED_SF:
			reg = get_uleb(&c);
			set_rule(row, cie, reg, PLACE_CFA, get_sleb(&c) * cie->data_align);
			break;
		case OP_GNU_NEGATIVE_OFFSET:
			reg = get_uleb(&c);
			set_rule(
				row, cie, reg, PLACE_CFA, -(int64_t)get_uleb(&c) * cie->data_align);
			break;
		case OP_RESTORE:
		case OP_RESTORE_EXTENDED: {
			reg = op == OP_RESTORE_EXTENDED ? get_uleb(&c) : low;
			struct reg_rule *r = rule_of(row, reg, cie);
			if (r)
				*r = reg == REG_RBP ? initial->bp : initial->ra;
			break;
		}
		case OP_UNDEFINED:
			set_rule(row, cie, get_uleb(&c), PLACE_UNDEFINED, 0);
			break;
		case OP_SAME_VALUE:
			set_rule(row, cie, get_uleb(&c), PLACE_SAME, 0);
			break;
		case OP_REGISTER:
			reg = get_uleb(&c);
			get_uleb(&c);
			set_rule(row, cie, reg, PLACE_COMPLEX, 0);
			break;
		case OP_VAL_OFFSET:
		case OP_VAL_OFFSET_SF:
			reg = get_uleb(&c);
			get_uleb(&c);
			set_rule(row, cie, reg, PLACE_COMPLEX, 0);
			break;
		case OP_REMEMBER_STATE:
			if (depth == STATES)
				return -1;
			stack[depth++] = *row;
			break;
		case OP_RESTORE_STATE:
			if (depth == 0)
				return -1;
			*row = stack[--depth];
			break;
		case OP_DEF_CFA:
			row->cfa_kind = CFA_REG;
			row->cfa_reg = get_uleb(&c);
			row->cfa_offset = (int64_t)get_uleb(&c);
			break;
		case OP_DEF_CFA_SF:
			row->cfa_kind = CFA_REG;
			row->cfa_reg = get_uleb(&c);
			row->cfa_offset = get_sleb(&c) * cie->data_align;
			break;
		case OP_DEF_CFA_REGISTER:
			row->cfa_reg = get_uleb(&c);
			break;
		case OP_DEF_CFA_OFFSET:
			row->cfa_offset = (int64_t)get_uleb(&c);
			break;
		case OP_DEF_CFA_OFFSET_SF:
			row->cfa_offset = get_sleb(&c) * cie->data_align;
			break;
		case OP_DEF_CFA_EXPRESSION:
			if (read_expression(&c, &row->cfa_offset, &row->cfa_reg, &deref))
				row->cfa_kind = deref ? CFA_DEREF : CFA_REG;
			else
				row->cfa_kind = CFA_COMPLEX;
			break;
		case OP_EXPRESSION: {
			uint64_t base;
			reg = get_uleb(&c);
			if (read_expression(&c, &offset, &base, &deref) && !deref &&
				base == REG_RBP)
				set_rule(row, cie, reg, PLACE_BP, offset);
			else
				set_rule(row, cie, reg, PLACE_COMPLEX, 0);
			break;
		}
		case OP_VAL_EXPRESSION:
			reg = get_uleb(&c);
			read_expression(&c, &offset, &advance, &deref);
			set_rule(row, cie, reg, PLACE_COMPLEX, 0);
			break;
		case OP_GNU_ARGS_SIZE:
			get_uleb(&c);
			break;
		default:
			return -1;
		}
	}
	return c.bad ? -1 : 0;
}

static bool fits(int64_t offset)
{
	return offset > INT32_MIN / 2 && offset < INT32_MAX / 2;
}

static struct cfi_rule boil_down(const struct row *row)
{
	struct cfi_rule rule = {.kind = CFI_COMPLEX};

	if (row->ra.place == PLACE_UNDEFINED)
		return (struct cfi_rule){.kind = CFI_END};
	if (row->ra.place != PLACE_CFA || row->ra.offset != -8 || !fits(row->cfa_offset))
		return rule;
	switch (row->bp.place) {
	case PLACE_SAME:
	case PLACE_UNDEFINED: /* nobody outside relies on it */
		rule.bp = CFI_BP_SAME;
		break;
	case PLACE_CFA:
	case PLACE_BP:
		if (!fits(row->bp.offset))
			return rule;
		rule.bp = row->bp.place == PLACE_CFA ? CFI_BP_AT_CFA : CFI_BP_AT_BP;
		rule.bp_offset = (int32_t)row->bp.offset;
		break;
	default:
		return rule;
	}
	rule.cfa_offset = (int32_t)row->cfa_offset;
	if (row->cfa_kind == CFA_DEREF && row->cfa_reg == REG_RBP)
		rule.kind = CFI_CFA_DEREF;
	else if (row->cfa_kind == CFA_REG && row->cfa_reg == REG_RSP)
		rule.kind = CFI_CFA_RSP;
	else if (row->cfa_kind == CFA_REG && row->cfa_reg == REG_RBP)
		rule.kind = CFI_CFA_RBP;
	return rule;
}

/* The search table of a .eh_frame_hdr: pairs of (function start, FDE), both relative to the header. */
static bool open_table(
	const uint8_t *header, const uint8_t *limit, const uint8_t **table, uint64_t *count)
{
	struct cursor c = {header, limit, false};

	if (get(&c, 1) != 1)
		return false;
	uint8_t frame_encoding = (uint8_t)get(&c, 1);
	uint8_t count_encoding = (uint8_t)get(&c, 1);
	uint8_t table_encoding = (uint8_t)get(&c, 1);
	if (c.bad || count_encoding == PE_OMIT || table_encoding != (PE_DATAREL | PE_SDATA4))
		return false;
	get_encoded(&c, frame_encoding, header);
	*count = get_encoded(&c, count_encoding, header);
	*table = c.at;
	return !c.bad && *count <= (uint64_t)(limit - c.at) / 8;
}

size_t cfi_entries(const uint8_t *header, const uint8_t *limit)
{
	const uint8_t *table;
	uint64_t count;

	return open_table(header, limit, &table, &count) ? count : 0;
}

struct cfi_rule cfi_find(const uint8_t *header, const uint8_t *limit, uintptr_t pc)
{
	const struct cfi_rule none = {.kind = CFI_NO_ENTRY}, complex_rule = {.kind = CFI_COMPLEX};
	const uint8_t *table;
	uint64_t low = 0, high;
	int32_t pair[2];

	if (!open_table(header, limit, &table, &high))
		return none;
	while (low < high) { /* first entry that starts behind pc */
		uint64_t middle = low + (high - low) / 2;
		memcpy(pair, table + middle * 8, 8);
		if ((uintptr_t)header + (uintptr_t)(intptr_t)pair[0] <= pc)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == 0)
		return none;
	memcpy(pair, table + (low - 1) * 8, 8);

	const uint8_t *fde = header + pair[1];
	struct cursor c;
	struct cie cie;
	if (fde >= limit || entry_body(fde, limit, &c) < 0)
		return none;
	const uint8_t *id_at = c.at;
	uint32_t distance = (uint32_t)get(&c, 4);
	if (c.bad || distance == 0 || read_cie(&cie, id_at - distance, limit) < 0)
		return complex_rule;
	uintptr_t start = get_encoded(&c, cie.pointer_encoding, header);
	uintptr_t bytes = get_encoded(&c, cie.pointer_encoding & 0x0f, header);
	if (c.bad)
		return complex_rule;
	if (pc < start || pc >= start + bytes)
		return none;
	if (cie.signal)
		return (struct cfi_rule){.kind = CFI_SIGNAL};
	if (cie.augmented) {
		uint64_t skip = get_uleb(&c);
		if (c.bad || skip > (uint64_t)(c.end - c.at))
			return complex_rule;
		c.at += skip;
	}
	struct row initial = {.cfa_kind = CFA_COMPLEX}, row;
	struct cursor first = {cie.instructions, cie.end, false};
	if (run(first, &cie, 0, UINTPTR_MAX, &initial, &initial) < 0)
		return complex_rule;
	row = initial;
	if (run(c, &cie, start, pc, &initial, &row) < 0)
		return complex_rule;
	return boil_down(&row);
}
