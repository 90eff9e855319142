/* SPDX-License-Identifier: MIT */
/*
 * A symbol table as ranges of functions: where several symbols are at one place, which of them names it, and how far
 * those without a size reach.
 */
#include "symbols_internal.h"

/* Which of two symbols at one place names it: the smaller rank does. */
static unsigned symbol_rank(const GElf_Sym *s)
{
	static const unsigned char bindings[] = {[STB_GLOBAL] = 0, [STB_WEAK] = 1, [STB_LOCAL] = 2};
	unsigned binding = GELF_ST_BIND(s->st_info);
	return (GELF_ST_TYPE(s->st_info) == STT_NOTYPE) * 16u + !s->st_size * 8u +
	       (binding < sizeof(bindings) ? bindings[binding] : 0);
}

struct candidate {
	uint64_t low, size, section_end;
	uint32_t name;
	unsigned rank;
	const char *text; /* looked up on ties */
};

static int candidate_compare(const void *a, const void *b)
{
	const struct candidate *x = a, *y = b;
	if (x->low != y->low)
		return x->low < y->low ? -1 : 1;
	return x->rank < y->rank ? -1 : x->rank > y->rank;
}

static const char *candidate_text(const struct object *o, struct candidate *c)
{
	if (!c->text)
		c->text = elf_strptr(o->symbols_elf, o->strings_index, c->name);
	return c->text ? c->text : "";
}

/* malloc rather than __libc_malloc; then the shorter, then the first in the alphabet: the same on every run. */
static bool candidate_reads_better(
	const struct object *o, struct candidate *a, struct candidate *than)
{
	const char *x = candidate_text(o, a), *y = candidate_text(o, than);
	size_t x_bars = strspn(x, "_"), y_bars = strspn(y, "_");
	if (!*x || !*y)
		return *x;
	if (x_bars != y_bars)
		return x_bars < y_bars;
	size_t x_length = strlen(x), y_length = strlen(y);
	return x_length != y_length ? x_length < y_length : strcmp(x, y) < 0;
}

static struct candidate *candidates_read(
	struct object *o, Elf_Scn *table, const GElf_Shdr *header, size_t *n)
{
	Elf_Data *data = elf_getdata(table, NULL);
	size_t n_sections = 0,
	       total = header->sh_entsize ? header->sh_size / header->sh_entsize : 0;
	struct candidate *v = NULL;
	*n = 0;
	if (!data || total > INT32_MAX || elf_getshdrnum(o->symbols_elf, &n_sections))
		return NULL;
	uint64_t *ends = calloc(n_sections + 1, sizeof(*ends)); /* of sections with code */
	v = reallocarray(NULL, total + 1, sizeof(*v));
	if (!ends || !v)
		goto fail;
	for (Elf_Scn *s = NULL; (s = elf_nextscn(o->symbols_elf, s));) {
		GElf_Shdr sh;
		if (gelf_getshdr(s, &sh) && (sh.sh_flags & SHF_EXECINSTR))
			ends[elf_ndxscn(s)] = sh.sh_addr + sh.sh_size;
	}
	for (size_t i = 0; i < total; i++) {
		GElf_Sym s;
		if (!gelf_getsym(data, (int)i, &s) || s.st_shndx >= n_sections || !s.st_name)
			continue;
		int type = GELF_ST_TYPE(s.st_info);
		if ((type != STT_FUNC && type != STT_GNU_IFUNC && type != STT_NOTYPE) ||
			s.st_value >= ends[s.st_shndx])
			continue;
		v[(*n)++] = (struct candidate){.low = s.st_value,
			.size = s.st_size,
			.section_end = ends[s.st_shndx],
			.name = s.st_name,
			.rank = symbol_rank(&s)};
	}
	free(ends);
	return v;
fail:
	free(ends);
	free(v);
	return NULL;
}

int object_load_symbols(struct object *o, const struct image *i)
{
	bool whole =
		i->symtab; /* else only what is exported: then gaps belong to functions that are not */
	Elf_Scn *table = whole ? i->symtab : i->dynsym;
	GElf_Shdr header;
	if (!table || !gelf_getshdr(table, &header))
		return 0;
	o->symbols_elf = i->elf;
	o->strings_index = header.sh_link;
	size_t n;
	struct candidate *v = candidates_read(o, table, &header, &n);
	if (!v)
		return 0; /* damaged: as if stripped */
	qsort(v, n, sizeof(*v), candidate_compare);

	int result = -1;
	uint64_t reach = 0; /* of sized symbols so far */
	size_t kept = 0;
	o->symbols = reallocarray(NULL, n + 1, sizeof(*o->symbols));
	if (!o->symbols)
		goto out;
	for (size_t first = 0, next; first < n; first = next) {
		struct candidate *best = &v[first];
		uint64_t low = best->low, high = low + best->size;
		for (next = first + 1; next < n && v[next].low == low; next++)
			if (v[next].rank == best->rank && candidate_reads_better(o, &v[next], best))
				best = &v[next];
		if (!best->size) {
			/* a label in the middle of a function is no function */
			if (!whole || low < reach)
				continue;
			high = best->section_end;
			if (next < n && v[next].low < high)
				high = v[next].low;
		}
		if (high > best->section_end)
			high = best->section_end;
		if (best->size && high > reach)
			reach = high;
		o->symbols[kept] = (struct symbol){.name = best->name};
		if (!ranges_add(&o->symbol_ranges, low, high, (uint32_t)kept++))
			goto out;
	}
	ranges_sort(&o->symbol_ranges);
	result = 0;
out:
	free(v);
	return result;
}

uint32_t object_symbol_function(struct resolver *r, struct object *o, uint32_t module,
	const struct range *found, const char *file)
{
	struct symbol *s = &o->symbols[found->item];
	if (!file && s->made.module == module)
		return s->made.function;
	const char *name = elf_strptr(o->symbols_elf, o->strings_index, s->name);
	uint32_t function = name && *name ? resolver_function(r, module, name, file)
					  : resolver_unnamed(r, module, NULL, found->low);
	if (!file)
		s->made = (struct made){function, module};
	return function;
}
