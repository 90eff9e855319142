/* SPDX-License-Identifier: MIT */
/*
 * Reads the catalog: see catalog.h. Tables are read by lists of keys (struct key), so that a new key is one line and
 * an unknown one is noticed in one place.
 */
#include "catalog.h"

#include <errno.h>
#include <fnmatch.h>
#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"

__asm__(".section .rodata\n"
	"catalog_rust_toml: .incbin \"analyzer/catalog/rust.toml\"\n.byte 0\n"
	"catalog_rspack_toml: .incbin \"analyzer/catalog/rspack.toml\"\n.byte 0\n"
	".previous\n");
extern const char catalog_rust_toml[] __attribute__((visibility("hidden")));
extern const char catalog_rspack_toml[] __attribute__((visibility("hidden")));

enum key_type { KEY_STRING, KEY_GLOBS, KEY_NUMBER };

/* One key of a table and where in the struct its value goes. */
struct key {
	const char *name;
	enum key_type type;
	size_t at;
	bool needed;
};

static const struct key fix_keys[] = {
	{"line", KEY_STRING, offsetof(struct catalog_fix, line), false},
	{"code", KEY_STRING, offsetof(struct catalog_fix, code), false},
	{"assumption", KEY_STRING, offsetof(struct catalog_fix, assumption), false},
	{0},
};

static const struct key category_keys[] = {
	{"name", KEY_STRING, offsetof(struct catalog_category, name), true},
	{"structure", KEY_STRING, offsetof(struct catalog_category, structure), false},
	{"counts", KEY_STRING, offsetof(struct catalog_category, counts), false},
	{"types", KEY_GLOBS, offsetof(struct catalog_category, types), false},
	{"functions", KEY_GLOBS, offsetof(struct catalog_category, functions), false},
	{"methods", KEY_GLOBS, offsetof(struct catalog_category, methods), false},
	{"containers", KEY_GLOBS, offsetof(struct catalog_category, containers), false},
	{0},
};

static const struct key claim_keys[] = {
	{"section", KEY_STRING, offsetof(struct catalog_claim, section), true},
	{"says", KEY_STRING, offsetof(struct catalog_claim, says), true},
	{"measure", KEY_STRING, offsetof(struct catalog_claim, measure), true},
	{"structure", KEY_STRING, offsetof(struct catalog_claim, structure), false},
	{"category", KEY_STRING, offsetof(struct catalog_claim, category), false},
	{"pattern", KEY_STRING, offsetof(struct catalog_claim, pattern), false},
	{"types", KEY_GLOBS, offsetof(struct catalog_claim, types), false},
	{"functions", KEY_GLOBS, offsetof(struct catalog_claim, functions), false},
	{"methods", KEY_GLOBS, offsetof(struct catalog_claim, methods), false},
	{"container", KEY_STRING, offsetof(struct catalog_claim, container), false},
	{"value", KEY_NUMBER, offsetof(struct catalog_claim, value), false},
	{"per_module", KEY_NUMBER, offsetof(struct catalog_claim, per_module), false},
	{0},
};

static const struct key claims_keys[] = {
	{"modules", KEY_NUMBER, offsetof(struct catalog, claim_modules), false},
	{"tolerance", KEY_NUMBER, offsetof(struct catalog, claim_tolerance), false},
	{0},
};

static const struct key place_keys[] = {
	{"function", KEY_STRING, offsetof(struct catalog_place, function), true},
	{"method", KEY_STRING, offsetof(struct catalog_place, method), false},
	{"type", KEY_STRING, offsetof(struct catalog_place, type), false},
	{"name", KEY_STRING, offsetof(struct catalog_place, name), true},
	{"section", KEY_STRING, offsetof(struct catalog_place, section), false},
	{0},
};

static const struct key cost_keys[] = {
	{"alloc_ns", KEY_NUMBER, offsetof(struct catalog, alloc_ns), false},
	{"copy_ns_per_byte", KEY_NUMBER, offsetof(struct catalog, copy_ns_per_byte), false},
	{0},
};

__attribute__((format(printf, 4, 5))) static int wrong(struct error *e, const struct catalog *c,
	const struct config_node *at, const char *format, ...)
{
	char what[256];
	va_list ap;

	va_start(ap, format);
	vsnprintf(what, sizeof(what), format, ap);
	va_end(ap);
	return error_set(e, "%s:%u: %s", c->source, at->line, what);
}

static int out_of_memory(struct error *e)
{
	return error_set(e, "out of memory for the catalog");
}

