/* SPDX-License-Identifier: MIT */
/*
 * The catalog's claims held against a tally: see struct catalog_claim. Every verdict comes from the evidence, the
 * tables and the findings; figures of a run with other than catalog.claim_modules modules are scaled to that.
 */
#ifndef HEAPTALLY_CLAIMS_H
#define HEAPTALLY_CLAIMS_H

#include "patterns/pattern.h"
#include "inventory.h"

enum verdict {
	VERDICT_HOLDS,   /* within the catalog's tolerance, or found */
	VERDICT_OFF,     /* by `factor` */
	VERDICT_CHANGED, /* what it speaks of is built in another way now, or gone; `why` says how */
	VERDICT_NOT_VISIBLE, /* the tally cannot tell; `why` says why */
	VERDICT_N
};
const char *verdict_name(enum verdict v); /* "holds", "off", "changed", "not visible" */

struct claim {
	const struct catalog_claim *claim;
	enum verdict verdict;
	enum unit unit;
	bool measured;
	double value;  /* measured, scaled where the claim is for so many modules */
	double factor; /* of the measured to the claimed; 0: either is not known */
	char *why;     /* NULL: nothing to add */
};

struct claims {
	struct claim *rows; /* as in the catalog */
	uint32_t n;
	uint32_t verdicts[VERDICT_N];
	double scale; /* what the run's figures are multiplied by */
};

/* v->modules must be known. 0 or -1: out of memory, or a claim names a pattern that does not exist. */
int claims_init(struct claims *cs, const struct evidence *v, const struct catalog *c,
	const struct inventory *t, const struct findings *fs, struct error *e);
void claims_release(struct claims *cs);

#endif
