/* SPDX-License-Identifier: MIT */
/*
 * A concurrent map in every object. A DashMap allocates its shards when it is made, four times the processors rounded up
 * to a power of two unless told otherwise, whether or not anything is ever put into it. Rests on how often that array was
 * made: blocks of one size, a power of two of shards.
 */
#include "list.h"
#include "table_layout.h"

enum limit { MIN_MAPS };

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
	       2 * g->totals.peak_count > (int64_t)g->totals.allocs;
}

static void report(
	const struct evidence *v, struct findings *out, const struct group *g, uint64_t shards)
{
	struct finding *f = findings_add(out, g);
	int64_t peak = g->totals.peak_bytes;
	struct map_names names;

	finding_figure(out, f, "maps", "maps made", UNIT_COUNT, (double)g->totals.allocs);
	finding_figure(out, f, "at_peak", "live at the peak", UNIT_COUNT,
		(double)(g->totals.peak_count > 0 ? g->totals.peak_count : 0));
	finding_figure(out, f, "shards", "shards each", UNIT_COUNT, (double)shards);
	finding_figure(
		out, f, "map_bytes", "bytes of shards each", UNIT_BYTES, (double)g->max_bytes);
	if (v->modules)
		finding_figure(out, f, "per_module", "maps per module", UNIT_RATIO,
			(double)g->totals.allocs / (double)v->modules);

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
			 : "arrays of cache lines, a power of two of them: DashMap's shards look so");
}

static void find(const struct evidence *v, const double *limits, struct findings *out)
{
	for (uint32_t i = 0; i < v->n_groups; i++) {
		const struct group *g = &v->groups[i];
		if ((double)g->totals.allocs < limits[MIN_MAPS] || !is_shards(v, g))
			continue;
		uint64_t shards = shard_count(g);
		if (shards >= (g->named ? 2 : UNNAMED_SHARDS))
			report(v, out, g, shards);
	}
}

const struct pattern pattern_map_per_object = {
	.name = "map-per-object",
	.title = "concurrent map in every object",
	.section = "Hot path 5; opportunity 2",
	.naming = "whether it is a map at all, and of what",
	.limits = {[MIN_MAPS] = "min_maps"},
	.find = find,
};
