/* SPDX-License-Identifier: MIT */
/* heaptally finish: turns what a shim left into a self-contained, compressed tally. */
#include "cmd.h"

static const struct argp_child shared[] = {
	{.argp = &args_tallies}, {.argp = &args_debug_files}, {0}};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	(void)arg;
	return key == ARGP_KEY_INIT ? args_share(state, shared, state->input) : ARGP_ERR_UNKNOWN;
}

static const struct argp finish_argp = {
	.parser = parse,
	.args_doc = "TALLY...",
	.children = shared,
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
	struct args a = {.wanted = 0};
	int worst = 0;

	argp_parse(&finish_argp, argc, argv, 0, NULL, &a);
	for (int i = 0; i < a.n_tallies; i++) {
		int r = finish(a.tallies[i], a.debug_files);
		if (r > worst)
			worst = r;
	}
	args_release(&a);
	return worst;
}
