/* SPDX-License-Identifier: MIT */
/*
 * Untrusted records in, a checked tally out. The file may still be being written: counts are taken
 * before the records they count. See preload/FORMAT.md.
 */
#include "tally.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "tally_merge.h"
#include "tally_phases.h"
#include "tally_source.h"

#define COARSENING_TRIES 3

/*
 * A record is published after those it refers to. Taken in the opposite order, each count covers whatever the
 * records counted before it refer to; acquire pairs with the shim's release.
 */
static void header_copy(struct ht_header *h, const struct ht_header *live)
{
	memcpy(h, live, sizeof(*h));
#define TAKE(field) (h->field = __atomic_load_n(&live->field, __ATOMIC_ACQUIRE))
	TAKE(point_generation);
	TAKE(n_points);
	TAKE(n_contents);
	TAKE(n_phases);
	TAKE(n_marks);
	TAKE(n_history);
	TAKE(n_counters);
	TAKE(n_light);
	TAKE(n_regrows);
	TAKE(n_chains);
	TAKE(n_buckets);
	TAKE(n_sites);
	TAKE(n_modules);
	TAKE(n_threads);
	TAKE(strings_bytes);
#undef TAKE
}

/*
 * A timeline that was being coarsened is in order up to the point that was moved last: the rest goes, and what is left
 * is of the next generation already.
 */
static void order_points(struct tally *t)
{
	for (uint32_t i = 1; i < t->n_points; i++)
		if (t->points[i].ticks < t->points[i - 1].ticks) {
			t->n_points = i;
			t->header.point_generation++;
		}
	t->header.n_points = t->n_points;
}

/* Free slots of the thread table go. */
static void pack_threads(struct tally *t)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < t->n_threads; i++) {
		if (!t->threads[i].threads)
			continue;
		t->threads[n] = t->threads[i];
		t->threads[n++].name[sizeof(t->threads[0].name) - 1] = 0;
	}
	t->n_threads = t->header.n_threads = n;
	t->header.cut_stacks = 0;
	for (uint32_t i = 0; i < n; i++)
		t->header.cut_stacks += t->threads[i].cut_stacks;
}

/* Ends the blob in NUL if it is empty; a string that is not ended is damage. */
static int check_blob(
	const struct source *s, char *blob, size_t *bytes, const char *what, struct error *e)
{
	if (*bytes == 0)
		*bytes = 1; /* source_load left room for one, and it is 0 */
	if (blob[0] || blob[*bytes - 1])
		return source_damaged(s->path, e, "its %s do not start and end in NUL", what);
	return 0;
}

static int check_modules(const struct tally *t, const struct source *s, struct error *e)
{
	for (uint32_t i = 0; i < t->n_modules; i++) {
		const struct ht_module *m = &t->modules[i];
		if (m->path >= t->strings_bytes || m->build_id_bytes > sizeof(m->build_id))
			return source_damaged(s->path, e, "module %u has no path or build-id", i);
	}
	return 0;
}

static int check_sites(const struct tally *t, const struct source *s, struct error *e)
{
	if (t->sites[0].parent || t->sites[0].module || t->sites[0].offset != HT_PSEUDO_ROOT)
		return source_damaged(s->path, e, "its first site is not the root");
	for (uint32_t i = 1; i < t->n_sites; i++) {
		const struct ht_site *site = &t->sites[i];
		if (site->parent >= i)
			return source_damaged(s->path, e, "site %u has parent %u", i, site->parent);
		if (site->module >= t->n_modules ||
			(site->module == 0 && site->offset >= HT_PSEUDO_COUNT))
			return source_damaged(s->path, e, "site %u is in no module", i);
	}
	return 0;
}

