/* SPDX-License-Identifier: MIT */
/*
 * heaptally flame: a tally as a flame graph or as folded stacks. The output appears whole or not at all: it is
 * written beside its name and renamed.
 */
#include <argp.h>
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
	const char *tally, *output;
	enum profile_metric metric;
	bool metric_given;
	const char *phase;
	bool folded, all_frames;
	const char **debug_files;
	size_t n_debug_files;
};

enum {
	OPT_METRIC = 0x100,
	OPT_PHASE,
	OPT_FOLDED,
	OPT_ALL_FRAMES,
	OPT_DEBUG_FILE,
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
	{"debug-file", OPT_DEBUG_FILE, "FILE", 0,
		"Take symbols from FILE too, when its build-id fits; may be repeated", 0},
	{0},
};

static error_t flame_option(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;
	int metric;

	switch (key) {
	case 'o':
		o->output = arg;
		return 0;
	case OPT_METRIC:
		metric = profile_metric_parse(arg);
		if (metric < 0)
			argp_error(state,
				"unknown metric '%s': peak, bytes, count, temporary or leaked",
				arg);
		o->metric = (enum profile_metric)metric;
		o->metric_given = true;
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
	case OPT_DEBUG_FILE:
		o->debug_files[o->n_debug_files++] = arg;
		return 0;
	case ARGP_KEY_ARG:
		if (state->arg_num > 0)
			argp_error(state, "one tally at a time");
		o->tally = arg;
		return 0;
	case ARGP_KEY_END:
		if (o->phase && !o->metric_given)
			o->metric = METRIC_BYTES;
		if (o->phase && (o->metric == METRIC_PEAK || o->metric == METRIC_TEMPORARY))
			argp_error(state,
				"a phase has bytes, count and leaked, but no %s of its own",
				profile_metric_name(o->metric));
		return 0;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "no tally given");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp flame_argp = {
	.options = flame_options,
	.parser = flame_option,
	.args_doc = "X.tally",
	.doc = "Draws a tally as an interactive flame graph, one SVG file that opens in any "
	       "browser."
	       "\vZoom with a click, search with / (text or /regex/), Esc to return. "
	       "Exits with 2 when the tally or the arguments are unusable, 1 when the output "
	       "cannot be written.",
};

/* dir/x.tally → x.svg, in the working directory */
static char *default_path(const char *tally, bool folded)
{
	const char *slash = strrchr(tally, '/'), *base = slash ? slash + 1 : tally;
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
		} else if (out.part) {
			printf("%s: %s by %s, %ld bytes\n", path,
				o->folded ? "folded stacks" : "flame graph",
				profile_metric_name(o->metric), size);
		}
	}
	free(out.path);
	free(out.part);
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
	struct options o = {.metric = METRIC_PEAK};
	struct profile p;
	struct tally t;
	struct error e;
	static char name[] = "heaptally flame"; /* for argp's messages */
	char *path = NULL;
	int rc = EXIT_UNUSABLE;

	/* no more than there are arguments, and a NULL after them */
	o.debug_files = calloc((size_t)argc + 1, sizeof(*o.debug_files));
	argv[0] = name;
	argp_err_exit_status = EXIT_UNUSABLE;
	if (!o.debug_files || argp_parse(&flame_argp, argc, argv, 0, NULL, &o))
		return EXIT_UNUSABLE;
	if (cmd_open(&t, o.tally, o.debug_files) < 0) {
		free(o.debug_files);
		return EXIT_UNUSABLE;
	}
	const char *const *plumbing = catalog_plumbing();
	if (!plumbing) {
		cmd_complain("out of memory");
	} else if (open_profile(&p, &t, plumbing, o.phase, &e) < 0) {
		cmd_complain("%s", e.text);
	} else {
		path = o.output ? NULL : default_path(o.tally, o.folded);
		if (o.output || path)
			rc = write_view(&p, &o, o.output ? o.output : path);
		free(path);
		profile_release(&p);
	}
	tally_release(&t);
	free(o.debug_files);
	return rc;
}
