/* SPDX-License-Identifier: MIT */
/* heaptally diff: what changed between two tallies, for people, as JSON, or as a differential flame graph. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "catalog.h"
#include "cmd.h"
#include "diff.h"
#include "output.h"
#include "views/diff_svg.h"
#include "views/diff_text.h"
#include "views/text.h"

#define DEFAULT_TOP 10

enum key {
	KEY_BY = 0x100,
	KEY_TOP,
	KEY_THRESHOLD,
};

struct arguments {
	struct args args;
	const char *output;
	enum profile_metric by;
	uint32_t top;
	double threshold;
};

static const struct argp_option options[] = {
	{"by", KEY_BY, "METRIC", 0,
		"Rank by peak, bytes, count, temporary or leaked; default: by that of peak, bytes "
		"and count which "
		"changed most",
		0},
	{"top", KEY_TOP, "N", 0, "Rows; 10, and 0 for all", 0},
	{"threshold", KEY_THRESHOLD, "X", 0,
		"Show what changed by X times of what two runs of one build differ by; 1, and 0 "
		"for all",
		0},
	{"output", 'o', "FILE", 0, "Draw a differential flame graph, too: an SVG file", 0},
	{0},
};

static const struct argp_child shared[] = {
	{.argp = &args_tallies}, {.argp = &args_debug_files}, {.argp = &args_json}, {0}};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct arguments *a = state->input;
	char *end;

	switch (key) {
	case ARGP_KEY_INIT:
		return args_share(state, shared, &a->args);
	case KEY_BY:
		a->by = args_metric(state, "--by", arg);
		return 0;
	case KEY_TOP:
		a->top = (uint32_t)args_number(
			state, "--top", arg, "a number of rows", 0, UINT32_MAX);
		return 0;
	case KEY_THRESHOLD:
		a->threshold = strtod(arg, &end);
		if (end == arg || *end || !(a->threshold >= 0) || !isfinite(a->threshold))
			argp_failure(state, EXIT_UNUSABLE, 0,
				"--threshold takes a number from 0 on, not '%s'", arg);
		return 0;
	case 'o':
		a->output = arg;
		return 0;
	case ARGP_KEY_END:
		if (a->output && !strcmp(a->output, "-"))
			argp_failure(state, EXIT_UNUSABLE, 0,
				"-o takes a file: standard output has the diff");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static int show(const struct profile *before, const struct profile *after,
	const struct arguments *a, struct error *e)
{
	struct diff d;

	if (diff_init(&d, before, after, a->by, a->threshold, e))
		return -1;
	int ret = a->args.json
			  ? diff_json_write(stdout, &d, e)
			  : diff_text_write(stdout, &d, a->top, cmd_columns(), cmd_styled(), e);
	diff_release(&d);
	return ret;
}

/* The flame graph has one metric: peak, unless another was asked for. */
static int draw(
	const struct profile *before, const struct profile *after, const struct arguments *a)
{
	enum profile_metric metric = a->by == DIFF_BY_ANY ? METRIC_PEAK : a->by;
	struct output out;
	struct error e;

	if (output_open(&out, a->output) < 0) {
		cmd_complain("%s cannot be written: %s", a->output, strerror(errno));
		return -1;
	}
	int ret = diff_svg_write(out.file, before, after, metric, &e);
	if (output_close(&out, ret == 0, NULL) < 0) {
		cmd_complain("%s cannot be written: %s", a->output, strerror(errno));
		ret = -1;
	} else if (ret < 0) {
		cmd_complain("%s is not written: %s", a->output, e.text);
	}
	return ret;
}

static int compare(const struct tally *before, const struct tally *after, const struct arguments *a)
{
	const char *const *plumbing = catalog_plumbing();
	struct profile p[2];
	struct error e;
	int ret = EXIT_UNWRITTEN;

	if (profile_init(&p[0], before, plumbing, &e)) {
		cmd_complain("%s", e.text);
		return EXIT_UNUSABLE;
	}
	if (profile_init(&p[1], after, plumbing, &e)) {
		cmd_complain("%s", e.text);
		profile_release(&p[0]);
		return EXIT_UNUSABLE;
	}
	if (show(&p[0], &p[1], a, &e))
		cmd_complain("%s", e.text);
	else if (!a->output || !draw(&p[0], &p[1], a))
		ret = 0;
	profile_release(&p[0]);
	profile_release(&p[1]);
	return ret;
}

int cmd_diff(int argc, char **argv)
{
	static const struct argp argp = {options, parse, "BEFORE.tally AFTER.tally",
		"Says what changed between two tallies: what grew, shrank, appeared and vanished, "
		"apart from what "
		"two runs of one build differ by.",
		shared, 0, 0};
	struct arguments a = {
		.args.wanted = 2, .by = DIFF_BY_ANY, .top = DEFAULT_TOP, .threshold = 1};
	struct tally before, after;
	int ret = EXIT_UNUSABLE;

	argp_parse(&argp, argc, argv, 0, NULL, &a);

	if (!cmd_open(&before, a.args.tallies[0], a.args.debug_files)) {
		if (!cmd_open(&after, a.args.tallies[1], a.args.debug_files)) {
			ret = compare(&before, &after, &a);
			tally_release(&after);
		}
		tally_release(&before);
	}
	args_release(&a.args);
	return ret;
}
