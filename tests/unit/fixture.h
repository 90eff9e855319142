/* SPDX-License-Identifier: MIT */
/*
 * What tests of evidence, patterns and all that rests on them share: a tally made by hand, and what is found in it. A
 * test does synth_init and its events on f.synth, then fixture_load. What fails in here fails the test.
 */
#ifndef HEAPTALLY_FIXTURE_H
#define HEAPTALLY_FIXTURE_H

#include "../../analyzer/patterns/pattern.h"
#include "synth.h"

struct fixture {
	struct synth synth;
	struct tally tally;
	struct profile profile;
	struct evidence evidence;
	struct catalog catalog;
	struct findings findings;
};

/* Up to the evidence, with `toml` over the built-in catalog; NULL: nothing over it. Nothing is found yet. */
void fixture_read(struct fixture *f, const char *toml);
/* With the built-in catalog. pattern: its name, or NULL for all. */
void fixture_load(struct fixture *f, const char *pattern);
void fixture_release(struct fixture *f);

/* A file with that text, to be unlinked and freed. */
char *fixture_file(const char *text);

/* The only finding, and where it must be. */
const struct finding *fixture_only(const struct fixture *f, const char *blame);
/* No finding at all. */
void fixture_none(const struct fixture *f);
/* The one of that key. */
double fixture_figure(const struct finding *f, const char *key);
/* The only group of that blame frame. */
const struct group *fixture_group(const struct fixture *f, const char *blame);

#endif
