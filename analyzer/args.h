/* SPDX-License-Identifier: MIT */
/*
 * What several subcommands have on their command lines, said once: argp children whose input is one struct args, and
 * readers for the values of options. Where a value makes no sense they print a sentence and exit with EXIT_UNUSABLE, as
 * argp itself does.
 */
#ifndef HEAPTALLY_ARGS_H
#define HEAPTALLY_ARGS_H

#include <argp.h>
#include <stdbool.h>
#include <stdint.h>

#include "profile.h"

struct args {
	char **tallies; /* within argv; as many as `wanted` says */
	int n_tallies;
	int wanted;          /* set before parsing: 1, 2 (before and after), or 0 for one or more */
	const char *catalog; /* NULL: none */
	const char **debug_files; /* NULL-terminated, or NULL */
	size_t n_debug_files;
	uint64_t modules; /* JavaScript modules that the run built; 0: as its marks say */
	bool json;
};

extern const struct argp args_tallies;           /* the arguments that are no options */
extern const struct argp args_debug_files;       /* --debug-file */
extern const struct argp args_json;              /* --json */
extern const struct argp_child args_of_view[];   /* all of these, and --catalog */
extern const struct argp_child args_of_advice[]; /* and --modules */

/* What a subcommand's parser does at ARGP_KEY_INIT: all its children, those from here, get `a`. */
error_t args_share(struct argp_state *state, const struct argp_child *children, struct args *a);
void args_release(struct args *a);

/* The value of `option`, a decimal number from least to most; `what` is what it takes, as "a number of rows". */
uint64_t args_number(const struct argp_state *state, const char *option, const char *arg,
	const char *what, uint64_t least, uint64_t most);
enum profile_metric args_metric(
	const struct argp_state *state, const char *option, const char *arg);
/*
 * The metric to show, at ARGP_KEY_END: `given`, or where that is METRIC_N peak, of a phase (not NULL) bytes. A phase has
 * neither peak nor temporary of its own.
 */
enum profile_metric args_shown_metric(
	const struct argp_state *state, enum profile_metric given, const char *phase);

#endif
