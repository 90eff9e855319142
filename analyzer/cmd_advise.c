/* SPDX-License-Identifier: MIT */
/* heaptally advise: which patterns a tally shows and the changes that fix them. */
#include <argp.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cmd.h"
#include "views/advice.h"

enum key {
	KEY_MIN_SAVING = 0x100,
	KEY_PATTERN,
	KEY_PHASE,
	KEY_JSON,
	KEY_CATALOG,
	KEY_DEBUG_FILE,
};

struct arguments {
	const char *path, *catalog, *phase;
	const char **debug_files; /* NULL-terminated; room for every argument */
	size_t n_debug_files;
	const struct pattern *only;
	double min_saving;
	bool json;
};

static const struct argp_option options[] = {
	{"min-saving", KEY_MIN_SAVING, "SIZE", 0,
		"Leave out what would save less, as 500kB or 1MB; a nanosecond counts as a byte",
		0},
	{"pattern", KEY_PATTERN, "NAME", 0, "Look for this pattern only", 0},
	{"phase", KEY_PHASE, "NAME", 0, "Only what was allocated in this phase", 0},
	{"json", KEY_JSON, 0, 0, "Write JSON with exact figures", 0},
	{"catalog", KEY_CATALOG, "FILE", 0, "Merge FILE over the built-in catalog", 0},
	{"debug-file", KEY_DEBUG_FILE, "FILE", 0,
		"Take symbols from FILE too, for the module with its build-id; may be repeated", 0},
	{0},
};

/* "1MB", "500 kB", "4096": bytes in decimal units. Negative: none. */
static double parse_size(const char *s)
{
	static const struct {
		const char *unit;
		double bytes;
	} units[] = {{"", 1}, {"B", 1}, {"kB", 1e3}, {"k", 1e3}, {"MB", 1e6}, {"M", 1e6},
		{"GB", 1e9}, {"G", 1e9}};
	char *end;

	if (*s < '0' || *s > '9')
		return -1;
	double value = strtod(s, &end);
	end += *end == ' ';
	for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++)
		if (!strcmp(end, units[i].unit) && isfinite(value))
			return value * units[i].bytes;
	return -1;
}

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
	case KEY_MIN_SAVING:
		a->min_saving = parse_size(arg);
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
	else if (!(a->json ? advice_json_write(stdout, &fs, v, e)
			   : advice_text_write(stdout, &fs, v, cmd_columns(), cmd_styled(), e)))
		ret = 0;
	findings_release(&fs);
	return ret;
}

static int advise(
	const struct tally *t, const struct catalog *c, const struct arguments *a, struct error *e)
{
	struct profile p;
	struct evidence v;
	int ret = EXIT_UNWRITTEN;

	if (profile_init(&p, t, c->plumbing, e))
		return ret;
	if (!evidence_init(&v, &p, e)) {
		ret = show(&v, c, a, e);
		evidence_release(&v);
	}
	profile_release(&p);
	return ret;
}

int cmd_advise(int argc, char **argv)
{
	static const struct argp argp = {options, parse, "X.tally",
		"Names the patterns that cost memory or time, and the change that fixes each.", 0,
		0, 0};
	struct arguments a = {0};
	char name[] = "heaptally advise";
	struct catalog c;
	struct tally t;
	struct error e;
	int ret = 0;

	a.debug_files = calloc((size_t)argc + 1, sizeof(*a.debug_files));
	if (!a.debug_files)
		return EXIT_UNWRITTEN;
	argv[0] = name; /* for argp's messages */
	argp_err_exit_status = EXIT_UNUSABLE;
	argp_parse(&argp, argc, argv, 0, NULL, &a);

	if (catalog_init(&c, a.catalog, &e)) {
		cmd_complain("%s", e.text);
		ret = EXIT_UNUSABLE;
	} else {
		if (cmd_open(&t, a.path, a.debug_files)) {
			ret = EXIT_UNUSABLE;
		} else {
			ret = advise(&t, &c, &a, &e);
			if (ret)
				cmd_complain("%s", e.text);
			tally_release(&t);
		}
		catalog_release(&c);
	}
	free(a.debug_files);
	return ret;
}
