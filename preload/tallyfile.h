/* SPDX-License-Identifier: MIT */
/*
 * The mapped tally. Sections are arrays at fixed addresses inside one reservation; they grow by extents that are
 * given disk space before they are mapped, so that a full disk is an error return here and never a SIGBUS in the
 * host. FORMAT.md says what the bytes mean.
 */
#ifndef HEAPTALLY_TALLYFILE_H
#define HEAPTALLY_TALLYFILE_H

#include "format.h"
#include "sys.h"

struct tallyfile {
	struct ht_header *header;
	/* section tables, by type */
	char *strings;
	struct ht_module *modules;
	struct ht_site *sites;
	struct ht_bucket *buckets;
	struct ht_owner *owners;
	struct ht_counters *counters;
	struct ht_light *light;
	struct ht_regrow *regrows;
	struct ht_chain *chains;
	struct ht_thread *threads;
	struct ht_point *points;
	struct ht_history *history;
	struct ht_mark *marks;
	struct ht_phase *phases;
	struct ht_content *contents;
	struct ht_snapshot *snapshots;
	struct ht_locality *locality;
};

/* The process's tally; all pointers NULL until tallyfile_open succeeded. */
extern struct tallyfile tally;

/*
 * Starts the tally of this process in `directory` (absolute): header, first extents, no name yet where the file
 * system can do that. 0 or -errno, and then nothing is left behind. Called once per process image or fork, under the
 * lock of the caller.
 */
int tallyfile_open(const char *directory, const char *program);

/* The number of a counters record; NOWHERE: it is where counts go that have no room. */
#define TALLYFILE_NOWHERE UINT32_MAX
static inline uint32_t tallyfile_counters(const struct ht_counters *c)
{
	uint64_t n = ((uintptr_t)c - (uintptr_t)tally.counters) / sizeof(*c);

	return n < __atomic_load_n(&tally.header->n_counters, __ATOMIC_RELAXED) ? (uint32_t)n
										: TALLYFILE_NOWHERE;
}

/* Makes room for `count` records of a section. False when the disk or the section's reservation is full; thread-safe;
 * cheap when there is room. */
bool tallyfile_room(enum ht_section section, uint32_t count);

/*
 * Records below `count` will not be looked at again: their pages need not be resident. Does something now and then only.
 * Under the lock under which the section's records are made.
 */
void tallyfile_let_go(enum ht_section section, uint32_t count);

/* Gives the file its name once it is worth keeping. Idempotent. */
void tallyfile_keep(void);
/* Removes the name, if it has one already. */
void tallyfile_discard(void);

/* Appends a string and returns its offset; 0, the empty string, when there is no room. */
uint32_t tallyfile_string(const char *s);

static inline void tallyfile_dropped(enum ht_drop cause)
{
	if (tally.header)
		__atomic_fetch_add(&tally.header->dropped[cause], 1, __ATOMIC_RELAXED);
}

#endif
