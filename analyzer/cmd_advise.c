/* SPDX-License-Identifier: MIT */
/* heaptally advise: which patterns a tally shows and the changes that fix them. */
#include <stdio.h>
#include <string.h>

#include "cmd.h"
#include "views/advice.h"
#include "views/figures.h"

enum key {
	KEY_MIN_SAVING = 0x100,
	KEY_PATTERN,
	KEY_PHASE,
};

struct arguments {
	struct args args;
	const char *phase;
	const struct pattern *only;
	double min_saving;
};

static const struct argp_option options[] = {
	{"min-saving", KEY_MIN_SAVING, "SIZE", 0,
		"Leave out what would save less, as 500kB or 1MB; time counts as its share of the "
		"peak",
		0},
	{"pattern", KEY_PATTERN, "NAME", 0, "Look for this pattern only", 0},
	{"phase", KEY_PHASE, "NAME", 0, "Only what was allocated in this phase", 0},
	{0},
};

static void no_pattern(const struct argp_state *state, const char *name)
{
	char all[512] = "";

	for (const struct pattern *const *p = patterns; *p; p++)
		snprintf(all + strlen(all), sizeof(all) - strlen(all), "%s%s", *all ? ", " : "",
			(*p)->name);
	argp_failure(state, EXIT_UNUSABLE, 0, "no pattern '%s'; there are %s", name, all);
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct arguments *a = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		return args_share(state, args_of_advice, &a->args);
	case KEY_MIN_SAVING:
		a->min_saving = figure_parse(arg, true);
		if (a->min_saving < 0)
			argp_failure(state, EXIT_UNUSABLE, 0,
				"--min-saving takes a size as 500kB or 1MB, not '%s'", arg);
		return 0;
	case KEY_PATTERN:
		a->only = pattern_named(arg);
		if (!a->only)
			no_pattern(state, arg);
		return 0;
	case KEY_PHASE:
		a->phase = arg;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* Exit code 0, or that of what is in *e. */
static int show(const struct evidence *v, const struct catalog *c, const struct arguments *a,
	struct error *e)
{
	struct findings fs;
	int ret = EXIT_UNWRITTEN;

	/* of a phase only a part counts, and only that is held against the limit */
	if (patterns_find(&fs, v, c, a->only, a->phase ? 0 : a->min_saving, e))
		return ret;
	if (a->phase && findings_of_phase(&fs, v, a->phase, a->min_saving, e))
		ret = EXIT_UNUSABLE;
	else if (!(a->args.json ? advice_json_write(stdout, &fs, v, e)
				: advice_text_write(
					  stdout, &fs, v, cmd_columns(), cmd_styled(), e)))
		ret = 0;
	findings_release(&fs);
	return ret;
}

int cmd_advise(int argc, char **argv)
{
	static const struct argp argp = {options, parse, "X.tally",
		"Names the patterns that cost memory or time, and the change that fixes each.",
		args_of_advice, 0, 0};
	struct arguments a = {.args.wanted = 1};
	struct subject s;
	struct error e;

	argp_parse(&argp, argc, argv, 0, NULL, &a);
	int ret = subject_open(&s, &a.args) ? EXIT_UNUSABLE : 0;
	if (!ret) {
		ret = show(&s.evidence, &s.catalog, &a, &e);
		if (ret)
			cmd_complain("%s", e.text);
		subject_close(&s);
	}
	args_release(&a.args);
	return ret;
}
