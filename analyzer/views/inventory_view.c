/* SPDX-License-Identifier: MIT */
/* The inventory: see inventory_view.h. json_pack returns NULL, and takes its arguments, when memory runs out. */
#include <stdlib.h>
#include <string.h>

#include "../utf8.h"
#include "figures.h"
#include "inventory_view.h"
#include "lines.h"
#include "values.h"

#define NAME_MAX_BYTES (64u << 10)
#define TYPE_AT        39 /* columns before a type's name */

static void structures_write(FILE *out, const struct inventory *t, bool style, uint32_t top)
{
	char bytes[FIGURE_SIZE], share[FIGURE_SIZE], count[FIGURE_SIZE], item[FIGURE_SIZE];
	bool room = false;

	if (!t->n_structures)
		return;
	line_heading(out, style, "Data structures by peak: as the catalog knows them");
	fprintf(out, "%9s %6s %8s  %8s  %-24s %s\n", "peak", "share", "count", "per item",
		"structure", "category");
	for (uint32_t i = 0; i < t->n_structures && i < top; i++) {
		const struct structure *s = &t->structures[i];
		room |= s->room;
		fprintf(out, "%9s %6s %8s%s %8s  %-24s %s\n", figure_bytes(bytes, s->peak_bytes),
			figure_share(share,
				t->peak_bytes ? (double)s->peak_bytes / (double)t->peak_bytes : 0),
			s->count ? figure_count(count, s->count) : "",
			s->room && s->count ? "+" : " ",
			s->count ? figure_bytes(item, (uint64_t)(s->item_bytes + 0.5)) : "",
			s->name, s->category);
	}
	if (room)
		fputs("  + as many as there is room for\n", out);
}

static void categories_write(FILE *out, const struct inventory *t, bool style)
{
	char bytes[FIGURE_SIZE], share[FIGURE_SIZE], count[FIGURE_SIZE];

	if (t->n_categories < 2)
		return;
	line_heading(out, style, "Categories by peak");
	fprintf(out, "%9s %6s %8s   %s\n", "peak", "share", "blocks", "category");
	for (uint32_t i = 0; i < t->n_categories; i++) {
		const struct category *c = &t->categories[i];
		fprintf(out, "%9s %6s %8s   %s\n", figure_bytes(bytes, c->peak_bytes),
			figure_share(share,
				t->peak_bytes ? (double)c->peak_bytes / (double)t->peak_bytes : 0),
			figure_count(count, c->count), c->name);
	}
}

/* The type without the modules of its paths: Option<rspack_core::x::Y> is Option<Y>. At most `columns` wide. */
static char *type_short(const char *type, size_t columns)
{
	char *text = malloc(strlen(type) + 1), *clean;
	size_t n = 0, segment = 0;

	if (!text)
		return NULL;
	for (const char *s = type; *s; s++) {
		if (!strncmp(s, "::", 2) && s[2] != '<') {
			n = segment;
			s++;
			continue;
		}
		text[n++] = *s;
		if (!(*s == '_' || (*s >= '0' && *s <= '9') || (*s | 32) >= 'a') || *s == '{')
			segment = n;
	}
	text[n] = '\0';
	clean = utf8_clean(text, columns);
	free(text);
	return clean;
}

static void types_write(
	FILE *out, const struct inventory *t, unsigned columns, bool style, uint32_t top)
{
	char bytes[FIGURE_SIZE], count[FIGURE_SIZE], size[FIGURE_SIZE];
	char padding[FIGURE_SIZE];
	size_t room = columns > TYPE_AT + 16 ? columns - TYPE_AT : 16;

	if (!t->n_types)
		return;
	line_heading(
		out, style, "Types by peak: sizes as their blocks tell them; of a map, its entry");
	fprintf(out, "%9s %8s  %8s %8s  %s\n", "peak", "count", "size", "padding", "type");
	for (uint32_t i = 0; i < t->n_types && i < top; i++) {
		const struct type_size *x = &t->types[i];
		char *clean = type_short(x->type, room);
		fprintf(out, "%9s %8s%s %8s %8s  %s\n", figure_bytes(bytes, x->peak_bytes),
			figure_count(count, x->count), x->room ? "+" : " ",
			figure_bytes(size, x->bytes),
			x->layout.n_members ? figure_bytes(padding, x->layout.padding_bytes) : "",
			clean ? clean : "");
		free(clean);
	}
}

void inventory_text_write(
	FILE *out, const struct inventory *t, unsigned columns, bool style, uint32_t top)
{
	structures_write(out, t, style, top);
	categories_write(out, t, style);
	types_write(out, t, columns, style, top);
}

static json_t *structure_json(const struct structure *s)
{
	return json_pack("{s:s, s:s, s:o, s:o, s:f, s:b, s:s}", "name", s->name, "category",
		s->category, "peak_bytes", value_integer(s->peak_bytes), "count",
		value_integer(s->count), "item_bytes", s->item_bytes, "count_is_room", s->room,
		"container", container_name(s->container));
}

static json_t *category_json(const struct category *c)
{
	return json_pack("{s:s, s:o, s:o}", "name", c->name, "peak_bytes",
		value_integer(c->peak_bytes), "blocks", value_integer(c->count));
}

/* null: no DWARF that has it */
static json_t *layout_json(const struct layout *l)
{
	json_t *members = l->n_members ? json_array() : NULL;
	int bad = 0;

	if (!l->n_members)
		return json_null();
	for (uint32_t i = 0; i < l->n_members; i++) {
		char *clean = utf8_clean(l->members[i].name, NAME_MAX_BYTES);
		bad |= json_array_append_new(
			members, json_pack("{s:s*, s:o, s:o}", "name", clean, "offset_bytes",
					 value_integer(l->members[i].offset_bytes), "bytes",
					 value_integer(l->members[i].bytes)));
		free(clean);
	}
	if (bad) {
		json_decref(members);
		return NULL;
	}
	return json_pack("{s:o, s:o, s:o}", "bytes", value_integer(l->bytes), "padding_bytes",
		value_integer(l->padding_bytes), "members", members);
}

static json_t *type_json(const struct type_size *x)
{
	char *clean = utf8_clean(x->type, NAME_MAX_BYTES);
	json_t *o = clean ? json_pack("{s:s, s:s, s:o, s:o, s:b, s:o, s:o}", "type", clean,
				    "container", container_name(x->container), "size_bytes",
				    value_integer(x->bytes), "count", value_integer(x->count),
				    "count_is_room", x->room, "peak_bytes",
				    value_integer(x->peak_bytes), "layout", layout_json(&x->layout))
			  : NULL;

	free(clean);
	return o;
}

json_t *inventory_json(const struct inventory *t)
{
	json_t *structures = json_array(), *categories = json_array(), *types = json_array();
	int bad = 0;

	for (uint32_t i = 0; i < t->n_structures; i++)
		bad |= json_array_append_new(structures, structure_json(&t->structures[i]));
	for (uint32_t i = 0; i < t->n_categories; i++)
		bad |= json_array_append_new(categories, category_json(&t->categories[i]));
	for (uint32_t i = 0; i < t->n_types; i++)
		bad |= json_array_append_new(types, type_json(&t->types[i]));
	json_t *all = json_pack("{s:o, s:o, s:o}", "structures", structures, "categories",
		categories, "types", types);
	if (!bad)
		return all;
	json_decref(all);
	return NULL;
}
