/* SPDX-License-Identifier: MIT */
/* heaptally report: what a tally says, for people or as JSON. */
#include <argp.h>
#include <errno.h>
#include <stdlib.h>

#include "cmd.h"
#include "inventory.h"
#include "layouts.h"
#include "patterns/pattern.h"
#include "phases.h"
#include "views/json.h"
#include "views/phase_view.h"
#include "views/text.h"

#define DEFAULT_TOP 10

enum key {
	KEY_BY = 0x100,
	KEY_TOP,
	KEY_JSON,
	KEY_PHASE,
	KEY_CATALOG,
	KEY_DEBUG_FILE,
};

struct arguments {
	const char *path;
	const char *catalog;
	const char **debug_files; /* NULL-terminated; room for every argument */
	size_t n_debug_files;
	enum profile_metric by;
	bool by_given;
	const char *phase;
	uint32_t top;
	bool json;
};

static const struct argp_option options[] = {
	{"by", KEY_BY, "METRIC", 0, "Sort by peak (the default), bytes, count, temporary or leaked",
		0},
	{"top", KEY_TOP, "N", 0, "Rows of functions and crates; 10, and 0 for all", 0},
	{"phase", KEY_PHASE, "NAME", 0,
		"Only what happened in this phase, by bytes (the default), count or leaked, which "
		"is what is live at its end",
		0},
	{"json", KEY_JSON, 0, 0, "Write JSON with exact figures", 0},
	{"catalog", KEY_CATALOG, "FILE", 0, "Merge FILE over the built-in catalog", 0},
	{"debug-file", KEY_DEBUG_FILE, "FILE", 0,
		"Take symbols from FILE too, for the module with its build-id; may be repeated", 0},
	{0},
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct arguments *a = state->input;
	char *end;
	int metric;

	switch (key) {
	case KEY_BY:
		metric = profile_metric_parse(arg);
		if (metric < 0)
			argp_failure(state, EXIT_UNUSABLE, 0,
				"--by takes peak, bytes, count, temporary or leaked, not '%s'",
				arg);
		a->by = (enum profile_metric)metric;
		a->by_given = true;
		return 0;
	case KEY_PHASE:
		a->phase = arg;
		return 0;
	case KEY_TOP:
		errno = 0;
		unsigned long top = strtoul(arg, &end, 10);
		if (errno || *end || *arg < '0' || *arg > '9' || top > UINT32_MAX)
			argp_failure(state, EXIT_UNUSABLE, 0,
				"--top takes a number of rows, not '%s'", arg);
		a->top = (uint32_t)top;
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
		if (a->phase && !a->by_given)
			a->by = METRIC_BYTES;
		if (a->phase && (a->by == METRIC_PEAK || a->by == METRIC_TEMPORARY))
			argp_failure(state, EXIT_UNUSABLE, 0,
				"a phase has bytes, count and leaked, but no %s of its own",
				profile_metric_name(a->by));
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static int write_report(struct report *r, const struct profile *p, const struct catalog *c,
	const struct arguments *a, struct error *e)
{
	struct evidence v;
	struct inventory inventory;
	struct findings fs;
	int ret;

	if (evidence_init(&v, p, e))
		return -1;
	ret = inventory_init(&inventory, &v, c, e);
	if (!ret && layouts_find(&inventory, p->tally, e)) {
		inventory_release(&inventory);
		ret = -1;
	}
	if (ret) {
		evidence_release(&v);
		return -1;
	}
	ret = patterns_find(&fs, &v, c, NULL, 0, e);
	if (!ret) {
		r->findings = &fs;
		r->evidence = &v;
		r->inventory = &inventory;
		ret = a->json ? json_write(stdout, r, e)
			      : text_write(stdout, r, cmd_columns(), cmd_styled(), e);
		findings_release(&fs);
	}
	inventory_release(&inventory);
	evidence_release(&v);
	return ret;
}

static int report_phase(const struct phases *ph, const struct catalog *c, const struct arguments *a,
	struct error *e)
{
	struct profile p;
	int ret;

	if (phases_profile(&p, ph, a->phase, c->plumbing, e))
		return EXIT_UNUSABLE;
	ret = a->json ? phase_json(stdout, &p, ph, a->by, a->top, e)
		      : phase_text(stdout, &p, ph, a->by, a->top, cmd_columns(), cmd_styled(), e);
	profile_release(&p);
	return ret ? EXIT_UNWRITTEN : 0;
}

static int report_all(const struct profile *p, const struct phases *ph, const struct catalog *c,
	const struct arguments *a, struct error *e)
{
	struct report r;

	if (report_init(&r, p, a->by, a->top, e))
		return EXIT_UNWRITTEN;
	r.phases = ph;
	int ret = write_report(&r, p, c, a, e);
	report_release(&r);
	return ret ? EXIT_UNWRITTEN : 0;
}

/* The exit code; *e has a sentence unless that is 0. */
static int report(const struct tally *t, const struct arguments *a, struct error *e)
{
	struct catalog c;
	struct profile p;
	struct phases ph;
	int ret = EXIT_UNWRITTEN;

	if (catalog_init(&c, a->catalog, e))
		return EXIT_UNUSABLE;
	if (!profile_init(&p, t, c.plumbing, e)) {
		if (!phases_init(&ph, &p, e)) {
			ret = a->phase ? report_phase(&ph, &c, a, e)
				       : report_all(&p, &ph, &c, a, e);
			phases_release(&ph);
		}
		profile_release(&p);
	}
	catalog_release(&c);
	return ret;
}

int cmd_report(int argc, char **argv)
{
	static const struct argp argp = {options, parse, "X.tally",
		"Says what a tally holds: who allocates, who holds the peak, and what was not "
		"seen.",
		0, 0, 0};
	struct arguments a = {.by = METRIC_PEAK, .top = DEFAULT_TOP};
	char name[] = "heaptally report";
	struct tally t;
	struct error e;
	int ret = 0;

	a.debug_files = calloc((size_t)argc + 1, sizeof(*a.debug_files));
	if (!a.debug_files)
		return EXIT_UNWRITTEN;
	argv[0] = name; /* for argp's messages */
	argp_err_exit_status = EXIT_UNUSABLE;
	argp_parse(&argp, argc, argv, 0, NULL, &a);

	if (cmd_open(&t, a.path, a.debug_files)) {
		ret = EXIT_UNUSABLE;
	} else {
		ret = report(&t, &a, &e);
		if (ret)
			cmd_complain("%s", e.text);
		tally_release(&t);
	}
	free(a.debug_files);
	return ret;
}
