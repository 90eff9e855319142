/* SPDX-License-Identifier: MIT */
/*
 * Functions, what is inlined in them, and lines, from DWARF. A unit's functions are read when an address in it is
 * first asked for, those that are inlined into a function when one in that is.
 */
#include <dwarf.h>
#include <stddef.h>

#include "symbols_internal.h"

#define FRAMES_MAX    256u
#define DIE_DEPTH_MAX 128u

int object_load_dwarf(struct object *o)
{
	Dwarf_CU *cu = NULL;
	Dwarf_Die die, split;
	uint8_t type;
	o->dwarf = dwarf_begin_elf(o->debug->elf, DWARF_C_READ, NULL);
	/* the units' own ranges, not .debug_aranges: most compilers leave that out */
	while (o->dwarf && dwarf_get_units(o->dwarf, cu, &cu, NULL, &type, &die, &split) == 0) {
		if (type != DW_UT_compile && type != DW_UT_skeleton)
			continue;
		if (!grow(&o->units, o->n_units, &o->cap_units, sizeof(*o->units)))
			return -1;
		bool is_split = type == DW_UT_skeleton && dwarf_tag(&split) == DW_TAG_compile_unit;
		o->units[o->n_units] = (struct unit){.die = die, .top = is_split ? split : die};
		Dwarf_Addr base, low, high;
		for (ptrdiff_t at = 0; (at = dwarf_ranges(&die, at, &base, &low, &high)) > 0;)
			if (!ranges_add(&o->unit_ranges, low, high, (uint32_t)o->n_units))
				return -1;
		o->n_units++;
	}
	ranges_sort(&o->unit_ranges);
	return 0;
}

void object_close_dwarf(struct object *o)
{
	for (size_t i = 0; i < o->n_units; i++) {
		free(o->units[i].subprograms);
		free(o->units[i].ranges.v);
	}
	free(o->units);
	free(o->unit_ranges.v);
	free(o->inlined);
	dwarf_end(o->dwarf);
}

/* Whether functions can be below; they cannot below most of a unit's entries. */
static bool tag_holds_functions(int tag)
{
	switch (tag) {
	case DW_TAG_namespace:
	case DW_TAG_module:
	case DW_TAG_class_type:
	case DW_TAG_structure_type:
	case DW_TAG_union_type:
	case DW_TAG_enumeration_type: /* in Rust they have methods */
	case DW_TAG_subprogram:
	case DW_TAG_lexical_block:
	case DW_TAG_imported_unit:
		return true;
	default:
		return false;
	}
}

static bool unit_collect(struct unit *u, Dwarf_Die *parent, unsigned depth)
{
	Dwarf_Die die;
	if (depth > DIE_DEPTH_MAX || dwarf_child(parent, &die))
		return true;
	do {
		int tag = dwarf_tag(&die);
		if (tag == DW_TAG_subprogram) {
			Dwarf_Addr base, low, high;
			bool first = true;
			for (ptrdiff_t at = 0;
				(at = dwarf_ranges(&die, at, &base, &low, &high)) > 0;
				first = false) {
				if (first) {
					if (!grow(&u->subprograms, u->n, &u->cap,
						    sizeof(*u->subprograms)))
						return false;
					u->subprograms[u->n++] = (struct subprogram){.die = die};
				}
				if (!ranges_add(&u->ranges, low, high, (uint32_t)(u->n - 1)))
					return false;
			}
		}
		if (tag_holds_functions(tag) && dwarf_haschildren(&die) > 0 &&
			!unit_collect(u, &die, depth + 1))
			return false;
	} while (!dwarf_siblingof(&die, &die));
	return true;
}

static bool object_collect_inlined(struct object *o, Dwarf_Die *parent, unsigned depth)
{
	Dwarf_Die die;
	if (depth > DIE_DEPTH_MAX || dwarf_child(parent, &die))
		return true;
	do {
		int tag = dwarf_tag(&die);
		if (tag != DW_TAG_inlined_subroutine && tag != DW_TAG_lexical_block)
			continue;
		Dwarf_Addr base, low, high;
		for (ptrdiff_t at = 0; tag == DW_TAG_inlined_subroutine &&
				       (at = dwarf_ranges(&die, at, &base, &low, &high)) > 0;) {
			if (!grow(&o->inlined, o->n_inlined, &o->cap_inlined, sizeof(*o->inlined)))
				return false;
			o->inlined[o->n_inlined++] =
				(struct inlined){.low = low, .high = high, .die = die};
		}
		if (dwarf_haschildren(&die) > 0 && !object_collect_inlined(o, &die, depth + 1))
			return false;
	} while (!dwarf_siblingof(&die, &die));
	return true;
}

