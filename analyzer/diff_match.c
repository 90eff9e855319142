/* SPDX-License-Identifier: MIT */
/*
 * Which module, and which function, of one tally is which of the other. Functions are matched in three rounds, each for
 * what the one before left on one side only: by name as written, without generic arguments, without modules. What
 * several have in common in a later round is added up: a sum that did not change is no change, whoever moved where.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "diff_internal.h"
#include "diff_names.h"
#include "utf8.h"

#define NAME_MAX_BYTES (64u << 10)
#define BRIEF_BYTES    73
/* of all bytes: a module that is only on one side is compared to the other side's */
#define OTHER_BINDING 0.1
/* of the functions without names: one build, where there is no build-id to tell */
#define SAME_ADDRESSES 0.8

/* As diff_groups, and whether a group holds functions of other paths. */
struct diff_names {
	struct diff_groups groups;
	/* by group: its function of most bytes on that side, or PROFILE_NONE */
	uint32_t *first[SIDES];
	bool *moved;
};

struct keyed {
	char *key;
	uint32_t value;
	bool has[SIDES];
	UT_hash_handle hh;
};

static struct keyed *keyed_find(struct keyed **table, char *key, uint32_t value, bool *fresh)
{
	struct keyed *k;

	*fresh = false;
	if (!key)
		return NULL;
	HASH_FIND_STR(*table, key, k);
	if (k) {
		free(key);
		return k;
	}
	k = calloc(1, sizeof(*k));
	if (!k) {
		free(key);
		return NULL;
	}
	k->key = key;
	k->value = value;
	HASH_ADD_KEYPTR(hh, *table, k->key, strlen(k->key), k);
	*fresh = true;
	return k;
}

static void keyed_release(struct keyed **table)
{
	struct keyed *k, *next;

	HASH_ITER(hh, *table, k, next)
	{
		HASH_DEL(*table, k);
		free(k->key);
		free(k);
	}
}

/* ---- modules ---- */

/* Do the same addresses allocate on both sides? Those of two builds meet by chance only. */
static bool same_addresses(
	const struct diff_modules *m, const struct profile *const sides[SIDES], uint32_t module)
{
	struct keyed *table = NULL;
	uint32_t n[SIDES] = {0, 0}, both = 0;
	bool fresh, bad = false;

	for (int s = 0; s < SIDES && !bad; s++)
		for (uint32_t i = 0; i < sides[s]->n_blames && !bad; i++) {
			const struct profile_function *f =
				&sides[s]->functions[sides[s]->blames[i].function];
			const char *at = f->unnamed ? strrchr(f->name, '+') : NULL;
			if (!at || m->of[s][f->module] != module)
				continue;
			struct keyed *k = keyed_find(&table, strdup(at), 0, &fresh);
			bad = !k;
			n[s]++;
			both += k && s == AFTER && k->has[BEFORE];
			if (k)
				k->has[s] = true;
		}
	keyed_release(&table);
	uint32_t most = n[BEFORE] > n[AFTER] ? n[BEFORE] : n[AFTER];
	return !bad && most && both >= SAME_ADDRESSES * most;
}

static bool same_build(
	const struct diff_modules *m, const struct profile *const sides[SIDES], uint32_t module)
{
	const struct ht_module *hm[SIDES];

	for (int s = 0; s < SIDES; s++) {
		uint32_t index = m->all[module].index[s];
		if (index == PROFILE_NONE)
			return false;
		hm[s] = &sides[s]->tally->modules[index];
	}
	if (hm[0]->build_id_bytes && hm[1]->build_id_bytes)
		return hm[0]->build_id_bytes == hm[1]->build_id_bytes &&
		       !memcmp(hm[0]->build_id, hm[1]->build_id, hm[0]->build_id_bytes);
	return same_addresses(m, sides, module);
}

/* A binding that goes by another name: the greatest module of each side that the other has not. */
static void pair_strangers(struct diff_modules *m, const struct profile *const sides[SIDES])
{
	uint32_t most[SIDES] = {0, 0};

	for (uint32_t i = 1; i < m->n; i++)
		for (int s = 0; s < SIDES; s++) {
			const struct diff_module *x = &m->all[i];
			double whole = (double)totals_metric(&sides[s]->total, METRIC_BYTES);
			if (x->index[!s] == PROFILE_NONE && x->index[s] != PROFILE_NONE &&
				(double)x->bytes[s] >= OTHER_BINDING * whole &&
				x->bytes[s] > (most[s] ? m->all[most[s]].bytes[s] : 0))
				most[s] = i;
		}
	if (!most[BEFORE] || !most[AFTER])
		return;
	struct diff_module *to = &m->all[most[BEFORE]], *from = &m->all[most[AFTER]];
	to->index[AFTER] = from->index[AFTER];
	to->bytes[AFTER] = from->bytes[AFTER];
	to->unnamed_bytes[AFTER] = from->unnamed_bytes[AFTER];
	to->host |= from->host;
	for (uint32_t i = 0; i < sides[AFTER]->tally->n_modules; i++)
		if (m->of[AFTER][i] == most[AFTER])
			m->of[AFTER][i] = most[BEFORE];
	from->index[AFTER] = PROFILE_NONE;
	from->bytes[AFTER] = from->unnamed_bytes[AFTER] = 0;
}

