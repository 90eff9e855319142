/* SPDX-License-Identifier: MIT */
/* See args.h. */
#include "args.h"

#include <errno.h>
#include <stdlib.h>

#include "cmd.h"

enum key { KEY_DEBUG_FILE = 0x200, KEY_CATALOG, KEY_JSON, KEY_MODULES };

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct args *a = state->input;

	switch (key) {
	case KEY_DEBUG_FILE:
		if (!a->debug_files) /* never more than there are arguments, and a NULL */
			a->debug_files = calloc((size_t)state->argc + 1, sizeof(*a->debug_files));
		if (!a->debug_files)
			argp_failure(state, EXIT_UNUSABLE, ENOMEM, "--debug-file");
		a->debug_files[a->n_debug_files++] = arg;
		return 0;
	case KEY_CATALOG:
		a->catalog = arg;
		return 0;
	case KEY_JSON:
		a->json = true;
		return 0;
	case KEY_MODULES:
		a->modules =
			args_number(state, "--modules", arg, "a number of modules", 1, 1000000000);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static error_t parse_tallies(int key, char *arg, struct argp_state *state)
{
	struct args *a = state->input;

	(void)arg;
	switch (key) {
	case ARGP_KEY_ARGS:
		/* argp has put all options before them */
		a->tallies = state->argv + state->next;
		a->n_tallies = state->argc - state->next;
		if (a->wanted && a->n_tallies > a->wanted)
			argp_failure(state, EXIT_UNUSABLE, 0, "%s at a time, not '%s' as well",
				a->wanted == 1 ? "one tally" : "two tallies",
				a->tallies[a->wanted]);
		return 0;
	case ARGP_KEY_END:
		if (a->n_tallies < a->wanted || !a->n_tallies)
			argp_failure(state, EXIT_UNUSABLE, 0,
				a->wanted == 2 ? "two tallies, before and after; see --help"
					       : "which tally? See --help");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option debug_file_option[] = {
	{"debug-file", KEY_DEBUG_FILE, "FILE", 0,
		"Take symbols from FILE too, for the module that it belongs to; may be repeated",
		0},
	{0},
};
static const struct argp_option catalog_option[] = {
	{"catalog", KEY_CATALOG, "FILE", 0, "Merge FILE over the built-in catalog", 0},
	{0},
};
static const struct argp_option json_option[] = {
	{"json", KEY_JSON, 0, 0, "Write JSON with exact figures", 0},
	{0},
};

static const struct argp_option modules_option[] = {
	{"modules", KEY_MODULES, "N", 0,
		"The run built N modules; default: as its marks say (modules=N)", 0},
	{0},
};

const struct argp args_tallies = {.parser = parse_tallies};
const struct argp args_debug_files = {.options = debug_file_option, .parser = parse_option};
static const struct argp args_catalog = {.options = catalog_option, .parser = parse_option};
const struct argp args_json = {.options = json_option, .parser = parse_option};

static const struct argp args_modules = {.options = modules_option, .parser = parse_option};

const struct argp_child args_of_view[] = {{.argp = &args_tallies}, {.argp = &args_debug_files},
	{.argp = &args_catalog}, {.argp = &args_json}, {0}};

const struct argp_child args_of_advice[] = {{.argp = &args_tallies}, {.argp = &args_debug_files},
	{.argp = &args_catalog}, {.argp = &args_json}, {.argp = &args_modules}, {0}};

error_t args_share(struct argp_state *state, const struct argp_child *children, struct args *a)
{
	for (size_t i = 0; children[i].argp; i++)
		state->child_inputs[i] = a;
	return 0;
}

void args_release(struct args *a)
{
	free(a->debug_files);
}

uint64_t args_number(const struct argp_state *state, const char *option, const char *arg,
	const char *what, uint64_t least, uint64_t most)
{
	char *end;

	errno = 0;
	uint64_t n = strtoull(arg, &end, 10);
	if (errno || *arg < '0' || *arg > '9' || *end || n < least || n > most)
		argp_failure(state, EXIT_UNUSABLE, 0, "%s takes %s, not '%s'", option, what, arg);
	return n;
}

enum profile_metric args_metric(const struct argp_state *state, const char *option, const char *arg)
{
	int metric = profile_metric_parse(arg);

	if (metric < 0)
		argp_failure(state, EXIT_UNUSABLE, 0,
			"%s takes peak, bytes, count, temporary or leaked, not '%s'", option, arg);
	return (enum profile_metric)metric;
}

enum profile_metric args_shown_metric(
	const struct argp_state *state, enum profile_metric given, const char *phase)
{
	if (given == METRIC_N)
		return phase ? METRIC_BYTES : METRIC_PEAK;
	if (phase && (given == METRIC_PEAK || given == METRIC_TEMPORARY))
		argp_failure(state, EXIT_UNUSABLE, 0,
			"a phase has bytes, count and leaked, but no %s of its own",
			profile_metric_name(given));
	return given;
}
