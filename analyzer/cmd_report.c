/* SPDX-License-Identifier: MIT */
/* heaptally report: what a tally says, for people or as JSON. */
#include <argp.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "catalog.h"
#include "cmd.h"
#include "profile.h"
#include "views/json.h"
#include "views/text.h"

#define DEFAULT_TOP 10

enum key {
	KEY_BY = 0x100,
	KEY_TOP,
	KEY_JSON,
	KEY_DEBUG_FILE,
};

struct arguments {
	const char *path;
	const char **debug_files; /* NULL-terminated; room for every argument */
	size_t n_debug_files;
	enum profile_metric by;
	uint32_t top;
	bool json;
};

static const struct argp_option options[] = {
	{"by", KEY_BY, "METRIC", 0, "Sort by peak (the default), bytes, count, temporary or leaked",
		0},
	{"top", KEY_TOP, "N", 0, "Rows of functions and crates; 10, and 0 for all", 0},
	{"json", KEY_JSON, 0, 0, "Write JSON with exact figures", 0},
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

static unsigned terminal_columns(void)
{
	struct winsize w;

	return isatty(STDOUT_FILENO) && !ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) ? w.ws_col
									      : TEXT_COLUMNS;
}

static bool styled(void)
{
	const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");

	return isatty(STDOUT_FILENO) && !(no_color && *no_color) &&
	       !(term && !strcmp(term, "dumb"));
}

static int report(const struct tally *t, const struct arguments *a, struct error *e)
{
	struct profile p;
	struct report r;
	int ret;

	if (profile_init(&p, t, catalog_plumbing(), e))
		return -1;
	ret = report_init(&r, &p, a->by, a->top, e);
	profile_release(&p);
	if (ret)
		return -1;
	ret = a->json ? json_write(stdout, &r, e)
		      : text_write(stdout, &r, terminal_columns(), styled(), e);
	report_release(&r);
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
		if (report(&t, &a, &e)) {
			cmd_complain("%s", e.text);
			ret = EXIT_UNWRITTEN;
		}
		tally_release(&t);
	}
	free(a.debug_files);
	return ret;
}