/*
 * The function a DIE is an instance of. low: where its code starts, for the symbol's name, which for C is what people
 * call it by (malloc, not __libc_malloc); 0 for inlined ones. file: used when the DIE has none.
 */
static uint32_t die_function(struct resolver *r, struct object *o, uint32_t module, Dwarf_Die *die,
	struct made *made, uint64_t low, const char *file)
{
	if (made->module == module)
		return made->function;
	Dwarf_Attribute a;
	const char *name = dwarf_formstring(dwarf_attr_integrate(die, DW_AT_linkage_name, &a));
	const char *declared = dwarf_decl_file(die);
	if (!name)
		name = dwarf_formstring(dwarf_attr_integrate(die, DW_AT_MIPS_linkage_name, &a));
	if (declared)
		file = declared;
	const struct range *symbol = !name && low ? ranges_find(&o->symbol_ranges, low) : NULL;
	if (!name)
		name = dwarf_diename(die);
	made->module = module;
	if (symbol && symbol->low == low)
		made->function = object_symbol_function(r, o, module, symbol, file);
	else if (name)
		made->function = resolver_function(r, module, name, file);
	else
		made->function = resolver_unnamed(r, module, NULL, low);
	return made->function;
}

/* The line, if it is one of the function's file: an #include in a function's middle would make it mean nothing. */
static int line_in(const struct resolver *r, uint32_t function, const char *file, int line)
{
	const char *own = function < r->n_functions ? r->names + r->functions[function].file : "";
	return file && !strcmp(own, file) ? line : 0;
}

static void call_position(struct unit *u, Dwarf_Die *call, const char **file, int *line)
{
	Dwarf_Attribute a;
	Dwarf_Word value;
	Dwarf_Files *files;
	size_t n;
	*file = NULL;
	*line = 0;
	if (!dwarf_formudata(dwarf_attr(call, DW_AT_call_line, &a), &value) && value <= INT32_MAX)
		*line = (int)value;
	if (!dwarf_formudata(dwarf_attr(call, DW_AT_call_file, &a), &value) &&
		!dwarf_getsrcfiles(&u->top, &files, &n) && value < n)
		*file = dwarf_filesrc(files, value, NULL, NULL);
}

bool object_locate_by_dwarf(
	struct resolver *r, struct object *o, struct ht_location *l, uint64_t address)
{
	const struct range *in = ranges_find(&o->unit_ranges, address);
	if (!in)
		return false;
	struct unit *u = &o->units[in->item];
	if (!u->loaded) {
		u->loaded = true;
		if (!unit_collect(u, &u->top, 0))
			r->failed = true;
		ranges_sort(&u->ranges);
	}
	int line = 0;
	const char *file = NULL;
	Dwarf_Line *at = dwarf_getsrc_die(&u->die, address);
	if (at && !dwarf_lineno(at, &line))
		file = dwarf_linesrc(at, NULL, NULL);

	const struct range *body = ranges_find(&u->ranges, address);
	if (!body) { /* assembly: lines without functions */
		const struct range *symbol = ranges_find(&o->symbol_ranges, address);
		if (!symbol || !file)
			return false;
		resolver_frame(r, l, object_symbol_function(r, o, l->module, symbol, file), line);
		return true;
	}
	struct subprogram *s = &u->subprograms[body->item];
	if (o->inlined_in != s) {
		o->inlined_in = s;
		o->n_inlined = 0;
		if (!object_collect_inlined(o, &s->die, 0))
			r->failed = true;
	}
	/* the entries are in preorder: those around the address are the chain, outermost first */
	struct inlined *chain[FRAMES_MAX - 1];
	size_t n = 0;
	for (size_t i = 0; i < o->n_inlined && n < FRAMES_MAX - 1; i++)
		if (o->inlined[i].low <= address && address < o->inlined[i].high)
			chain[n++] = &o->inlined[i];
	while (n--) {
		uint32_t function =
			die_function(r, o, l->module, &chain[n]->die, &chain[n]->made, 0, file);
		resolver_frame(r, l, function, line_in(r, function, file, line));
		call_position(u, &chain[n]->die, &file, &line);
	}
	Dwarf_Addr low;
	if (dwarf_entrypc(&s->die, &low))
		low = body->low;
	uint32_t function = die_function(r, o, l->module, &s->die, &s->made, low, file);
	resolver_frame(r, l, function, line_in(r, function, file, line));
	return true;
}