/* Room for one more, zeroed, at the end of what *array points to; NULL: out of memory. */
static void *grow(void *array, uint32_t n, size_t bytes)
{
	char *base, *grown;

	memcpy(&base, array, sizeof(base)); /* whatever it points to */
	grown = realloc(base, (n + (size_t)1) * bytes);
	if (!grown)
		return NULL;
	memcpy(array, &grown, sizeof(grown));
	return memset(grown + n * bytes, 0, bytes);
}

static int is(const struct catalog *c, const struct config_node *n, enum config_type type,
	struct error *e)
{
	static const char *const words[] = {[CONFIG_TABLE] = "a table",
		[CONFIG_ARRAY] = "an array",
		[CONFIG_STRING] = "a string"};

	if (n->type == type)
		return 0;
	return wrong(e, c, n, "%s must be %s", n->key ? n->key : "an item", words[type]);
}

static int read_string(
	const struct catalog *c, char **to, const struct config_node *n, struct error *e)
{
	if (is(c, n, CONFIG_STRING, e))
		return -1;
	free(*to);
	*to = strdup(n->string);
	return *to ? 0 : out_of_memory(e);
}

static int read_number(
	const struct catalog *c, double *to, const struct config_node *n, struct error *e)
{
	if ((n->type != CONFIG_INTEGER && n->type != CONFIG_REAL) || !(n->number >= 0) ||
		isinf(n->number))
		return wrong(e, c, n, "%s must be a number, 0 or more", n->key);
	*to = n->number;
	return 0;
}

static int read_globs(const struct catalog *c, struct catalog_globs *to,
	const struct config_node *n, struct error *e)
{
	if (is(c, n, CONFIG_ARRAY, e))
		return -1;
	for (uint32_t i = 0; i < n->n_items; i++) {
		char **glob = grow(&to->globs, to->n, sizeof(*to->globs));
		if (!glob)
			return out_of_memory(e);
		to->n++;
		if (read_string(c, glob, &n->items[i], e))
			return -1;
	}
	return 0;
}

static int read_keys(const struct catalog *c, void *to, const struct key *keys,
	const struct config_node *n, struct error *e)
{
	if (is(c, n, CONFIG_TABLE, e))
		return -1;
	for (uint32_t i = 0; i < n->n_items; i++) {
		const struct config_node *item = &n->items[i];
		const struct key *k = keys;
		while (k->name && strcmp(k->name, item->key))
			k++;
		if (!k->name)
			return wrong(e, c, item, "unknown key '%s'", item->key);
		void *field = (char *)to + k->at;
		if (k->type == KEY_STRING      ? read_string(c, field, item, e)
			: k->type == KEY_GLOBS ? read_globs(c, field, item, e)
					       : read_number(c, field, item, e))
			return -1;
	}
	for (const struct key *k = keys; k->name; k++) {
		uint32_t i = 0;
		while (i < n->n_items && strcmp(n->items[i].key, k->name))
			i++;
		if (k->needed && i == n->n_items)
			return wrong(e, c, n, "'%s' is missing here", k->name);
	}
	return 0;
}

/* [pattern.NAME.limits] */
static int read_limits(
	struct catalog *c, struct catalog_pattern *p, const struct config_node *n, struct error *e)
{
	if (is(c, n, CONFIG_TABLE, e))
		return -1;
	for (uint32_t i = 0; i < n->n_items; i++) {
		const struct config_node *item = &n->items[i];
		struct catalog_limit *l = (struct catalog_limit *)catalog_limit(p, item->key);
		if (!l && !c->built_in)
			return wrong(e, c, item, "%s has no limit '%s'", p->name, item->key);
		if (!l) {
			l = grow(&p->limits, p->n_limits, sizeof(*l));
			if (!l)
				return out_of_memory(e);
			p->n_limits++;
			l->name = strdup(item->key);
			if (!l->name)
				return out_of_memory(e);
		}
		if (read_number(c, &l->value, item, e))
			return -1;
	}
	return 0;
}

/* [pattern.NAME.fix.FIX] */
static int read_fixes(
	struct catalog *c, struct catalog_pattern *p, const struct config_node *n, struct error *e)
{
	if (is(c, n, CONFIG_TABLE, e))
		return -1;
	for (uint32_t i = 0; i < n->n_items; i++) {
		const struct config_node *item = &n->items[i];
		struct catalog_fix *f = (struct catalog_fix *)catalog_fix(p, item->key);
		if (!f && !c->built_in)
			return wrong(e, c, item, "%s has no fix '%s'", p->name, item->key);
		if (!f) {
			f = grow(&p->fixes, p->n_fixes, sizeof(*f));
			if (!f)
				return out_of_memory(e);
			p->n_fixes++;
			f->name = strdup(item->key);
			if (!f->name)
				return out_of_memory(e);
		}
		if (read_keys(c, f, fix_keys, item, e))
			return -1;
		if (!f->line || !f->code || !f->assumption)
			return wrong(e, c, item, "a fix has line, code and assumption");
	}
	return 0;
}

