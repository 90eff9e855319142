/* SPDX-License-Identifier: MIT */
/*
 * What the tests of patterns share: a tally made by hand, and what is found in it. A test does synth_init and its events
 * on f.synth, then fixture_load. What fails in here fails the test.
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

/* With the built-in catalog. pattern: its name, or NULL for all. */
void fixture_load(struct fixture *f, const char *pattern);
void fixture_release(struct fixture *f);

/* The site of a stack, outermost function first. */
uint32_t fixture_stack(struct synth *s, const char *const *names);
#define STACK(s, ...) fixture_stack(s, (const char *const[]){__VA_ARGS__, NULL})

/* The only finding, and where it must be. */
const struct finding *fixture_only(const struct fixture *f, const char *blame);
/* The one of that key. */
double fixture_figure(const struct finding *f, const char *key);

#endif
