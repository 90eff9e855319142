/* SPDX-License-Identifier: MIT */
/* Reads a budget file: see budget.h. Every key is known or an error: a typing error must not pass for a limit. */
#include "budget.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "views/figures.h"

static const char *const key_names[BUDGET_KEYS] = {
	[BUDGET_RSS] = "rss",
	[BUDGET_FINDINGS] = "findings",
	[BUDGET_SAVES_PEAK] = "saves-peak",
	[BUDGET_SAVES_ALLOCS] = "saves-allocs",
	[BUDGET_SAVES_COPIES] = "saves-copies",
};

#define ALL_METRICS                                                                                \
	(1u << METRIC_PEAK | 1u << METRIC_BYTES | 1u << METRIC_COUNT | 1u << METRIC_TEMPORARY |    \
		1u << METRIC_LEAKED)

static const struct {
	const char *table;
	bool named;    /* tables of names within */
	unsigned keys; /* allowed, a bit each */
} scopes[] = {
	[BUDGET_RUN] = {"limits", false, ALL_METRICS | 1u << BUDGET_RSS},
	[BUDGET_PER_MODULE] = {"per-module", false, ALL_METRICS | 1u << BUDGET_RSS},
	[BUDGET_CRATE] = {"crate", true, ALL_METRICS},
	[BUDGET_CATEGORY] = {"category", true, ALL_METRICS},
	[BUDGET_PHASE] = {"phase", true,
		1u << METRIC_PEAK | 1u << METRIC_BYTES | 1u << METRIC_COUNT},
	[BUDGET_FINDING] = {"finding", true,
		1u << BUDGET_FINDINGS | 1u << BUDGET_SAVES_PEAK | 1u << BUDGET_SAVES_ALLOCS |
			1u << BUDGET_SAVES_COPIES},
	[BUDGET_BASELINE] = {"baseline", false, ALL_METRICS | 1u << BUDGET_RSS},
};
#define N_SCOPES (sizeof(scopes) / sizeof(*scopes))

const char *budget_key_name(unsigned key)
{
	return key < METRIC_N ? profile_metric_name((enum profile_metric)key) : key_names[key];
}

bool budget_key_is_bytes(unsigned key)
{
	if (key < METRIC_N)
		return profile_metric_is_bytes((enum profile_metric)key);
	return key == BUDGET_RSS || key == BUDGET_SAVES_PEAK || key == BUDGET_SAVES_COPIES;
}

void budget_limit_text(char *out, size_t size, const struct budget_limit *l)
{
	const char *scope = l->scope == BUDGET_PER_MODULE ? "per module, "
			    : l->scope == BUDGET_BASELINE ? "against the baseline, "
							  : "";

	if (l->name)
		snprintf(out, size, "%s %s, %s", scopes[l->scope].table, l->name,
			budget_key_name(l->key));
	else
		snprintf(out, size, "%s%s", scope, budget_key_name(l->key));
}

/* ---- values ---- */

static int wrong(
	const struct budget *b, const struct config_node *n, struct error *e, const char *what)
{
	return error_set(e, "%s:%u: %s%s%s", b->path, n->line, n->key ? n->key : "",
		n->key ? " " : "", what);
}

static int read_amount(double *out, const struct budget *b, const struct config_node *n, bool bytes,
	struct error *e)
{
	*out = n->type == CONFIG_INTEGER || n->type == CONFIG_REAL ? n->number
	       : n->type == CONFIG_STRING                          ? figure_parse(n->string, bytes)
								   : -1;
	if (*out >= 0 && isfinite(*out))
		return 0;
	return wrong(b, n, e,
		bytes ? "takes bytes, as 400000 or \"400 kB\" (B, kB, MB, GB)"
		      : "takes a count, as 12000 or \"12 k\" (k, M)");
}

/* "5%" or 5: percent. */
static int read_tolerance(
	double *out, const struct budget *b, const struct config_node *n, struct error *e)
{
	char *end = NULL;

	*out = -1;
	if (n->type == CONFIG_INTEGER || n->type == CONFIG_REAL) {
		*out = n->number;
	} else if (n->type == CONFIG_STRING && *n->string >= '0' && *n->string <= '9') {
		*out = strtod(n->string, &end);
		if (strcmp(end, "%"))
			*out = -1;
	}
	if (!(*out >= 0) || !isfinite(*out))
		return wrong(b, n, e, "takes a tolerance in percent, as 5 or \"5%\"");
	*out /= 100;
	return 0;
}

/* ---- tables ---- */

static int add_limit(struct budget *b, struct budget_limit limit, const char *name, struct error *e)
{
	struct budget_limit *grown = realloc(b->limits, (b->n_limits + 1) * sizeof(*grown));

	if (grown)
		b->limits = grown;
	limit.name = name ? strdup(name) : NULL;
	if (!grown || (name && !limit.name)) {
		free(limit.name);
		return error_set(e, "out of memory");
	}
	b->limits[b->n_limits++] = limit;
	return 0;
}

static unsigned find_key(const char *name)
{
	for (unsigned k = 0; k < BUDGET_KEYS; k++)
		if (!strcmp(budget_key_name(k), name))
			return k;
	return BUDGET_KEYS;
}

static int unknown_key(const struct budget *b, const struct config_node *n, enum budget_scope scope,
	struct error *e)
{
	char all[160] = "";

	for (unsigned k = 0; k < BUDGET_KEYS; k++)
		if (scopes[scope].keys & 1u << k)
			snprintf(all + strlen(all), sizeof(all) - strlen(all), "%s%s",
				*all ? ", " : "", budget_key_name(k));
	return error_set(e, "%s:%u: no limit '%.80s' in [%s%s]; there are %s", b->path, n->line,
		n->key, scopes[scope].table, scopes[scope].named ? ".…" : "", all);
}