static int check_buckets(const struct tally *t, const struct source *s, struct error *e)
{
	for (uint32_t i = 0; i < t->n_buckets; i++) {
		const struct ht_bucket *b = &t->buckets[i];
		if (b->site >= t->n_sites || b->size_class >= HT_SIZE_CLASSES || b->align > 64 ||
			b->source > HT_SOURCE_ADOPTED)
			return source_damaged(s->path, e, "bucket %u has site %u, size class %u", i,
				b->site, b->size_class);
	}
	for (uint32_t i = 0; i < t->n_regrows; i++)
		if (t->regrows[i].from >= t->n_buckets || t->regrows[i].to >= t->n_buckets)
			return source_damaged(s->path, e, "regrow %u is from bucket %u to %u", i,
				t->regrows[i].from, t->regrows[i].to);
	for (uint32_t i = 0; i < t->n_chains; i++)
		if (t->chains[i].origin >= t->n_buckets ||
			t->chains[i].size_class >= HT_SIZE_CLASSES)
			return source_damaged(
				s->path, e, "chain %u starts in bucket %u", i, t->chains[i].origin);
	return 0;
}

static int check_marks(const struct tally *t, const struct source *s, struct error *e)
{
	for (uint32_t i = 0; i < t->n_marks; i++)
		if (t->marks[i].name >= t->strings_bytes || t->marks[i].numbers >= t->strings_bytes)
			return source_damaged(s->path, e, "mark %u has no name or numbers", i);
	return 0;
}

static int load_contents(struct tally *t, const struct source *s, struct error *e)
{
	uint32_t n = t->header.n_contents;

	if (!(t->contents = source_load(s, HT_SEC_CONTENTS, n, e)))
		return -1;
	for (uint32_t i = 1; i < n; i++)
		if (t->contents[i].bucket >= t->n_buckets)
			return source_damaged(
				s->path, e, "content %u is of bucket %u", i, t->contents[i].bucket);
	/* row 0 is not used; in memory there is none */
	t->n_contents = n ? n - 1 : 0;
	memmove(t->contents, t->contents + 1, t->n_contents * sizeof(*t->contents));
	contents_pack(t->contents, &t->n_contents);
	return 0;
}

/* The newest snapshot; number 0: none. */
static int load_snapshot(struct ht_snapshot *newest, const struct source *s, struct error *e)
{
	uint64_t n = s->section_bytes[HT_SEC_SNAPSHOTS] / sizeof(*newest);
	struct ht_snapshot *all = source_load(s, HT_SEC_SNAPSHOTS, n, e);

	if (!all)
		return -1;
	*newest = (struct ht_snapshot){0};
	for (uint64_t i = 0; i < n; i++)
		if (all[i].number > newest->number)
			*newest = all[i];
	free(all);
	return 0;
}

/* *moved: the host overwrote the rows while they were read, and they are of no use. */
static int load_locality(struct tally *t, const struct source *s, bool *moved, struct error *e)
{
	struct ht_snapshot now, *shot = &t->snapshot;

	if (load_snapshot(shot, s, e) < 0)
		return -1;
	uint64_t last = shot->n_rows ? shot->first + (uint64_t)(shot->n_rows - 1) * shot->step : 0;
	uint64_t number = shot->number;
	bool beyond = last >= s->section_bytes[HT_SEC_LOCALITY] / sizeof(*t->locality);
	/* A host that still runs may have made the file longer since its extents were read. */
	if (shot->number && beyond && t->header.state == HT_STATE_RECORDING)
		*shot = (struct ht_snapshot){0};
	if (shot->number && (beyond || !shot->step || !shot->every || !shot->n_rows))
		return source_damaged(s->path, e, "snapshot %llu has %u rows",
			(unsigned long long)shot->number, shot->n_rows);
	t->locality = source_load(s, HT_SEC_LOCALITY, shot->number ? last + 1 : 0, e);
	if (!t->locality || load_snapshot(&now, s, e) < 0)
		return -1;
	*moved = now.number != shot->number || number != shot->number;
	if (*moved)
		*shot = (struct ht_snapshot){0};
	for (uint32_t i = 0; i < shot->n_rows; i++) {
		struct ht_locality row = t->locality[shot->first + (uint64_t)i * shot->step],
				   *before = t->n_locality ? &t->locality[t->n_locality - 1] : NULL;
		if (row.page >= shot->pages || (before && row.page < before->page))
			return source_damaged(
				s->path, e, "row %u of its snapshot is of page %u", i, row.page);
		/* made after the count was taken */
		if (row.bucket < t->n_buckets)
			t->locality[t->n_locality++] = row;
	}
	return 0;
}

