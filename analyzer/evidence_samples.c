/* SPDX-License-Identifier: MIT */
/*
 * Equal contents among the blocks of a group: see evidence_samples.h. A content's hash includes the size, so that size
 * classes have no content in common and each is estimated by itself.
 */
#include "evidence_samples.h"

/* Contents of one size class may lie in several buckets, one for each stack. */
#define KEPT_MAX  1024u
#define AGAIN_MIN 10 /* chance meetings among few samples prove nothing */

struct kept {
	uint64_t hash, count;
};

static double clamp(double x, double low, double high)
{
	return x > high ? (high > low ? high : low) : x < low ? low : x;
}

double duplicates_different(const struct duplicates_sample *s)
{
	double blocks = (double)s->blocks, sampled = (double)s->sampled, kept = (double)s->kept;
	double again = sampled - (double)s->lost - kept;

	if (s->sampled >= s->blocks && !s->lost)
		return kept;
	if (again < AGAIN_MIN)
		return blocks;
	if (s->lost)
		return clamp(kept * (sampled - kept) / again, kept, blocks);
	return clamp(kept * sampled / (sampled - (double)s->once), kept, blocks);
}

/* The first record of a bucket, or where it would be. */
static uint32_t contents_find(const struct tally *t, uint32_t bucket)
{
	uint32_t low = 0, high = t->n_contents;

	while (low < high) {
		uint32_t at = low + (high - low) / 2;
		if (t->contents[at].bucket < bucket)
			low = at + 1;
		else
			high = at;
	}
	return low;
}

/* Adds to a table of open addressing; false when it is too full. */
static bool keep(struct kept *table, uint64_t *n, uint64_t hash, uint64_t count)
{
	uint32_t at = (uint32_t)(hash % KEPT_MAX);

	while (table[at].count && table[at].hash != hash)
		at = (at + 1) % KEPT_MAX;
	if (!table[at].count && *n == KEPT_MAX / 2)
		return false;
	*n += !table[at].count;
	table[at].hash = hash;
	table[at].count += count;
	return true;
}

static void class_add(struct duplicates *out, const struct duplicates_sample *s, int64_t peak_bytes)
{
	if (!s->sampled || !s->blocks)
		return;
	double blocks = (double)s->blocks;
	double spare = blocks - clamp(duplicates_different(s), 0, blocks);

	out->sampled += s->sampled;
	out->different += s->kept;
	out->blocks += blocks;
	out->spare += spare;
	out->peak_bytes += peak_bytes > 0 ? (double)peak_bytes * spare / blocks : 0;
}

void group_duplicates(const struct evidence *v, const struct group *g, struct duplicates *out)
{
	const struct tally *t = v->profile->tally;
	struct kept table[KEPT_MAX];

	*out = (struct duplicates){0};
	for (uint32_t i = 0, end; i < g->n_buckets && t->n_contents; i = end) {
		struct duplicates_sample s = {0};
		uint32_t first = v->bucket_order[g->first_bucket + i];
		uint16_t size_class = t->buckets[first].size_class;
		int64_t peak_bytes = 0;
		for (uint32_t k = 0; k < KEPT_MAX; k++)
			table[k] = (struct kept){0};
		for (end = i; end < g->n_buckets; end++) {
			uint32_t b = v->bucket_order[g->first_bucket + end];
			if (t->buckets[b].size_class != size_class)
				break;
			const struct totals *x = &v->profile->buckets[b].totals;
			s.blocks += x->frees + (uint64_t)(x->live_count > 0 ? x->live_count : 0);
			peak_bytes += x->peak_bytes;
			for (uint32_t c = contents_find(t, b);
				c < t->n_contents && t->contents[c].bucket == b; c++) {
				const struct ht_content *content = &t->contents[c];
				s.sampled += content->count;
				if (!content->hash ||
					!keep(table, &s.kept, content->hash, content->count))
					s.lost += content->count;
			}
		}
		for (uint32_t k = 0; k < KEPT_MAX; k++) {
			s.once += table[k].count == 1;
		}
		class_add(out, &s, peak_bytes);
	}
}