static void weigh(struct diff_modules *m, const struct profile *p, int side)
{
	for (uint32_t i = 0; i < p->n_blames; i++) {
		const struct profile_function *f = &p->functions[p->blames[i].function];
		struct diff_module *to = &m->all[m->of[side][f->module]];
		uint64_t bytes = totals_metric(&p->blames[i].totals, METRIC_BYTES);
		to->bytes[side] += bytes;
		to->unnamed_bytes[side] += f->unnamed && !f->by_source ? bytes : 0;
		to->host |= !strcmp(p->crates[f->crate].name, "v8");
	}
}

static void modules_release(struct diff_modules *m)
{
	free(m->all);
	free(m->of[0]);
	free(m->of[1]);
	*m = (struct diff_modules){0};
}

static int modules_init(struct diff_modules *m, const struct profile *const sides[SIDES])
{
	struct keyed *table = NULL;
	bool bad = false, fresh;

	*m = (struct diff_modules){0};
	m->all = calloc(
		sides[0]->tally->n_modules + sides[1]->tally->n_modules + 1, sizeof(*m->all));
	for (int s = 0; s < SIDES; s++) {
		m->of[s] = calloc((size_t)sides[s]->tally->n_modules + 1, sizeof(*m->of[s]));
		bad |= !m->of[s];
	}
	if (!m->all || bad) {
		modules_release(m);
		return -1;
	}
	m->n = 1; /* the pseudo module */
	m->all[0].same_build = true;
	for (int s = 0; s < SIDES; s++)
		for (uint32_t i = 1; i < sides[s]->tally->n_modules && !bad; i++) {
			const struct ht_module *hm = &sides[s]->tally->modules[i];
			struct keyed *k = keyed_find(&table,
				diff_name_module(tally_string(sides[s]->tally, hm->path)), m->n,
				&fresh);
			bad = !k;
			if (bad)
				break;
			struct diff_module *x = &m->all[k->value];
			if (fresh)
				m->all[m->n++] =
					(struct diff_module){.index = {PROFILE_NONE, PROFILE_NONE}};
			m->of[s][i] = k->value;
			if (x->index[s] == PROFILE_NONE)
				x->index[s] = i;
		}
	for (int s = 0; s < SIDES && !bad; s++)
		weigh(m, sides[s], s);
	if (!bad)
		pair_strangers(m, sides);
	for (uint32_t i = 1; i < m->n && !bad; i++) {
		struct diff_module *x = &m->all[i];
		x->same_build = same_build(m, sides, i);
		x->sizes = !x->same_build && (x->unnamed_bytes[0] > x->bytes[0] / 2 ||
						     x->unnamed_bytes[1] > x->bytes[1] / 2);
	}
	keyed_release(&table);
	if (bad)
		modules_release(m);
	return bad ? -1 : 0;
}

bool diff_by_sizes(const struct diff_modules *m, const struct profile *p, int side, uint32_t f)
{
	const struct profile_function *fn = &p->functions[f];
	const struct diff_module *x = &m->all[m->of[side][fn->module]];

	return x->sizes || (fn->unnamed && !fn->by_source && !x->same_build);
}

/* ---- functions ---- */

/* What a function may be called on both sides. Of another build a source file stands for all that are told by it. */
static char *common_name(const struct diff_modules *m, const struct profile *p, int side,
	uint32_t f, enum diff_name level)
{
	const struct profile_function *fn = &p->functions[f];
	char *name = diff_name(fn->name, level), *line;

	if (name && fn->by_source && !m->all[m->of[side][fn->module]].same_build) {
		line = strrchr(name, ':');
		if (line)
			*line = '\0';
	}
	return name;
}

/* What a function is called in a round; of a module that is told by sizes all are one. */
static char *function_key(const struct diff_modules *m, const struct profile *p, int side,
	uint32_t f, enum diff_name level)
{
	uint32_t module = m->of[side][p->functions[f].module];
	bool sizes = diff_by_sizes(m, p, side, f);
	char *name = sizes ? strdup("") : common_name(m, p, side, f, level), *key = NULL;

	if (name && asprintf(&key, "%u%c%s", module, sizes ? '#' : ':', name) < 0)
		key = NULL;
	free(name);
	return key;
}