static int read_limits(struct budget *b, const struct config_node *table, enum budget_scope scope,
	const char *name, struct error *e)
{
	if (table->type != CONFIG_TABLE)
		return wrong(b, table, e, "must be a table of limits");
	for (uint32_t i = 0; i < table->n_items; i++) {
		const struct config_node *n = &table->items[i];
		unsigned key = find_key(n->key);
		double value;

		if (key == BUDGET_KEYS || !(scopes[scope].keys & 1u << key))
			return unknown_key(b, n, scope, e);
		if (scope == BUDGET_BASELINE
				? read_tolerance(&value, b, n, e)
				: read_amount(&value, b, n, budget_key_is_bytes(key), e))
			return -1;
		if (add_limit(b, (struct budget_limit){scope, NULL, key, value, n->line}, name, e))
			return -1;
	}
	return 0;
}

/* A path in the file is relative to the file. */
static char *beside(const char *file, const char *path)
{
	const char *slash = strrchr(file, '/');
	char *out;

	if (*path == '/' || !slash)
		return strdup(path);
	return asprintf(&out, "%.*s%s", (int)(slash - file + 1), file, path) < 0 ? NULL : out;
}

/* tolerance is for peak, bytes and count; a limit of its own overrides it or adds to them. */
static int read_baseline(struct budget *b, const struct config_node *table, struct error *e)
{
	static const unsigned usual[] = {METRIC_PEAK, METRIC_BYTES, METRIC_COUNT};
	const struct config_node *tolerance = NULL;
	struct config_node rest = *table;
	double value;
	int ret = -1;

	if (table->type != CONFIG_TABLE)
		return wrong(b, table, e, "must be a table");
	rest.items = malloc((table->n_items + 1) * sizeof(*rest.items));
	if (!rest.items)
		return error_set(e, "out of memory");
	rest.n_items = 0;
	for (uint32_t i = 0; i < table->n_items; i++) {
		const struct config_node *n = &table->items[i];
		if (!strcmp(n->key, "tally")) {
			if (n->type != CONFIG_STRING || !*n->string) {
				wrong(b, n, e, "takes the path of a tally");
				goto out;
			}
			b->baseline = beside(b->path, n->string);
			b->baseline_line = n->line;
		} else if (!strcmp(n->key, "tolerance")) {
			tolerance = n;
		} else {
			rest.items[rest.n_items++] = *n;
		}
	}
	if (!b->baseline) {
		error_set(e, "%s:%u: [baseline] needs tally = \"…\"", b->path, table->line);
		goto out;
	}
	if (!tolerance && !rest.n_items) {
		error_set(e, "%s:%u: [baseline] needs a tolerance", b->path, table->line);
		goto out;
	}
	uint32_t first = b->n_limits;
	if (read_limits(b, &rest, BUDGET_BASELINE, NULL, e) ||
		(tolerance && read_tolerance(&value, b, tolerance, e)))
		goto out;
	uint32_t own = b->n_limits;
	for (size_t k = 0; tolerance && k < sizeof(usual) / sizeof(*usual); k++) {
		bool there = false;
		for (uint32_t i = first; i < own; i++)
			there |= b->limits[i].key == usual[k];
		struct budget_limit l = {BUDGET_BASELINE, NULL, usual[k], value, tolerance->line};
		if (!there && add_limit(b, l, NULL, e))
			goto out;
	}
	ret = 0;
out:
	free(rest.items);
	return ret;
}

static int read_scope(
	struct budget *b, const struct config_node *n, enum budget_scope scope, struct error *e)
{
	if (scope == BUDGET_BASELINE)
		return read_baseline(b, n, e);
	if (!scopes[scope].named)
		return read_limits(b, n, scope, NULL, e);
	if (n->type != CONFIG_TABLE)
		return wrong(b, n, e, "must be a table of tables, as [crate.rspack_core]");
	for (uint32_t i = 0; i < n->n_items; i++)
		if (read_limits(b, &n->items[i], scope, n->items[i].key, e))
			return -1;
	return 0;
}

static int read_root(struct budget *b, const struct config_node *root, struct error *e)
{
	for (uint32_t i = 0; i < root->n_items; i++) {
		const struct config_node *n = &root->items[i];
		size_t scope = 0;

		if (!strcmp(n->key, "modules")) {
			if (n->type != CONFIG_INTEGER || n->number < 1)
				return wrong(
					b, n, e, "takes how many modules the build has, from 1 on");
			b->modules = (uint64_t)n->number;
			continue;
		}
		while (scope < N_SCOPES && strcmp(scopes[scope].table, n->key))
			scope++;
		if (scope == N_SCOPES)
			return error_set(e,
				"%s:%u: no table '%.80s'; there are limits, per-module, crate, "
				"category, phase, "
				"finding, baseline, and modules",
				b->path, n->line, n->key);
		if (read_scope(b, n, (enum budget_scope)scope, e))
			return -1;
	}
	if (!b->n_limits)
		return error_set(e, "%s:1: no limit in it", b->path);
	return 0;
}

int budget_read(struct budget *b, const char *path, struct error *e)
{
	struct config_node root;
	int ret;

	*b = (struct budget){.path = strdup(path)};
	if (!b->path)
		return error_set(e, "out of memory");
	ret = config_read(&root, path, e);
	if (!ret) {
		ret = read_root(b, &root, e);
		config_release(&root);
	}
	if (ret)
		budget_release(b);
	return ret;
}

void budget_release(struct budget *b)
{
	for (uint32_t i = 0; i < b->n_limits; i++)
		free(b->limits[i].name);
	free(b->limits);
	free(b->baseline);
	free(b->path);
	*b = (struct budget){0};
}