static int read_patterns(struct catalog *c, const struct config_node *n, struct error *e)
{
	if (is(c, n, CONFIG_TABLE, e))
		return -1;
	for (uint32_t i = 0; i < n->n_items; i++) {
		const struct config_node *item = &n->items[i];
		struct catalog_pattern *p = (struct catalog_pattern *)catalog_pattern(c, item->key);
		if (!p && !c->built_in)
			return wrong(e, c, item, "no pattern '%s'", item->key);
		if (is(c, item, CONFIG_TABLE, e))
			return -1;
		if (!p) {
			p = grow(&c->patterns, c->n_patterns, sizeof(*p));
			if (!p)
				return out_of_memory(e);
			c->n_patterns++;
			p->name = strdup(item->key);
			if (!p->name)
				return out_of_memory(e);
		}
		for (uint32_t k = 0; k < item->n_items; k++) {
			const struct config_node *part = &item->items[k];
			if (!strcmp(part->key, "limits")) {
				if (read_limits(c, p, part, e))
					return -1;
			} else if (!strcmp(part->key, "fix")) {
				if (read_fixes(c, p, part, e))
					return -1;
			} else {
				return wrong(e, c, part, "unknown key '%s'", part->key);
			}
		}
	}
	return 0;
}

/* [plumbing] */
static int read_plumbing(struct catalog *c, const struct config_node *n, struct error *e)
{
	struct {
		struct catalog_globs crates;
	} more = {{(char **)c->plumbing, c->n_plumbing}};
	static const struct key keys[] = {{"crates", KEY_GLOBS, 0, true}, {0}};
	int ret = read_keys(c, &more, keys, n, e);

	c->n_plumbing = more.crates.n;
	c->plumbing = (const char **)more.crates.globs;
	return ret;
}

static const char *const counts_words[] = {"blocks", "items", "none", NULL};
static const char *const measure_words[] = {"size", "count", "bytes", "share", "category", "peak",
	"pattern", "present", "allocs", NULL};

/* The value of that key, if it is there, must be one of the words. */
static int check_word(const struct catalog *c, const struct config_node *n, const char *key,
	const char *const *words, struct error *e)
{
	for (uint32_t i = 0; i < n->n_items; i++) {
		const char *const *w = words;
		if (strcmp(n->items[i].key, key))
			continue;
		while (*w && strcmp(*w, n->items[i].string))
			w++;
		if (!*w)
			return wrong(e, c, &n->items[i], "%s cannot be '%.80s'", key,
				n->items[i].string);
	}
	return 0;
}

/*
 * [[category]] and the like: rows, each read by keys. A user's rows go before those that are there, in their order.
 */
static int read_rows(struct catalog *c, void *array, uint32_t *n_rows, size_t bytes,
	const struct key *keys, const struct config_node *n, struct error *e)
{
	if (is(c, n, CONFIG_ARRAY, e))
		return -1;
	for (uint32_t i = 0; i < n->n_items; i++) {
		char *row = grow(array, *n_rows, bytes);
		if (!row)
			return out_of_memory(e);
		if (!c->built_in) {
			row -= (*n_rows - i) * bytes;
			memmove(row + bytes, row, (*n_rows - i) * bytes);
			memset(row, 0, bytes);
		}
		++*n_rows;
		if (read_keys(c, row, keys, &n->items[i], e) ||
			(keys == category_keys &&
				check_word(c, &n->items[i], "counts", counts_words, e)) ||
			(keys == claim_keys &&
				check_word(c, &n->items[i], "measure", measure_words, e)))
			return -1;
	}
	return 0;
}

static int read_root(struct catalog *c, const struct config_node *root, struct error *e)
{
	for (uint32_t i = 0; i < root->n_items; i++) {
		const struct config_node *n = &root->items[i];
		int ret;
		if (!strcmp(n->key, "plumbing"))
			ret = read_plumbing(c, n, e);
		else if (!strcmp(n->key, "cost"))
			ret = read_keys(c, c, cost_keys, n, e);
		else if (!strcmp(n->key, "pattern"))
			ret = read_patterns(c, n, e);
		else if (!strcmp(n->key, "category"))
			ret = read_rows(c, &c->categories, &c->n_categories, sizeof(*c->categories),
				category_keys, n, e);
		else if (!strcmp(n->key, "claims"))
			ret = read_keys(c, c, claims_keys, n, e);
		else if (!strcmp(n->key, "claim"))
			ret = read_rows(
				c, &c->claims, &c->n_claims, sizeof(*c->claims), claim_keys, n, e);
		else if (!strcmp(n->key, "place"))
			ret = read_rows(
				c, &c->places, &c->n_places, sizeof(*c->places), place_keys, n, e);
		else
			ret = wrong(e, c, n, "unknown key '%s'", n->key);
		if (ret)
			return -1;
	}
	return 0;
}

