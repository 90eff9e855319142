/* SPDX-License-Identifier: MIT */
/* heaptally check: holds a tally against a budget, for CI. Exit 1 says that a limit is exceeded, and nothing else. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "budget.h"
#include "cmd.h"
#include "views/figures.h"
#include "views/values.h"

#define JSON_CHECK_VERSION 1
#define EXIT_EXCEEDED      1

enum key { KEY_BUDGET = 0x100 };

struct arguments {
	struct args args;
	const char *budget;
};

static const struct argp_option options[] = {
	{"budget", KEY_BUDGET, "FILE", 0, "The limits: a TOML file", 0},
	{0},
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct arguments *a = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		return args_share(state, args_of_view, &a->args);
	case KEY_BUDGET:
		a->budget = arg;
		return 0;
	case ARGP_KEY_END:
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
static int print_text(const struct arguments *a, const struct budget *b,
	const struct budget_result *results, uint32_t exceeded, struct error *e)
{
	char what[256], v[FIGURE_SIZE], l[FIGURE_SIZE], more[FIGURE_SIZE];

	if (!exceeded)
		printf("%s: keeps to %s, %u limit%s\n", a->args.tallies[0], a->budget, b->n_limits,
			b->n_limits == 1 ? "" : "s");
	else
		printf("%s: %u of %u limits exceeded\n\n    value    limit     over  limit\n",
			a->args.tallies[0], exceeded, b->n_limits);
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
	return fflush(stdout) || ferror(stdout)
		       ? error_set(e, "cannot write the verdict: %s", strerror(errno))
		       : 0;
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
	const struct budget_result *results, uint32_t exceeded, struct error *e)
{
	json_t *all = json_pack("{s:s, s:i, s:o, s:o, s:i, s:o}", "format", "heaptally-check",
		"version", JSON_CHECK_VERSION, "tally", value_text(a->args.tallies[0], PATH_MAX),
		"budget", value_text(a->budget, PATH_MAX), "exceeded", (int)exceeded, "limits",
		json_rows(b, results));

	return values_write(stdout, all, false, "the verdict", e);
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
	int bad = budget_check(results, b, v, baseline, c, &e);
	for (uint32_t i = 0; i < b->n_limits; i++)
		exceeded += results[i].exceeded;
	if (!bad)
		bad = (a->args.json ? print_json : print_text)(a, b, results, exceeded, &e);
	if (bad)
		cmd_complain("%s", e.text);
	else
		ret = exceeded ? EXIT_EXCEEDED : 0;
	free(results);
	return ret;
}

/* 0 or -1, and the sentences have been printed. */
static int open_baseline(struct tally *t, struct profile *p, const struct arguments *a,
	const struct budget *b, const struct catalog *c)
{
	struct error e;

	if (!cmd_open(t, b->baseline, a->args.debug_files)) {
		if (!profile_init(p, t, c->plumbing, &e))
			return 0;
		cmd_complain("%s", e.text);
		tally_release(t);
	}
	cmd_complain("%s:%u: the baseline cannot be used", b->path, b->baseline_line);
	return -1;
}

static int check_subject(const struct arguments *a, const struct budget *b, const struct subject *s)
{
	struct tally t;
	struct profile p;

	if (!b->baseline)
		return check(a, b, &s->evidence, NULL, &s->catalog);
	if (open_baseline(&t, &p, a, b, &s->catalog))
		return EXIT_UNUSABLE;
	int ret = check(a, b, &s->evidence, &p, &s->catalog);
	profile_release(&p);
	tally_release(&t);
	return ret;
}

int cmd_check(int argc, char **argv)
{
	static const struct argp argp = {options, parse, "--budget=FILE X.tally",
		"Holds a tally against a budget. Exits with 1, and a short table, when a limit is "
		"exceeded.",
		args_of_view, 0, 0};
	struct arguments a = {.args.wanted = 1};
	struct budget b;
	struct subject s;
	struct error e;
	int ret = EXIT_UNUSABLE;

	argp_parse(&argp, argc, argv, 0, NULL, &a);
	if (budget_read(&b, a.budget, &e)) {
		cmd_complain("%s", e.text);
	} else {
		if (!subject_open(&s, &a.args)) {
			ret = check_subject(&a, &b, &s);
			subject_close(&s);
		}
		budget_release(&b);
	}
	args_release(&a.args);
	return ret;
}
