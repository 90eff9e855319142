/* SPDX-License-Identifier: MIT */
/* Walks the namespaces of each compilation unit and takes the structs that are asked for: see layouts.h. */
#include "layouts.h"

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <elfutils/libdwelf.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PATH_MAX_BYTES 4096u
#define DEPTH_MAX      64u

struct walk {
	struct inventory *inventory;
	char path[PATH_MAX_BYTES]; /* of the namespaces, each followed by "::" */
	bool bad;                  /* out of memory */
};

static int by_offset(const void *a, const void *b)
{
	const struct layout_member *x = a, *y = b;

	return (x->offset_bytes > y->offset_bytes) - (x->offset_bytes < y->offset_bytes);
}

static uint64_t padding(const struct layout *l)
{
	uint64_t end = 0, in_none = 0;

	for (uint32_t i = 0; i < l->n_members; i++) {
		const struct layout_member *m = &l->members[i];
		if (m->offset_bytes > end)
			in_none += m->offset_bytes - end;
		if (m->offset_bytes + m->bytes > end)
			end = m->offset_bytes + m->bytes;
	}
	return in_none + (l->bytes > end ? l->bytes - end : 0);
}

/* False: not one that can be told; what was added stays to be released. */
static bool add_member(struct walk *w, struct layout *l, Dwarf_Die *member)
{
	Dwarf_Attribute attribute;
	Dwarf_Word offset, bytes;
	Dwarf_Die type;
	const char *name = dwarf_diename(member);

	if (!dwarf_attr(member, DW_AT_data_member_location, &attribute) ||
		dwarf_formudata(&attribute, &offset) ||
		!dwarf_attr(member, DW_AT_type, &attribute) ||
		!dwarf_formref_die(&attribute, &type) || dwarf_aggregate_size(&type, &bytes) ||
		offset > l->bytes || bytes > l->bytes - offset)
		return false;
	struct layout_member *grown =
		realloc(l->members, (l->n_members + 1u) * sizeof(*l->members));
	char *copy = strdup(name ? name : "");
	if (grown)
		l->members = grown;
	if (!grown || !copy) {
		free(copy);
		w->bad = true;
		return false;
	}
	l->members[l->n_members++] = (struct layout_member){copy, offset, bytes};
	return true;
}

static void read_struct(struct walk *w, struct layout *l, Dwarf_Die *die)
{
	Dwarf_Word bytes;
	Dwarf_Die child;
	bool told = !dwarf_aggregate_size(die, &bytes) && !dwarf_child(die, &child);

	if (!told)
		return;
	l->bytes = bytes;
	do {
		int tag = dwarf_tag(&child);
		if (tag == DW_TAG_variant_part ||
			(tag == DW_TAG_member && !add_member(w, l, &child)))
			told = false;
	} while (told && !dwarf_siblingof(&child, &child));
	if (told) {
		if (l->n_members)
			qsort(l->members, l->n_members, sizeof(*l->members), by_offset);
		l->padding_bytes = padding(l);
		return;
	}
	for (uint32_t i = 0; i < l->n_members; i++)
		free(l->members[i].name);
	free(l->members);
	*l = (struct layout){0};
}

static void take_struct(struct walk *w, size_t at, Dwarf_Die *die)
{
	const char *name = dwarf_diename(die);

	if (!name)
		return;
	for (uint32_t i = 0; i < w->inventory->n_types; i++) {
		struct type_size *x = &w->inventory->types[i];
		if (!x->layout.n_members && !strncmp(x->type, w->path, at) &&
			!strcmp(x->type + at, name))
			read_struct(w, &x->layout, die);
	}
}

/* The children of a unit or namespace, whose path is the first `at` bytes of w->path. */
static void walk_children(struct walk *w, size_t at, unsigned depth, Dwarf_Die *die)
{
	Dwarf_Die child;

	if (depth > DEPTH_MAX || dwarf_child(die, &child))
		return;
	do {
		const char *name = dwarf_diename(&child);
		size_t n = name ? strlen(name) : 0;
		if (dwarf_tag(&child) == DW_TAG_structure_type) {
			take_struct(w, at, &child);
		} else if (dwarf_tag(&child) == DW_TAG_namespace && n &&
			   at + n + 3 < sizeof(w->path)) {
			memcpy(w->path + at, name, n);
			memcpy(w->path + at + n, "::", 3);
			walk_children(w, at + n + 2, depth + 1, &child);
		}
	} while (!w->bad && !dwarf_siblingof(&child, &child));
}

static void walk_file(struct walk *w, const char *path, const struct ht_module *m)
{
	const void *id;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	Dwarf *dwarf = fd < 0 ? NULL : dwarf_begin(fd, DWARF_C_READ);
	ssize_t n = dwarf ? dwelf_elf_gnu_build_id(dwarf_getelf(dwarf), &id) : -1;
	Dwarf_CU *unit = NULL;
	Dwarf_Die die;

	if (n > 0 && n == m->build_id_bytes && !memcmp(id, m->build_id, (size_t)n))
		while (!w->bad && !dwarf_get_units(dwarf, unit, &unit, NULL, NULL, &die, NULL))
			walk_children(w, 0, 0, &die);
	dwarf_end(dwarf);
	if (fd >= 0)
		close(fd);
}

int layouts_find(struct inventory *inventory, const struct tally *t, struct error *e)
{
	struct walk w = {.inventory = inventory};

	for (uint32_t i = 1; i < t->n_modules && inventory->n_types && !w.bad; i++)
		walk_file(&w, tally_string(t, t->modules[i].path), &t->modules[i]);
	return w.bad ? error_set(e, "out of memory for the layouts") : 0;
}
