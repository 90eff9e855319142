/* SPDX-License-Identifier: MIT */
/*
 * Budgets: limits on what a tally may hold, from a TOML file that heaptally-check(1) describes, and what became of
 * them. Errors about the file name file, line and reason.
 */
#ifndef HEAPTALLY_BUDGET_H
#define HEAPTALLY_BUDGET_H

#include "patterns/pattern.h"

enum budget_scope {
	BUDGET_RUN,        /* [limits] */
	BUDGET_PER_MODULE, /* [per-module]: by the number of modules built */
	BUDGET_CRATE,      /* [crate.NAME] and so on */
	BUDGET_CATEGORY,
	BUDGET_PHASE,
	BUDGET_FINDING,  /* [finding.PATTERN] */
	BUDGET_BASELINE, /* [baseline]: another tally and a tolerance */
};

/* What is limited: a metric, or */
enum {
	BUDGET_RSS = METRIC_N, /* highest resident memory; of the run */
	BUDGET_FINDINGS,       /* of a pattern: how many, and what they would save in all */
	BUDGET_SAVES_PEAK,
	BUDGET_SAVES_ALLOCS,
	BUDGET_SAVES_COPIES,
	BUDGET_KEYS
};

struct budget_limit {
	enum budget_scope scope;
	char *name; /* of the crate, category, phase or pattern; else NULL */
	unsigned key;
	double limit; /* bytes or a count; of a baseline the tolerance as a fraction */
	uint32_t line;
};

struct budget {
	char *path; /* of the file, for errors */
	char *baseline; /* tally to compare with, relative to the file's folder where it is not absolute; or NULL */
	uint32_t baseline_line;
	uint64_t modules; /* 0: as the tally's marks say */
	struct budget_limit *limits;
	uint32_t n_limits;
};

struct budget_result {
	const struct budget_limit *limit; /* the budget must outlive it */
	double value, allowed;
	bool exceeded;
};

/* "peak" … "rss", "findings", "saves-peak" … */
const char *budget_key_name(unsigned key);
bool budget_key_is_bytes(unsigned key);
/* "crate rspack_core, peak"; at most size bytes */
void budget_limit_text(char *out, size_t size, const struct budget_limit *l);

/* 0 or -1; *b needs no release then. */
int budget_read(struct budget *b, const char *path, struct error *e);
void budget_release(struct budget *b);

/*
 * Holds evidence against a budget. baseline: the profile of b->baseline, or NULL when there is none. results: room for
 * b->n_limits. 0, or -1: out of memory, or a limit names what is not in the tally or the catalog.
 */
int budget_check(struct budget_result *results, const struct budget *b, const struct evidence *v,
	const struct profile *baseline, const struct catalog *c, struct error *e);

#endif