static int check_names(const struct tally *t, const struct source *s, struct error *e)
{
	for (uint32_t i = 0; i < t->n_functions; i++) {
		const struct ht_function *f = &t->functions[i];
		if (f->name >= t->names_bytes || f->file >= t->names_bytes ||
			f->crate >= t->names_bytes || f->module >= t->n_modules)
			return source_damaged(s->path, e, "function %u has no name or module", i);
	}
	for (uint32_t i = 0; i < t->n_frames; i++)
		if (t->frames[i].function >= t->n_functions)
			return source_damaged(s->path, e, "frame %u has no function", i);
	for (uint32_t i = 0; i < t->n_locations; i++) {
		const struct ht_location *l = &t->locations[i], *before = l - 1;
		if (l->module >= t->n_modules || l->n_frames == 0 ||
			l->first_frame >= t->n_frames || l->n_frames > t->n_frames - l->first_frame)
			return source_damaged(s->path, e, "location %u has no module or frames", i);
		if (i && (l->module < before->module ||
				 (l->module == before->module && l->offset <= before->offset)))
			return source_damaged(s->path, e, "its locations are not sorted");
	}
	return 0;
}

static int load_names(struct tally *t, const struct source *s, struct error *e)
{
	uint32_t n[HT_SEC_COUNT] = {0};

	if (!s->section_bytes[HT_SEC_NAMES])
		return 0;
	for (uint32_t i = HT_SEC_FUNCTIONS; i <= HT_SEC_LOCATIONS; i++) {
		/* fits: at least 8 bytes a record */
		if (s->section_bytes[i] > SECTION_MAX_BYTES)
			return source_damaged(s->path, e, "its %s are larger than 4 GiB",
				source_sections[i].name);
		n[i] = (uint32_t)(s->section_bytes[i] / source_sections[i].record_bytes);
	}
	t->names_bytes = s->section_bytes[HT_SEC_NAMES];
	t->n_functions = n[HT_SEC_FUNCTIONS];
	t->n_frames = n[HT_SEC_FRAMES];
	t->n_locations = n[HT_SEC_LOCATIONS];
	if (!(t->names = source_load(s, HT_SEC_NAMES, t->names_bytes, e)) ||
		!(t->functions = source_load(s, HT_SEC_FUNCTIONS, t->n_functions, e)) ||
		!(t->frames = source_load(s, HT_SEC_FRAMES, t->n_frames, e)) ||
		!(t->locations = source_load(s, HT_SEC_LOCATIONS, t->n_locations, e)) ||
		check_blob(s, t->names, &t->names_bytes, "names", e) < 0)
		return -1;
	return check_names(t, s, e);
}