/* A built-in text, or where that is NULL the file `source`. */
static int read_one(struct catalog *c, const char *text, const char *source, struct error *e)
{
	struct config_node root;
	int ret;

	c->source = source;
	ret = text ? config_parse(&root, text, strlen(text), source, e)
		   : config_read(&root, source, e);
	if (ret)
		return -1;
	ret = read_root(c, &root, e);
	config_release(&root);
	return ret;
}

int catalog_init(struct catalog *c, const char *path, struct error *e)
{
	*c = (struct catalog){.built_in = true};
	if (read_one(c, catalog_rust_toml, "rust.toml", e) ||
		read_one(c, catalog_rspack_toml, "rspack.toml", e))
		goto failed;
	c->built_in = false;
	if (path && read_one(c, NULL, path, e))
		goto failed;
	c->source = NULL;
	if (!grow(&c->plumbing, c->n_plumbing, sizeof(*c->plumbing))) { /* the NULL at the end */
		out_of_memory(e);
		goto failed;
	}
	return 0;
failed:
	catalog_release(c);
	return -1;
}

static void globs_release(struct catalog_globs *g)
{
	for (uint32_t i = 0; i < g->n; i++)
		free(g->globs[i]);
	free(g->globs);
}

/* Frees what the keys of n rows point to, and the rows. */
static void rows_release(void *rows, uint32_t n, size_t bytes, const struct key *keys)
{
	for (uint32_t i = 0; i < n; i++)
		for (const struct key *k = keys; k->name; k++) {
			void *field = (char *)rows + i * bytes + k->at;
			if (k->type == KEY_STRING)
				free(*(char **)field);
			else if (k->type == KEY_GLOBS)
				globs_release(field);
		}
	free(rows);
}

void catalog_release(struct catalog *c)
{
	struct catalog_globs plumbing = {(char **)c->plumbing, c->n_plumbing};

	globs_release(&plumbing);
	for (uint32_t i = 0; i < c->n_patterns; i++) {
		struct catalog_pattern *p = &c->patterns[i];
		for (uint32_t k = 0; k < p->n_limits; k++)
			free(p->limits[k].name);
		for (uint32_t k = 0; k < p->n_fixes; k++)
			free(p->fixes[k].name);
		rows_release(p->fixes, p->n_fixes, sizeof(*p->fixes), fix_keys);
		free(p->limits);
		free(p->name);
	}
	free(c->patterns);
	rows_release(c->categories, c->n_categories, sizeof(*c->categories), category_keys);
	rows_release(c->claims, c->n_claims, sizeof(*c->claims), claim_keys);
	rows_release(c->places, c->n_places, sizeof(*c->places), place_keys);
	*c = (struct catalog){0};
}

const struct catalog_pattern *catalog_pattern(const struct catalog *c, const char *name)
{
	for (uint32_t i = 0; i < c->n_patterns; i++)
		if (!strcmp(c->patterns[i].name, name))
			return &c->patterns[i];
	return NULL;
}

const struct catalog_limit *catalog_limit(const struct catalog_pattern *p, const char *name)
{
	for (uint32_t i = 0; i < p->n_limits; i++)
		if (!strcmp(p->limits[i].name, name))
			return &p->limits[i];
	return NULL;
}

const struct catalog_fix *catalog_fix(const struct catalog_pattern *p, const char *name)
{
	for (uint32_t i = 0; i < p->n_fixes; i++)
		if (!strcmp(p->fixes[i].name, name))
			return &p->fixes[i];
	return NULL;
}

bool catalog_match(const struct catalog_globs *g, const char *name)
{
	for (uint32_t i = 0; i < g->n; i++)
		if (!fnmatch(g->globs[i], name, 0))
			return true;
	return false;
}

const char *const *catalog_plumbing(void)
{
	static struct catalog built_in;
	struct error e;

	if (!built_in.plumbing && catalog_init(&built_in, NULL, &e))
		return NULL;
	return built_in.plumbing;
}
