/* SPDX-License-Identifier: MIT */
/* Sizes → buckets and entries: see table_layout.h. */
#include "table_layout.h"

#include <stdio.h>
#include <string.h>

#define GROUP_BYTES 16u
#define ALIGN_16    5u /* as in struct ht_bucket */

uint64_t table_bytes(uint64_t buckets, uint64_t entry_bytes)
{
	uint64_t data = (buckets * entry_bytes + GROUP_BYTES - 1) / GROUP_BYTES * GROUP_BYTES;

	return data + buckets + GROUP_BYTES;
}

uint64_t table_entries(uint64_t buckets)
{
	return buckets < 8 ? buckets - 1 : buckets / 8 * 7;
}

/* The group's sizes, each exactly known; buckets of one group come in ascending order of size class. */
static bool sizes_read(struct table_family *out, const struct evidence *v, const struct group *g)
{
	const struct tally *t = v->profile->tally;

	for (uint32_t i = 0; i < g->n_buckets; i++) {
		uint32_t b = v->bucket_order[g->first_bucket + i];
		const struct ht_counters *c = &t->counters[b];
		struct table_size *x = out->n ? &out->sizes[out->n - 1] : NULL;
		if (!c->allocs)
			continue;
		if (c->min_bytes != c->max_bytes)
			return false;
		if (!x || x->bytes != c->max_bytes) {
			/* two sizes in one class are no two tables of one T */
			if (out->n == TABLE_SIZES_MAX || (x && x->bytes > c->max_bytes))
				return false;
			x = &out->sizes[out->n++];
			*x = (struct table_size){.bytes = c->max_bytes};
		}
		x->made += c->allocs;
		int64_t peak = v->profile->buckets[b].totals.peak_count;
		x->at_peak += peak > 0 ? (uint64_t)peak : 0;
	}
	return out->n;
}

/* The rest by 16 tells 4 buckets from 8: whatever the entries take is a multiple of it. */
static bool sizes_fit(struct table_family *out)
{
	uint64_t first = out->sizes[0].bytes, buckets = first % GROUP_BYTES;

	if ((buckets != 4 && buckets != 8) || first <= buckets + GROUP_BYTES)
		return false;
	uint64_t most = (first - buckets - GROUP_BYTES) / buckets;
	for (uint64_t less = 0; less < GROUP_BYTES / buckets && less < most; less++) {
		uint32_t i = 0;
		uint64_t b = buckets;
		for (; i < out->n; i++) {
			while (table_bytes(b, most - less) < out->sizes[i].bytes)
				b *= 2;
			if (table_bytes(b, most - less) != out->sizes[i].bytes)
				break;
			out->sizes[i].buckets = b;
		}
		if (i == out->n) {
			out->entry_bytes = most - less;
			return true;
		}
	}
	return false;
}

bool tables_read(struct table_family *out, const struct evidence *v, const struct group *g)
{
	bool kind = g->container == CONTAINER_TABLE || g->container == CONTAINER_SHARDED ||
		    (g->container == CONTAINER_UNKNOWN && g->align == ALIGN_16);

	*out = (struct table_family){0};
	/* a request of half the address space is no table, and would overflow here */
	return kind && !g->totals.reallocs && g->max_bytes < UINT64_MAX / 4 &&
	       sizes_read(out, v, g) && sizes_fit(out);
}

bool group_calls(const struct evidence *v, const struct group *g, const char *part)
{
	for (uint32_t i = 0; i < g->n_calls; i++)
		if (strstr(v->profile->functions[g->calls[i]].name, part))
			return true;
	return false;
}

/* Types without the modules they are in: a::b::C<d::E> → C<E>. */
static size_t types_brief(char *out, size_t size, const char *types)
{
	size_t n = 0, word = 0; /* where the path's last segment begins */

	for (const char *s = types; *s && n + 1 < size; s++) {
		if (s[0] == ':' && s[1] == ':' && n > word) {
			n = word;
			s++;
			continue;
		}
		out[n++] = *s;
		if (!(*s == '_' || (*s >= '0' && *s <= '9') || (*s >= 'A' && *s <= 'Z') ||
			    (*s >= 'a' && *s <= 'z')))
			word = n;
	}
	out[n] = 0;
	return n;
}

/*
 * The outermost call of a map's own method, where there is one: the generic code further in is often merged with that of
 * other types of the same layout, and has one name for all.
 */
static void find_arguments(struct rust_name *to, const struct evidence *v, const struct group *g)
{
	static const char *const maps[] = {"HashMap", "HashSet", "IndexMap", "IndexSet", "DashMap",
		"DashSet", "BTreeMap", "BTreeSet"};

	for (uint32_t i = 0; i < g->n_calls; i++) {
		rust_name_read(to, v->profile->functions[g->calls[i]].name);
		for (size_t k = 0; k < sizeof(maps) / sizeof(*maps); k++)
			if (to->element[0] && !strcmp(to->container, maps[k]))
				return;
	}
	snprintf(to->element, sizeof(to->element), "%s", g->element);
	to->container[0] = 0;
}

static const char *map_of(const struct evidence *v, const struct group *g, bool set)
{
	if (g->container == CONTAINER_SHARDED)
		return set ? "DashSet" : "DashMap";
	if (group_calls(v, g, "indexmap::"))
		return set ? "IndexSet" : "IndexMap";
	if (g->container == CONTAINER_BTREE || group_calls(v, g, "::btree::"))
		return set ? "BTreeSet" : "BTreeMap";
	return set ? "HashSet" : "HashMap";
}

void map_names_read(struct map_names *to, const struct evidence *v, const struct group *g)
{
	struct rust_name name;
	char *s = to->arguments;
	bool set;
	size_t n;

	find_arguments(&name, v, g);
	/* an IndexMap's indices, or names without arguments */
	bool known = name.element[0] && name.element[0] != '_' && strcmp(name.element, "usize");
	n = types_brief(s, sizeof(to->arguments), known ? name.element : "_, _");
	size_t lead = n > 9 && !memcmp(s, "LeafNode<", 9) ? 9 : s[0] == '(';
	if (lead && n > lead + 1 && (s[n - 1] == ')' || s[n - 1] == '>')) {
		n -= lead + 1;
		memmove(s, s + lead, n);
		s[n] = 0;
	}
	set = strstr(name.container, "Set");
	if (n > 4 && !strcmp(s + n - 4, ", ()")) {
		set = true;
		s[n - 4] = 0;
	}
	snprintf(to->entry, sizeof(to->entry), set ? "%s" : "(%s)", s);
	snprintf(to->map, sizeof(to->map), "%s", map_of(v, g, set));
}
