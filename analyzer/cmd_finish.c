/* SPDX-License-Identifier: MIT */
/* heaptally finish: turns what a shim left into a self-contained, compressed tally. */
#include <argp.h>
#include <stdlib.h>

#include "cmd.h"

struct options {
	const char **tallies;
	int n_tallies;
	const char **debug_files; /* NULL-terminated */
	int n_debug_files;
};

enum { OPT_DEBUG_FILE = 0x100 };

static const struct argp_option finish_options[] = {
	{"debug-file", OPT_DEBUG_FILE, "FILE", 0,
		"Take symbols from FILE too, for the module with its build-id; may be repeated", 0},
	{0},
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;

	switch (key) {
	case OPT_DEBUG_FILE:
		o->debug_files[o->n_debug_files++] = arg;
		return 0;
	case ARGP_KEY_ARG:
		o->tallies[o->n_tallies++] = arg;
		return 0;
	case ARGP_KEY_END:
		if (o->n_tallies == 0)
			argp_failure(state, EXIT_UNUSABLE, 0, "which tally? See --help");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp finish_argp = {
	.options = finish_options,
	.parser = parse,
	.args_doc = "TALLY...",
	.doc = "Resolves the names of each TALLY and rewrites it, compressed and self-contained, "
	       "so that it reads the same on another machine. `heaptally run` does this by itself; "
	       "a shim that was preloaded by hand leaves it to you.",
};

static int finish(const char *path, const char *const *debug_files)
{
	struct tally t;
	struct error e;

	if (cmd_open(&t, path, debug_files) < 0)
		return EXIT_UNUSABLE;
	int r = tally_write(&t, path, &e);
	tally_release(&t);
	if (r < 0) {
		cmd_complain("%s", e.text);
		return EXIT_UNWRITTEN;
	}
	return 0;
}

int cmd_finish(int argc, char **argv)
{
	struct options o = {
		.tallies = calloc((size_t)argc + 1, sizeof(char *)),
		.debug_files = calloc((size_t)argc + 1, sizeof(char *)),
	};
	int worst = 0;

	argp_err_exit_status = EXIT_UNUSABLE;
	if (!o.tallies || !o.debug_files) {
		cmd_complain("out of memory");
		return EXIT_UNWRITTEN;
	}
	argp_parse(&finish_argp, argc, argv, 0, NULL, &o);
	for (int i = 0; i < o.n_tallies; i++) {
		int r = finish(o.tallies[i], o.debug_files);
		if (r > worst)
			worst = r;
	}
	free(o.tallies);
	free(o.debug_files);
	return worst;
}
