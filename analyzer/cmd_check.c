/* SPDX-License-Identifier: MIT */
/* heaptally check: holds a tally against a budget, for CI. Exit 1 says that a limit is exceeded, and nothing else. */
#include <argp.h>
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "budget.h"
#include "cmd.h"
#include "views/figures.h"

#define JSON_CHECK_VERSION 1
#define EXIT_EXCEEDED      1

enum key {
	KEY_BUDGET = 0x100,
	KEY_JSON,
	KEY_CATALOG,
	KEY_DEBUG_FILE,
};

struct arguments {
	const char *path, *budget, *catalog;
	const char **debug_files; /* NULL-terminated; room for every argument */
	size_t n_debug_files;
	bool json;
};

static const struct argp_option options[] = {
	{"budget", KEY_BUDGET, "FILE", 0, "The limits: a TOML file", 0},
	{"json", KEY_JSON, 0, 0, "Write JSON with exact figures", 0},
	{"catalog", KEY_CATALOG, "FILE", 0, "Merge FILE over the built-in catalog", 0},
	{"debug-file", KEY_DEBUG_FILE, "FILE", 0,
		"Take symbols from FILE too, for the module with its build-id; may be repeated", 0},
	{0},
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct arguments *a = state->input;

	switch (key) {
	case KEY_BUDGET:
		a->budget = arg;
		return 0;
	case KEY_JSON:
		a->json = true;
		return 0;
	case KEY_CATALOG:
		a->catalog = arg;
		return 0;
	case KEY_DEBUG_FILE:
		a->debug_files[a->n_debug_files++] = arg;
		return 0;
	case ARGP_KEY_ARG:
		if (a->path)
			argp_failure(state, EXIT_UNUSABLE, 0,
				"one tally at a time, not '%s' as well", arg);
		a->path = arg;
		return 0;
	case ARGP_KEY_END:
		if (!a->path)
			argp_failure(state, EXIT_UNUSABLE, 0, "which tally? See --help");
		if (!a->budget)
			argp_failure(state, EXIT_UNUSABLE, 0, "which budget? See --help");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static char *figure(char *out, unsigned key, double value)
{
	uint64_t n = value < 1.8e19 ? (uint64_t)(value + 0.5) : UINT64_MAX;

	if (!budget_key_is_bytes(key) && value < 100 && value != (double)n)
		snprintf(out, FIGURE_SIZE, "%.2f", value); /* allocations per module */
	else if (budget_key_is_bytes(key))
		figure_bytes(out, n);
	else
		figure_count(out, n);
	return out;
}

/* A short table of what is exceeded, worst first as the file has it. */
static void print_text(const struct arguments *a, const struct budget *b,
	const struct budget_result *results, uint32_t exceeded)
{
	char what[256], v[FIGURE_SIZE], l[FIGURE_SIZE], more[FIGURE_SIZE];

	if (!exceeded) {
		printf("%s: keeps to %s, %u limit%s\n", a->path, a->budget, b->n_limits,
			b->n_limits == 1 ? "" : "s");
		return;
	}
	printf("%s: %u of %u limits exceeded\n\n    value    limit     over  limit\n", a->path,
		exceeded, b->n_limits);
	for (uint32_t i = 0; i < b->n_limits; i++) {
		const struct budget_result *r = &results[i];
		if (!r->exceeded)
			continue;
		budget_limit_text(what, sizeof(what), r->limit);
		*more = '\0';
		if (r->allowed > 0)
			snprintf(more, sizeof(more), "%+.1f%%", (r->value / r->allowed - 1) * 100);
		printf("  %7s  %7s  %7s  %s (%s:%u)\n", figure(v, r->limit->key, r->value),
			figure(l, r->limit->key, r->allowed), more, what, a->budget,
			r->limit->line);
	}
}

static json_t *json_rows(const struct budget *b, const struct budget_result *results)
{
	static const char *const scopes[] = {
		"run", "per-module", "crate", "category", "phase", "finding", "baseline"};
	json_t *rows = json_array();

	for (uint32_t i = 0; i < b->n_limits; i++) {
		const struct budget_result *r = &results[i];
		if (json_array_append_new(
			    rows, json_pack("{s:s, s:s?, s:s, s:f, s:f, s:b, s:i}", "scope",
					  scopes[r->limit->scope], "name", r->limit->name, "limit",
					  budget_key_name(r->limit->key), "value", r->value,
					  "allowed", r->allowed, "exceeded", r->exceeded, "line",
					  (int)r->limit->line))) {
			json_decref(rows);
			return NULL;
		}
	}
	return rows;
}

static int print_json(const struct arguments *a, const struct budget *b,
	const struct budget_result *results, uint32_t exceeded)
{
	json_t *all = json_pack("{s:s, s:i, s:s%, s:s%, s:i, s:o}", "format", "heaptally-check",
		"version", JSON_CHECK_VERSION, "tally", a->path, strlen(a->path), "budget",
		a->budget, strlen(a->budget), "exceeded", (int)exceeded, "limits",
		json_rows(b, results));

	if (!all) {
		cmd_complain("out of memory, or a name is not UTF-8");
		return -1;
	}
	int bad = json_dumpf(all, stdout, JSON_INDENT(1)) || putchar('\n') == EOF;
	json_decref(all);
	return bad ? -1 : 0;
}

static int check(const struct arguments *a, const struct budget *b, const struct evidence *v,
	const struct profile *baseline, const struct catalog *c)
{
	struct budget_result *results = calloc(b->n_limits, sizeof(*results));
	uint32_t exceeded = 0;
	struct error e;
	int ret = EXIT_UNUSABLE;

	if (!results) {
		cmd_complain("out of memory");
		return ret;
	}
	if (budget_check(results, b, v, baseline, c, &e)) {
		cmd_complain("%s", e.text);
	} else {
		for (uint32_t i = 0; i < b->n_limits; i++)
			exceeded += results[i].exceeded;
		int bad = 0;
		if (a->json)
			bad = print_json(a, b, results, exceeded);
		else
			print_text(a, b, results, exceeded);
		if (fflush(stdout) || ferror(stdout))
			cmd_complain("cannot write the verdict: %s", strerror(errno));
		else if (!bad)
			ret = exceeded ? EXIT_EXCEEDED : 0;
	}
	free(results);
	return ret;
}

static int check_profile(const struct arguments *a, const struct budget *b, const struct profile *p,
	const struct profile *baseline, const struct catalog *c)
{
	struct evidence v;
	struct error e;

	if (evidence_init(&v, p, &e)) {
		cmd_complain("%s", e.text);
		return EXIT_UNUSABLE;
	}
	int ret = check(a, b, &v, baseline, c);
	evidence_release(&v);
	return ret;
}

/* One tally opened and its profile made; 0 or -1, and the sentence has been printed. */
static int open_profile(struct tally *t, struct profile *p, const char *path,
	const struct arguments *a, const struct catalog *c)
{
	struct error e;

	if (cmd_open(t, path, a->debug_files))
		return -1;
	if (profile_init(p, t, c->plumbing, &e)) {
		cmd_complain("%s", e.text);
		tally_release(t);
		return -1;
	}
	return 0;
}

static int check_tally(const struct arguments *a, const struct budget *b, const struct catalog *c)
{
	struct tally t, base;
	struct profile p, base_profile;
	int ret = EXIT_UNUSABLE;

	if (open_profile(&t, &p, a->path, a, c))
		return ret;
	if (!b->baseline) {
		ret = check_profile(a, b, &p, NULL, c);
	} else if (!open_profile(&base, &base_profile, b->baseline, a, c)) {
		ret = check_profile(a, b, &p, &base_profile, c);
		profile_release(&base_profile);
		tally_release(&base);
	} else {
		cmd_complain("%s:%u: the baseline cannot be used", b->path, b->baseline_line);
	}
	profile_release(&p);
	tally_release(&t);
	return ret;
}

int cmd_check(int argc, char **argv)
{
	static const struct argp argp = {options, parse, "--budget=FILE X.tally",
		"Holds a tally against a budget. Exits with 1, and a short table, when a limit is "
		"exceeded.",
		0, 0, 0};
	struct arguments a = {0};
	char name[] = "heaptally check";
	struct catalog c;
	struct budget b;
	struct error e;
	int ret = EXIT_UNUSABLE;

	a.debug_files = calloc((size_t)argc + 1, sizeof(*a.debug_files));
	if (!a.debug_files)
		return EXIT_UNUSABLE;
	argv[0] = name; /* for argp's messages */
	argp_err_exit_status = EXIT_UNUSABLE;
	argp_parse(&argp, argc, argv, 0, NULL, &a);

	if (budget_read(&b, a.budget, &e)) {
		cmd_complain("%s", e.text);
	} else {
		if (catalog_init(&c, a.catalog, &e)) {
			cmd_complain("%s", e.text);
		} else {
			ret = check_tally(&a, &b, &c);
			catalog_release(&c);
		}
		budget_release(&b);
	}
	free(a.debug_files);
	return ret;
}