static uint32_t find_root(uint32_t *root, uint32_t g)
{
	while (root[g] != g)
		g = root[g] = root[root[g]];
	return g;
}

struct builder {
	struct diff_names *n;
	const struct diff_modules *m;
	const struct profile *const *sides;
	uint32_t *root; /* of a group: the one it was merged into */
	bool *has[SIDES];
	uint64_t *bytes[SIDES]; /* by function */
	uint32_t *any[SIDES];   /* by group: one of its functions */
};

/* One of the later rounds. */
static int merge_round(struct builder *b, enum diff_name level)
{
	struct diff_groups *g = &b->n->groups;
	struct keyed *table = NULL, **of = calloc((size_t)g->n_groups + 1, sizeof(*of));
	bool bad = !of, fresh;

	for (uint32_t i = 0; i < g->n_groups && !bad; i++) {
		if (b->root[i] != i || (b->has[0][i] && b->has[1][i]))
			continue;
		int s = b->has[AFTER][i];
		struct keyed *k = keyed_find(
			&table, function_key(b->m, b->sides[s], s, b->any[s][i], level), i, &fresh);
		bad = !k;
		if (k)
			k->has[s] = true;
		of[i] = k;
	}
	for (uint32_t i = 0; i < g->n_groups && !bad; i++) {
		if (!of[i] || !of[i]->has[0] || !of[i]->has[1])
			continue;
		uint32_t to = of[i]->value;
		b->root[i] = to;
		b->n->moved[to] |= level == DIFF_NAME_HOME;
		for (int s = 0; s < SIDES; s++)
			if (b->has[s][i]) {
				b->has[s][to] = true;
				b->any[s][to] = b->any[s][i];
			}
	}
	free(of);
	keyed_release(&table);
	return bad ? -1 : 0;
}

static int first_round(struct builder *b)
{
	struct diff_groups *g = &b->n->groups;
	struct keyed *table = NULL;
	bool bad = false, fresh;

	for (int s = 0; s < SIDES; s++)
		for (uint32_t f = 0; f < b->sides[s]->n_functions && !bad; f++) {
			struct keyed *k = keyed_find(&table,
				function_key(b->m, b->sides[s], s, f, DIFF_NAME_WRITTEN),
				g->n_groups, &fresh);
			bad = !k;
			if (bad)
				break;
			g->n_groups += fresh;
			g->group_of[s][f] = k->value;
			b->has[s][k->value] = true;
			b->any[s][k->value] = f;
		}
	keyed_release(&table);
	return bad ? -1 : 0;
}

static void names_release(struct diff_names *n)
{
	diff_groups_release(&n->groups);
	free(n->first[0]);
	free(n->first[1]);
	free(n->moved);
	*n = (struct diff_names){0};
}

static int names_init(struct diff_names *n, const struct diff_modules *m,
	const struct profile *const sides[SIDES])
{
	size_t most = (size_t)sides[0]->n_functions + sides[1]->n_functions + 1;
	struct builder b = {.n = n, .m = m, .sides = sides, .root = malloc(most * sizeof(*b.root))};
	bool bad = !b.root;

	*n = (struct diff_names){.moved = calloc(most, sizeof(*n->moved))};
	bad |= !n->moved;
	for (int s = 0; s < SIDES; s++) {
		n->groups.group_of[s] = calloc((size_t)sides[s]->n_functions + 1, sizeof(uint32_t));
		n->first[s] = malloc(most * sizeof(uint32_t));
		b.has[s] = calloc(most, sizeof(bool));
		b.any[s] = calloc(most, sizeof(uint32_t));
		b.bytes[s] = calloc((size_t)sides[s]->n_functions + 1, sizeof(uint64_t));
		bad |= !n->groups.group_of[s] || !n->first[s] || !b.has[s] || !b.any[s] ||
		       !b.bytes[s];
	}
	for (size_t i = 0; i < most && !bad; i++) {
		b.root[i] = (uint32_t)i;
		n->first[0][i] = n->first[1][i] = PROFILE_NONE;
	}
	bad = bad || first_round(&b) || merge_round(&b, DIFF_NAME_GENERIC) ||
	      merge_round(&b, DIFF_NAME_HOME);
	for (int s = 0; s < SIDES && !bad; s++) {
		for (uint32_t i = 0; i < sides[s]->n_blames; i++)
			b.bytes[s][sides[s]->blames[i].function] =
				totals_metric(&sides[s]->blames[i].totals, METRIC_BYTES) + 1;
		for (uint32_t f = 0; f < sides[s]->n_functions; f++) {
			uint32_t *g = &n->groups.group_of[s][f];
			*g = find_root(b.root, *g);
			uint32_t *first = &n->first[s][*g];
			if (*first == PROFILE_NONE || b.bytes[s][f] > b.bytes[s][*first])
				*first = f;
		}
	}
	free(b.root);
	for (int s = 0; s < SIDES; s++) {
		free(b.has[s]);
		free(b.any[s]);
		free(b.bytes[s]);
	}
	if (bad)
		names_release(n);
	return bad ? -1 : 0;
}