static int load(struct tally *t, const struct source *s, bool *moved, struct error *e)
{
	struct ht_header *h = &t->header;

	t->strings_bytes = h->strings_bytes;
	t->n_modules = h->n_modules;
	t->n_sites = h->n_sites;
	t->n_buckets = h->n_buckets;
	t->n_regrows = h->n_regrows;
	t->n_chains = h->n_chains;
	t->n_threads = h->n_threads;
	t->n_points = h->n_points;
	t->n_marks = h->n_marks;
	if (h->n_marks > HT_MAX_MARKS)
		return source_damaged(s->path, e, "it claims %u marks", h->n_marks);
	if (h->n_points > HT_TIMELINE_POINTS || h->peak_stamp >> 40)
		return source_damaged(s->path, e, "%u points on its timeline, peak stamp %llu",
			h->n_points, (unsigned long long)h->peak_stamp);
	if (!(t->strings = source_load(s, HT_SEC_STRINGS, t->strings_bytes, e)) ||
		!(t->modules = source_load(s, HT_SEC_MODULES, t->n_modules, e)) ||
		!(t->sites = source_load(s, HT_SEC_SITES, t->n_sites, e)) ||
		!(t->buckets = source_load(s, HT_SEC_BUCKETS, t->n_buckets, e)) ||
		!(t->regrows = source_load(s, HT_SEC_REGROWS, t->n_regrows, e)) ||
		!(t->chains = source_load(s, HT_SEC_CHAINS, t->n_chains, e)) ||
		!(t->threads = source_load(s, HT_SEC_THREADS, t->n_threads, e)) ||
		!(t->points = source_load(s, HT_SEC_TIMELINE, t->n_points, e)) ||
		!(t->marks = source_load(s, HT_SEC_MARKS, t->n_marks, e)))
		return -1;
	/* a process killed at its very start may have no root yet; a zero record is one */
	h->n_modules = t->n_modules += !t->n_modules;
	h->n_sites = t->n_sites += !t->n_sites;
	h->n_buckets = t->n_buckets += !t->n_buckets;
	h->n_marks = t->n_marks += !t->n_marks;
	order_points(t);
	pack_threads(t);
	if (check_blob(s, t->strings, &t->strings_bytes, "strings", e) < 0)
		return -1;
	h->strings_bytes = t->strings_bytes;
	if (h->program >= t->strings_bytes || h->exe >= t->strings_bytes ||
		h->command >= t->strings_bytes || h->cwd >= t->strings_bytes)
		return source_damaged(s->path, e, "its header names strings that do not exist");
	if (check_modules(t, s, e) < 0 || check_sites(t, s, e) < 0 || check_buckets(t, s, e) < 0 ||
		check_marks(t, s, e) < 0 || merge_counters(t, s, e) < 0 ||
		load_contents(t, s, e) < 0 || load_locality(t, s, moved, e) < 0 ||
		load_names(t, s, e) < 0)
		return -1;
	merge_regrows(t);
	merge_chains(t);
	return 0;
}

int tally_read(struct tally *t, const char *path, struct error *e)
{
	struct source s;
	uint32_t generation = 0;
	int rc = -1;

	for (int i = 0; i < COARSENING_TRIES; i++) {
		bool moved = false;
		memset(&s, 0, sizeof(s));
		memset(t, 0, sizeof(*t));
		rc = source_open(&s, path, e);
		if (rc == 0) {
			header_copy(&t->header, s.live);
			generation = t->header.point_generation;
			rc = source_extents(&s, e);
		}
		if (rc == 0)
			rc = load(t, &s, &moved, e);
		if (rc == 0 && !(t->path = strdup(path)))
			rc = source_no_memory(path, e);
		/* points and history rows belong together: read again when they were coarsened meanwhile */
		moved |= rc == 0 &&
			 generation != __atomic_load_n(&s.live->point_generation, __ATOMIC_ACQUIRE);
		source_close(&s);
		if (rc < 0 || (moved && i + 1 < COARSENING_TRIES))
			tally_release(t);
		if (rc < 0 || !moved)
			break;
	}
	return rc;
}

void tally_release(struct tally *t)
{
	for (uint32_t i = 0; i < t->n_curves && t->curves; i++)
		free(t->curves[i].live_bytes);
	free(t->path);
	free(t->strings);
	free(t->modules);
	free(t->sites);
	free(t->buckets);
	free(t->counters);
	free(t->regrows);
	free(t->chains);
	free(t->threads);
	free(t->points);
	free(t->curves);
	free(t->marks);
	free(t->phases);
	free(t->contents);
	free(t->locality);
	free(t->names);
	free(t->functions);
	free(t->frames);
	free(t->locations);
	memset(t, 0, sizeof(*t));
}

uint64_t tally_ns(const struct tally *t, uint64_t ticks)
{
	const struct ht_header *h = &t->header;

	if (ticks <= h->start_ticks || h->last_ticks <= h->start_ticks || h->last_ns <= h->start_ns)
		return 0;
	unsigned __int128 ns = (unsigned __int128)(ticks - h->start_ticks) *
			       (h->last_ns - h->start_ns) / (h->last_ticks - h->start_ticks);
	return ns > UINT64_MAX ? UINT64_MAX : (uint64_t)ns;
}

const struct ht_location *tally_location(const struct tally *t, uint16_t module, uint64_t offset)
{
	uint32_t low = 0, high = t->n_locations;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		const struct ht_location *l = &t->locations[middle];
		if (l->module == module && l->offset == offset)
			return l;
		if (l->module < module || (l->module == module && l->offset < offset))
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}
