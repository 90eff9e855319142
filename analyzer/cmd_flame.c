/* SPDX-License-Identifier: MIT */
/*
 * heaptally flame: a tally as a flame graph or as folded stacks. The output appears whole or not at all: it is
 * written beside its name and renamed.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "catalog.h"
#include "cmd.h"
#include "output.h"
#include "phases.h"
#include "tally.h"
#include "views/folded.h"
#include "views/svg.h"

struct options {
	struct args args;
	const char *output, *phase;
	enum profile_metric metric;
	bool folded, all_frames;
};

enum {
	OPT_METRIC = 0x100,
	OPT_PHASE,
	OPT_FOLDED,
	OPT_ALL_FRAMES,
};

static const struct argp_option flame_options[] = {
	{"output", 'o', "FILE", 0,
		"Write FILE, - for standard output; default: the tally's name with .svg or "
		".folded, here",
		0},
	{"metric", OPT_METRIC, "METRIC", 0,
		"What widths stand for: peak (default), bytes, count, temporary or leaked", 0},
	{"phase", OPT_PHASE, "NAME", 0,
		"Only what happened in this phase, by bytes (the default), count or leaked, which "
		"is what is live at its end",
		0},
	{"folded", OPT_FOLDED, NULL, 0, "Write folded stacks, for flamegraph.pl and speedscope", 0},
	{"all-frames", OPT_ALL_FRAMES, NULL, 0, "Keep plumbing: allocator, containers, runtimes",
		0},
	{0},
};

static const struct argp_child shared[] = {
	{.argp = &args_tallies}, {.argp = &args_debug_files}, {0}};

static error_t flame_option(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		return args_share(state, shared, &o->args);
	case 'o':
		o->output = arg;
		return 0;
	case OPT_METRIC:
		o->metric = args_metric(state, "--metric", arg);
		return 0;
	case OPT_PHASE:
		o->phase = arg;
		return 0;
	case OPT_FOLDED:
		o->folded = true;
		return 0;
	case OPT_ALL_FRAMES:
		o->all_frames = true;
		return 0;
	case ARGP_KEY_END:
		o->metric = args_shown_metric(state, o->metric, o->phase);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp flame_argp = {
	.options = flame_options,
	.parser = flame_option,
	.args_doc = "X.tally",
	.children = shared,
	.doc = "Draws a tally as an interactive flame graph, one SVG file that opens in any "
	       "browser."
	       "\vZoom with a click, search with / (text or /regex/), Esc to return. "
	       "Exits with 2 when the tally or the arguments are unusable, 1 when the output "
	       "cannot be written.",
};

/* dir/x.tally → x.svg, in the working directory */
static char *default_path(const char *tally, bool folded)
{
	const char *base = basename(tally);
	size_t len = strlen(base);
	char *path;

	if (len > 6 && strcmp(base + len - 6, ".tally") == 0)
		len -= 6;
	return asprintf(&path, "%.*s.%s", (int)len, base, folded ? "folded" : "svg") < 0 ? NULL
											 : path;
}

static int write_view(const struct profile *p, const struct options *o, const char *path)
{
	struct profile_tree tree;
	const char *shown = strcmp(path, "-") ? path : "standard output";
	struct output out;
	struct error e;
	long size;
	int rc;

	if (profile_tree_init(&tree, p, !o->all_frames, &e) < 0) {
		cmd_complain("%s", e.text);
		return EXIT_UNUSABLE;
	}
	if (output_open(&out, path) < 0) {
		cmd_complain("%s cannot be written: %s", shown, strerror(errno));
		rc = EXIT_UNWRITTEN;
	} else {
		rc = o->folded ? folded_write(out.file, p, &tree, o->metric, &e)
			       : svg_write(out.file, p, &tree, o->metric, !o->all_frames, &e);
		if (output_close(&out, rc == 0, &size) < 0) {
			cmd_complain("%s cannot be written: %s", shown, strerror(errno));
			rc = EXIT_UNWRITTEN;
		} else if (rc < 0) {
			cmd_complain("%s is not written: %s", shown, e.text);
			rc = EXIT_UNWRITTEN;
		} else if (size >= 0) {
			printf("%s: %s by %s, %ld bytes\n", path,
				o->folded ? "folded stacks" : "flame graph",
				profile_metric_name(o->metric), size);
		}
	}
	profile_tree_release(&tree);
	return rc;
}

/* Of the whole run, or of one phase. */
static int open_profile(struct profile *p, const struct tally *t, const char *const *plumbing,
	const char *phase, struct error *e)
{
	struct profile whole;
	struct phases ph;
	int rc = -1;

	if (!phase)
		return profile_init(p, t, plumbing, e);
	if (profile_init(&whole, t, plumbing, e) < 0)
		return -1;
	if (phases_init(&ph, &whole, e) == 0) {
		rc = phases_profile(p, &ph, phase, plumbing, e);
		phases_release(&ph);
	}
	profile_release(&whole);
	return rc;
}

int cmd_flame(int argc, char **argv)
{
	struct options o = {.args.wanted = 1, .metric = METRIC_N};
	struct profile p;
	struct tally t;
	struct error e;
	char *path = NULL;
	int rc = EXIT_UNUSABLE;

	argp_parse(&flame_argp, argc, argv, 0, NULL, &o);
	if (cmd_open(&t, o.args.tallies[0], o.args.debug_files) < 0) {
		args_release(&o.args);
		return EXIT_UNUSABLE;
	}
	const char *const *plumbing = catalog_plumbing();
	if (!plumbing) {
		cmd_complain("out of memory");
	} else if (open_profile(&p, &t, plumbing, o.phase, &e) < 0) {
		cmd_complain("%s", e.text);
	} else {
		path = o.output ? NULL : default_path(o.args.tallies[0], o.folded);
		if (o.output || path)
			rc = write_view(&p, &o, o.output ? o.output : path);
		free(path);
		profile_release(&p);
	}
	tally_release(&t);
	args_release(&o.args);
	return rc;
}