int diff_groups_init(
	struct diff_groups *g, const struct profile *before, const struct profile *after)
{
	const struct profile *const sides[SIDES] = {before, after};
	struct diff_modules m;
	struct diff_names n;

	if (modules_init(&m, sides))
		return -1;
	int bad = names_init(&n, &m, sides);
	if (!bad) {
		*g = n.groups;
		n.groups = (struct diff_groups){0};
		names_release(&n);
	}
	modules_release(&m);
	return bad;
}

void diff_groups_release(struct diff_groups *g)
{
	free(g->group_of[0]);
	free(g->group_of[1]);
	*g = (struct diff_groups){0};
}

/* ---- rows ---- */

struct diff_row *diff_row_new(struct diff *d)
{
	if ((d->n_rows & (d->n_rows - 1)) == 0) {
		struct diff_row *rows =
			realloc(d->rows, (d->n_rows ? 2 * (size_t)d->n_rows : 1) * sizeof(*rows));
		if (!rows)
			return NULL;
		d->rows = rows;
	}
	struct diff_row *r = &d->rows[d->n_rows++];
	*r = (struct diff_row){.place = {.before = -1, .after = -1}};
	return r;
}

/* A function's name without its closures, for people. */
static char *shown_name(
	const struct diff_modules *m, const struct profile *p, int side, uint32_t f)
{
	char *name = common_name(m, p, side, f, DIFF_NAME_WRITTEN);
	char *clean = name ? utf8_clean(name, NAME_MAX_BYTES) : NULL;

	free(name);
	return clean;
}

static int name_row(struct diff_row *r, const struct diff_names *n, const struct diff_modules *m,
	const struct profile *const sides[SIDES], uint32_t group)
{
	int s = n->first[AFTER][group] != PROFILE_NONE ? AFTER : BEFORE;
	uint32_t f = n->first[s][group];
	const struct profile_function *fn = &sides[s]->functions[f];
	const struct tally *t = sides[s]->tally;
	char brief[BRIEF_BYTES];

	r->engine = m->all[m->of[s][fn->module]].host;
	r->unsteady = diff_unsteady(sides[s]->crates[fn->crate].name, r->engine);
	r->name = shown_name(m, sides[s], s, f);
	rust_name_short(brief, sizeof(brief), r->name ? r->name : "");
	r->brief = utf8_clean(brief, sizeof(brief));
	r->crate = utf8_clean(sides[s]->crates[fn->crate].name, NAME_MAX_BYTES);
	r->module =
		utf8_clean(basename(tally_string(t, t->modules[fn->module].path)), NAME_MAX_BYTES);
	if (n->moved[group]) {
		r->was = shown_name(m, sides[BEFORE], BEFORE, n->first[BEFORE][group]);
		if (!r->was)
			return -1;
	}
	return r->name && r->brief && r->crate && r->module ? 0 : -1;
}

static int match_names(struct diff *d, const struct diff_modules *m, const struct diff_names *n,
	const struct profile *const sides[SIDES])
{
	uint32_t *row_of =
		calloc((size_t)n->groups.n_groups + 1, sizeof(*row_of)); /* + 1; 0: none yet */
	int ret = row_of ? 0 : -1;

	for (int s = 0; s < SIDES; s++)
		for (uint32_t b = 0; b < sides[s]->tally->n_buckets && !ret; b++) {
			const struct profile_bucket *pb = &sides[s]->buckets[b];
			uint32_t g = n->groups.group_of[s][pb->blame];
			if (diff_by_sizes(m, sides[s], s, pb->blame))
				continue;
			if (!row_of[g]) {
				struct diff_row *r = diff_row_new(d);
				if (!r || name_row(r, n, m, sides, g)) {
					ret = -1;
					break;
				}
				row_of[g] = d->n_rows;
			}
			struct diff_row *r = &d->rows[row_of[g] - 1];
			diff_part_add(s == BEFORE ? &r->before : &r->after, &pb->totals);
		}
	free(row_of);
	return ret;
}

int diff_match(struct diff *d, const struct profile *before, const struct profile *after)
{
	const struct profile *const sides[SIDES] = {before, after};
	struct diff_modules m = {0};
	struct diff_names n = {0};
	int ret = -1;

	if (modules_init(&m, sides))
		return -1;
	if (!names_init(&n, &m, sides))
		ret = match_names(d, &m, &n, sides) || diff_match_sizes(d, &m, sides) ? -1 : 0;
	names_release(&n);
	modules_release(&m);
	return ret;
}
