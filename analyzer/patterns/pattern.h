/* SPDX-License-Identifier: MIT */
/*
 * The contract of a pattern. A pattern is one file with one `const struct pattern`, listed in list.h; its limits
 * and fixes are [pattern.NAME.…] in catalog/rust.toml. Its find() looks at the evidence, compares with its limits and
 * adds findings; all else (texts, rank, views) is done for it. It reads nothing else, prints nothing and keeps nothing.
 *
 *	struct finding *f = findings_add(out, g);
 *	finding_count(out, f, "buffers", "buffers", (double)g->all.count);	// and how many per module
 *	finding_figure(out, f, "grows", "times grown", UNIT_COUNT, (double)g->all.grows);
 *	finding_fill(out, f, "n", "%u", n);		// {n} in the catalog's texts
 *	f->fix = "percentile";				// [pattern.NAME.fix.percentile]
 *	f->saving.allocs = ...;
 *	f->confidence = CONFIDENCE_HIGH;
 *	finding_why(out, f, "every buffer was seen from start to end");
 */
#ifndef HEAPTALLY_PATTERNS_PATTERN_H
#define HEAPTALLY_PATTERNS_PATTERN_H

#include "../catalog.h"
#include "../evidence.h"

#define PATTERN_LIMITS  8u
#define FINDING_FIGURES 16u
#define FINDING_FILLS   12u

enum unit {
	UNIT_COUNT,
	UNIT_BYTES,
	UNIT_NS,
	UNIT_SHARE, /* 1 is all of it */
	UNIT_RATIO, /* so many times, or per something */
};

enum confidence { CONFIDENCE_LOW, CONFIDENCE_MEDIUM, CONFIDENCE_HIGH };

/* A figure that the finding rests on. Views print it by label and unit, JSON by key. */
struct figure {
	const char *
		key; /* constant; unique in the finding: snake_case, unit at its end ("copied_bytes") */
	const char *label; /* constant: "bytes copied" */
	enum unit unit;
	double value;
};

struct fill {
	const char *name; /* constant: n for {n} */
	char *text;
};

/* What the fix would save over such a run. 0: nothing, or not known. */
struct saving {
	uint64_t peak_bytes;   /* less live at the peak */
	uint64_t allocs;       /* allocations and reallocs not made */
	uint64_t copied_bytes; /* not copied by reallocs, clones … */
	/* Calls of the allocator not made for those allocations. Left 0: as many for each as the blocks there have. */
	uint64_t calls;
	/* Of those calls, and of copying at the catalog's cost. Left 0, it is estimated: see ranking.h. */
	uint64_t time_ns;
	bool timed; /* what a call takes was measured in the run; else it is the catalog's cost too */
};

/* What a finding would save that a worse one, which saves in the same blocks, would save as well; at most. */
struct shared {
	uint32_t with; /* index of that finding */
	uint64_t peak_bytes, allocs;
};

struct finding {
	const struct pattern *pattern;
	const struct group *group;
	const struct group **more; /* other groups that it is about */
	uint32_t n_more;
	const char *
		place; /* what the source calls it, where the catalog knows: "all_dependencies"; or NULL */
	const char *section; /* of the document */
	struct figure figures[FINDING_FIGURES];
	uint32_t n_figures;
	struct fill fills[FINDING_FILLS];
	uint32_t n_fills;
	const char *fix; /* constant: which of the pattern's fixes; must be set */
	struct saving saving;
	enum confidence confidence;
	char *why; /* the confidence is what it is */

	/* made from the above by patterns_find */
	char *fix_line, *fix_code, *assumption;
	char *naming; /* what names would add; NULL where there are some */
	double score;
	struct shared *shared; /* by rank of the other */
	uint32_t n_shared;
};

struct findings {
	struct finding **rows; /* worst first */
	uint32_t n;
	const char *phase; /* they are of what this phase allocated; NULL: of the whole run */
	struct saving
		together; /* peak_bytes and allocs that all of them save: what several would save counts once */

	const struct pattern *only; /* looked for; NULL: all */
	double unnamed_share; /* of all bytes requested: by code without names, where patterns with `needs` see nothing */

	/* private */
	const struct evidence *evidence;
	const struct pattern *pattern; /* at work */
	struct finding spare;          /* handed out when there is no memory */
	bool bad;
};

struct pattern {
	const char *name;    /* as on the command line: "vec-regrowth" */
	const char *title;   /* in a few words: "Vec grown step by step" */
	const char *section; /* of the document: "Hot path 3; opportunity 4" */
	const char
		*naming; /* what names would add to a finding without: "T, and so n in elements" */
	const char *
		needs; /* what of names it cannot do without: "Clone::clone in the stack"; NULL: nothing */
	/* Names of the limits in the catalog, NULL at the end; find() gets their values in this order. A name that the
	 * catalog has not, or has in vain, is an error of patterns_find. */
	const char *limits[PATTERN_LIMITS + 1];
	void (*find)(const struct evidence *v, const double *limits, struct findings *out);
};

/* All of them; NULL at the end. */
extern const struct pattern *const patterns[];
const struct pattern *pattern_named(const char *name);

/*
 * Runs all patterns, or only the one, and ranks what they found; findings whose score is below min_score are dropped.
 * 0 or -1 (out of memory, or the catalog and a pattern do not fit together). The evidence must outlive *out.
 */
int patterns_find(struct findings *out, const struct evidence *v, const struct catalog *c,
	const struct pattern *only, double min_score, struct error *e);
void findings_release(struct findings *fs);

/*
 * Keeps what the phase of that name allocated: a finding saves there as large a share as its group allocated there, and
 * gets a figure phase_share of that; its other figures stay those of the run. Ranks anew and drops scores below
 * min_score. 0, or -1 for a phase that is not there or without memory; fs is to be released either way. The name must
 * outlive *fs.
 */
int findings_of_phase(struct findings *fs, const struct evidence *v, const char *name,
	double min_score, struct error *e);

/* For find(). Never NULL: without memory a spare is handed out, and patterns_find fails in the end. */
struct finding *findings_add(struct findings *fs, const struct group *g);
/* It is about that group as well: findings that share a group must not be added up. */
void finding_also(struct findings *fs, struct finding *f, const struct group *g);
void finding_figure(struct findings *fs, struct finding *f, const char *key, const char *label,
	enum unit unit, double value);
/* A count; with the modules built known, also that for each of them. Once in a finding: of what it counts. */
void finding_count(
	struct findings *fs, struct finding *f, const char *key, const char *label, double value);
/* {name} in the catalog's texts. Always there: {T} {container} {blame} {method} {caller} {crate}. */
void finding_fill(struct findings *fs, struct finding *f, const char *name, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
void finding_why(struct findings *fs, struct finding *f, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
