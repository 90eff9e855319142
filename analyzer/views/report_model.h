/* SPDX-License-Identifier: MIT */
/*
 * The report as figures and clean strings (utf8_clean), made once; text.c and json.c print the same one. Owns all its
 * memory: tally and profile may go before it. Shares are fractions of 1, and 0 where the whole is 0.
 */
#ifndef HEAPTALLY_VIEWS_REPORT_MODEL_H
#define HEAPTALLY_VIEWS_REPORT_MODEL_H

#include "../profile.h"
#include "measured.h"

enum report_end {
	REPORT_EXITED, /* the process went through exit */
	REPORT_CUT,    /* it was killed, or still runs */
};

/* What a table shows of a row: the metric and what belongs to it. */
struct report_figures {
	uint64_t value; /* of the metric: bytes or a count, see profile_metric_is_bytes */
	double share;   /* of the whole tally's value */
	uint64_t count; /* blocks at the peak or leaked; else allocations and reallocs */
	uint64_t bytes; /* in those blocks; requested by those */
	uint64_t average_bytes;
};

struct report_summary {
	char *tally, *program, *exe, *command, *cwd;
	uint32_t pid, parent_pid, generation;
	enum report_end end;
	uint64_t start_unix_ns, wall_ns, cpu_ns;
	uint64_t threads;
	struct totals total;
	uint64_t requested_bytes; /* alloc_bytes and realloc_bytes of total */
	uint64_t leaked_bytes, leaked_count;
	uint64_t slack_bytes; /* usable_bytes of total beyond those */
	double slack_share, temporary_share;
	/* Highest live bytes, measured. What total.peak_bytes, the sum over buckets, has of it differs by the bound of
	 * FORMAT.md, "Peak"; shares of the peak are shares of that sum. */
	uint64_t peak_bytes, peak_ns;
	uint64_t peak_count;   /* blocks, over buckets */
	uint64_t copied_bytes; /* by reallocs that moved */
	uint64_t zero_sizes, walks, slow_walks;
	uint64_t sample_bytes; /* not 0: figures are estimates from samples */
};

struct report_point {
	uint64_t ns, live_bytes, live_max_bytes, rss_bytes, vm_bytes, data_bytes;
	uint64_t mapped_bytes; /* asked of mmap up to then, less munmap */
	/* since the start */
	uint64_t cpu_ns, sys_ns, minor_faults, major_faults;
	uint64_t purged_bytes, unmapped_bytes; /* see report_span */
};

/* What happened from the span before, or the start, until a time. */
struct report_span {
	uint64_t until_ns, ns;
	uint64_t cpu_ns, sys_ns; /* user and system; system */
	uint64_t minor_faults, major_faults;
	/* given back with madvise (DONTNEED or FREE) and munmap; of calls through the dynamic linker, so without those that
	 * the C library makes itself */
	uint64_t purged_bytes, unmapped_bytes;
};
#define REPORT_SPANS 8

struct report_memory {
	struct report_point *points;
	uint32_t n_points; /* 0: the fields below that tell of RSS are 0 and mean nothing */
	uint64_t max_rss_bytes;
	struct report_point at_peak; /* the point nearest to the peak */
	uint64_t beyond_heap_bytes;  /* RSS beyond live heap at that point */
	uint64_t map_bytes, unmap_bytes, madvise_bytes;
	struct report_span run;                 /* all of it, as the last point has it */
	struct report_span spans[REPORT_SPANS]; /* about equally long */
	uint32_t n_spans;
};

struct report_blame {
	char *name, *brief, *crate, *module;
	char *caller, *inner, *file; /* NULL: none, unknown */
	uint32_t line;               /* 0: unknown */
	struct report_figures figures;
	struct totals totals;
};

struct report_crate {
	char *name;
	bool plumbing; /* allocation, containers, runtimes: none of its functions had anybody else to blame */
	struct report_figures figures;
	struct totals totals;
};

/* Requests of more than half of `up_to_bytes` and at most that. 0 is size 0, 8 is 1 to 8, UINT64_MAX is the rest. */
struct report_size {
	uint64_t up_to_bytes;
	struct report_figures figures;
	struct totals totals;
};

struct report_thread {
	char *name;
	uint64_t threads; /* of that name */
	double share;     /* of allocations and reallocs */
	uint64_t allocs, reallocs, frees, alloc_bytes, freed_bytes, temporary;
};

/* Something that happened and is not, or not wholly, in the figures. */
struct report_loss {
	const char *key;  /* for programs */
	const char *what; /* for people */
	uint64_t count;
	uint64_t bytes;
	bool has_bytes;
};

struct report_module {
	char *name, *path;
	uint64_t
		count; /* allocations and reallocs whose innermost frame outside the C library is in it */
	uint64_t bytes;     /* requested by those */
	uint64_t map_bytes; /* asked of mmap by its own code */
	uint64_t unmap_bytes;
	uint32_t flags;      /* enum ht_module_flags */
	uint8_t adopted;     /* bits of ht_module.adopted */
	const char *refused; /* why the allocator in it was left alone, or NULL */
	/* Likely has an allocator of its own: maps 4 MB or more, and requests less than 1% of that in less than 10,000
	 * allocations. */
	bool unseen;
};

/* A sentence worth reading first. */
struct report_note {
	const char *key;
	char *text;
};

struct report {
	enum profile_metric by;
	struct report_summary summary;
	struct report_note *notes;
	struct report_memory memory;
	struct report_blame
		*blames; /* by the metric, most first, at most `top`; none whose value is 0 */
	struct report_crate *crates;   /* likewise */
	struct report_size *sizes;     /* ascending, without empty rows */
	struct report_thread *threads; /* most allocations first, by name, all of them */
	struct report_loss *losses;    /* only what happened */
	struct report_module *modules; /* all that allocated or mapped; most bytes first */
	uint32_t n_notes, n_blames, n_crates, n_sizes, n_threads, n_losses, n_modules;
	/* what `top` cut off */
	uint32_t n_more_blames, n_more_crates;
	struct report_figures more_blames, more_crates;
	uint32_t n_quiet_modules; /* loaded, neither allocated nor mapped */

	struct measured measured; /* estimates from few events and pages */

	/* What to do about it; set by the command, both or neither, and not owned. NULL: views leave it out. */
	const struct findings *findings;
	const struct evidence *evidence;
	const struct inventory *inventory; /* data structures, categories, types; likewise */
	/* Likewise: when in the run what happened. */
	const struct phases *phases;

	/* private: what the strings above point to */
	char **strings;
	uint32_t n_strings;
};

/* top: rows of blame frames and crates, 0 for all. 0 or -1 (out of memory); *r needs no release then. */
int report_init(struct report *r, const struct profile *p, enum profile_metric by, uint32_t top,
	struct error *e);
void report_release(struct report *r);

#endif
