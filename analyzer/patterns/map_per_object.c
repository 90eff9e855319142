/* SPDX-License-Identifier: MIT */
/*
 * Containers that take room in every object, whether or not anything is ever put into them.
 *  - A DashMap allocates its shards when it is made, four times the processors rounded up to a power of two unless told
 *    otherwise. Rests on how often that array was made: blocks of one size, a power of two of shards.
 *  - A Vec made with a capacity that hardly any of them exceeds. How full they are was not seen; the share that grew
 *    tells, as if lengths fell off geometrically: with P(longer than c) = q^c the mean is c / ln(1 / P). Where the shim has
 *    watched the blocks, padded-or-empty knows better.
 */
#include <math.h>

#include "list.h"
#include "table_layout.h"

enum limit { MIN_MAPS, MIN_RESERVED_BYTES, MAX_GROWN, WATCHED_BYTES };

#define ALIGN_128      8u /* as in struct ht_bucket */
#define UNNAMED_SHARDS 4u /* dashmap's own choice on the smallest machine */

/* dashmap 6 pads a shard to two cache lines; dashmap 5 has a lock word, the table and a hasher of 0 or 16 bytes. */
static uint64_t shard_count(const struct group *g)
{
	static const uint64_t unpadded[] = {40, 56, 48, 64};
	uint64_t bytes = g->max_bytes, n = 0;

	if (g->align == ALIGN_128) {
		n = bytes / 128;
		return bytes % 128 || (n & (n - 1)) ? 0 : n;
	}
	for (size_t i = 0; i < sizeof(unpadded) / sizeof(*unpadded) && !n; i++) {
		uint64_t shards = bytes / unpadded[i];
		if (!(bytes % unpadded[i]) && !(shards & (shards - 1)))
			n = shards;
	}
	return n;
}

static bool is_shards(const struct evidence *v, const struct group *g)
{
	bool fixed = g->max_bytes == g->min_bytes && !g->totals.reallocs;

	if (g->container == CONTAINER_SHARDED)
		return fixed && !group_calls(v, g, "reserve_rehash") &&
		       !group_calls(v, g, "RawTableInner");
	/* so are tokio's tasks, but they do not last */
	return fixed && g->container == CONTAINER_UNKNOWN && g->align == ALIGN_128 &&
	       (double)g->totals.peak_count > 0.5 * (double)g->totals.allocs;
}

static void report_shards(
	const struct evidence *v, struct findings *out, const struct group *g, uint64_t shards)
{
	struct finding *f = findings_add(out, g);
	int64_t peak = g->totals.peak_bytes;
	struct map_names names;

	finding_count(out, f, "maps", "maps made", (double)g->totals.allocs);
	finding_figure(out, f, "at_peak", "live at the peak", UNIT_COUNT,
		(double)(g->totals.peak_count > 0 ? g->totals.peak_count : 0));
	finding_figure(out, f, "shards", "shards each", UNIT_COUNT, (double)shards);
	finding_figure(
		out, f, "map_bytes", "bytes of shards each", UNIT_BYTES, (double)g->max_bytes);

	f->fix = "plain";
	map_names_read(&names, v, g);
	finding_fill(out, f, "map", "%s", names.map);
	finding_fill(out, f, "arguments", "%s", names.arguments);
	finding_fill(out, f, "entry", "%s", names.entry);
	finding_fill(out, f, "shards", "%llu", (unsigned long long)shards);
	f->saving.peak_bytes = peak > 0 ? (uint64_t)peak : 0;
	f->saving.allocs = g->totals.allocs;
	f->confidence = g->named ? CONFIDENCE_HIGH : CONFIDENCE_LOW;
	finding_why(out, f, "%s",
		g->named ? "the names say that it is a sharded map, and each was counted"
			 : "arrays of cache lines, a power of two of them: DashMap's shards look "
			   "so");
}

static bool is_reserved(const struct evidence *v, const struct group *g, const double *limits)
{
	bool kind = g->container == CONTAINER_VEC || g->container == CONTAINER_STRING ||
		    g->container == CONTAINER_UNKNOWN;

	/* RawVec's own growth, as from empty */
	if (group_calls(v, g, "::finish_grow"))
		return false;
	/* that some have grown says that it is no array of a length known before */
	return kind && g->all.grown && g->min_bytes == g->max_bytes && !g->totals.reallocs &&
	       (double)g->max_bytes >= limits[MIN_RESERVED_BYTES] &&
	       (double)g->all.grown <= limits[MAX_GROWN] * (double)g->all.count &&
	       (double)g->filled_bytes < limits[WATCHED_BYTES];
}

static void report_reserved(struct findings *out, const struct group *g)
{
	struct finding *f = findings_add(out, g);
	double mean = (double)g->max_bytes / log((double)g->all.count / (double)g->all.grown);
	int64_t alive = g->totals.peak_count;

	finding_count(out, f, "buffers", "made with room", (double)g->totals.allocs);
	finding_figure(out, f, "reserved_bytes", "room each", UNIT_BYTES, (double)g->max_bytes);
	finding_figure(out, f, "grown", "of them grown", UNIT_COUNT, (double)g->all.grown);
	finding_figure(
		out, f, "at_peak", "live at the peak", UNIT_COUNT, (double)(alive > 0 ? alive : 0));
	finding_figure(out, f, "mean_bytes", "used, estimated", UNIT_BYTES, mean);

	f->fix = "reserved";
	finding_fill(out, f, "grown", "%llu of %llu", (unsigned long long)g->all.grown,
		(unsigned long long)g->all.count);
	finding_fill(out, f, "bytes", "%llu bytes", (unsigned long long)g->max_bytes);
	finding_fill(out, f, "mean", "%.0f bytes", mean);
	if (alive > 0 && mean < (double)g->max_bytes)
		f->saving.peak_bytes = (uint64_t)((double)alive * ((double)g->max_bytes - mean));
	f->confidence = CONFIDENCE_LOW;
	finding_why(out, f, "room and growth were counted, how full they are is an estimate");
}

static void find(const struct evidence *v, const double *limits, struct findings *out)
{
	for (uint32_t i = 0; i < v->n_groups; i++) {
		const struct group *g = &v->groups[i];
		if ((double)g->totals.allocs < limits[MIN_MAPS])
			continue;
		uint64_t shards = is_shards(v, g) ? shard_count(g) : 0;
		if (shards >= (g->named ? 2 : UNNAMED_SHARDS))
			report_shards(v, out, g, shards);
		else if (is_reserved(v, g, limits))
			report_reserved(out, g);
	}
}

const struct pattern pattern_map_per_object = {
	.name = "map-per-object",
	.title = "container with room in every object",
	.section = "Hot path 5; opportunity 2",
	.naming = "whether it is a map or a Vec, and of what",
	.limits = {[MIN_MAPS] = "min_maps",
		[MIN_RESERVED_BYTES] = "min_reserved_bytes",
		[MAX_GROWN] = "max_grown",
		[WATCHED_BYTES] = "watched_bytes"},
	.find = find,
};
