/* SPDX-License-Identifier: MIT */
/*
 * The subcommands. Only they print and choose exit codes. argv[0] is what argp's messages say, "heaptally report"; the
 * result is the exit code of the program.
 */
#ifndef HEAPTALLY_CMD_H
#define HEAPTALLY_CMD_H

#include <stdbool.h>

#include "args.h"
#include "catalog.h"
#include "evidence.h"
#include "tally.h"

enum {
	EXIT_UNWRITTEN = 1, /* an output could not be written */
	EXIT_UNUSABLE = 2,  /* arguments or input make no sense */
};

int cmd_run(int argc, char **argv);
int cmd_finish(int argc, char **argv);
int cmd_report(int argc, char **argv);
int cmd_advise(int argc, char **argv);
int cmd_claims(int argc, char **argv);
int cmd_flame(int argc, char **argv);
int cmd_diff(int argc, char **argv);
int cmd_check(int argc, char **argv);
int cmd_scale(int argc, char **argv);
int cmd_scan(int argc, char **argv);

/*
 * Reads a tally and resolves its names, with progress and warnings on stderr. debug_files: NULL-terminated, or NULL.
 * On -1 the sentence has been printed and *t needs no release.
 */
int cmd_open(struct tally *t, const char *path, const char *const *debug_files);

/* A tally, from its file up to the evidence that findings rest on. */
struct subject {
	struct catalog catalog;
	struct tally tally;
	struct profile profile;
	struct evidence evidence;
};

/* The only tally of *a, by its catalog; otherwise as cmd_open. */
int subject_open(struct subject *s, const struct args *a);
void subject_close(struct subject *s);

/* How wide standard output is; 80 where it is no terminal. */
unsigned cmd_columns(void);
/* Whether standard output takes colours: a terminal, neither dumb nor under NO_COLOR. */
bool cmd_styled(void);

/* Prints "heaptally: " and a sentence on stderr. */
void cmd_complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
