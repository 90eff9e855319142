/* SPDX-License-Identifier: MIT */
/* heaptally report: what a tally says, for people or as JSON. */
#include <stdio.h>

#include "cmd.h"
#include "inventory.h"
#include "layouts.h"
#include "patterns/pattern.h"
#include "views/json.h"
#include "views/phase_view.h"
#include "views/text.h"

#define DEFAULT_TOP 10

enum key {
	KEY_BY = 0x100,
	KEY_TOP,
	KEY_PHASE,
};

struct arguments {
	struct args args;
	enum profile_metric by;
	const char *phase;
	uint32_t top;
};

static const struct argp_option options[] = {
	{"by", KEY_BY, "METRIC", 0, "Sort by peak (the default), bytes, count, temporary or leaked",
		0},
	{"top", KEY_TOP, "N", 0, "Rows of functions and crates; 10, and 0 for all", 0},
	{"phase", KEY_PHASE, "NAME", 0,
		"Only what happened in this phase, by bytes (the default), count or leaked, which "
		"is what is live at its end",
		0},
	{0},
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct arguments *a = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		return args_share(state, args_of_view, &a->args);
	case KEY_BY:
		a->by = args_metric(state, "--by", arg);
		return 0;
	case KEY_PHASE:
		a->phase = arg;
		return 0;
	case KEY_TOP:
		a->top = (uint32_t)args_number(
			state, "--top", arg, "a number of rows", 0, UINT32_MAX);
		return 0;
	case ARGP_KEY_END:
		a->by = args_shown_metric(state, a->by, a->phase);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static int report_phase(const struct subject *s, const struct arguments *a, struct error *e)
{
	const struct phases *ph = &s->evidence.phases;
	struct profile p;

	if (phases_profile(&p, ph, a->phase, s->catalog.plumbing, e))
		return EXIT_UNUSABLE;
	int ret = a->args.json ? phase_json(stdout, &p, ph, a->by, a->top, e)
			       : phase_text(stdout, &p, ph, a->by, a->top, cmd_columns(),
					 cmd_styled(), e);
	profile_release(&p);
	return ret ? EXIT_UNWRITTEN : 0;
}

static int write_report(const struct subject *s, const struct inventory *inventory,
	const struct arguments *a, struct error *e)
{
	struct findings fs;
	struct report r;
	int ret = -1;

	if (patterns_find(&fs, &s->evidence, &s->catalog, NULL, 0, e))
		return -1;
	if (!report_init(&r, &s->profile, a->by, a->top, e)) {
		r.phases = &s->evidence.phases;
		r.findings = &fs;
		r.evidence = &s->evidence;
		r.inventory = inventory;
		ret = a->args.json ? json_write(stdout, &r, e)
				   : text_write(stdout, &r, cmd_columns(), cmd_styled(), e);
		report_release(&r);
	}
	findings_release(&fs);
	return ret;
}

static int report_all(const struct subject *s, const struct arguments *a, struct error *e)
{
	struct inventory inventory;

	if (inventory_init(&inventory, &s->evidence, &s->catalog, e))
		return EXIT_UNWRITTEN;
	int ret = layouts_find(&inventory, &s->tally, e);
	if (!ret)
		ret = write_report(s, &inventory, a, e);
	inventory_release(&inventory);
	return ret ? EXIT_UNWRITTEN : 0;
}

int cmd_report(int argc, char **argv)
{
	static const struct argp argp = {options, parse, "X.tally",
		"Says what a tally holds: who allocates, who holds the peak, and what was not "
		"seen.",
		args_of_view, 0, 0};
	struct arguments a = {.args.wanted = 1, .by = METRIC_N, .top = DEFAULT_TOP};
	struct subject s;
	struct error e;

	argp_parse(&argp, argc, argv, 0, NULL, &a);
	int ret = subject_open(&s, &a.args) ? EXIT_UNUSABLE : 0;
	if (!ret) {
		ret = a.phase ? report_phase(&s, &a, &e) : report_all(&s, &a, &e);
		if (ret)
			cmd_complain("%s", e.text);
		subject_close(&s);
	}
	args_release(&a.args);
	return ret;
}
