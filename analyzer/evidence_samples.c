/* SPDX-License-Identifier: MIT */
/*
 * Equal contents among the blocks of a group: see evidence_samples.h. A content's hash includes the size, so that size
 * classes have no content in common, and each is estimated by itself; those with too few samples for that, together.
 */
#include "evidence_samples.h"

/* Contents of one size class may lie in several buckets, one for each stack. */
#define KEPT_MAX  1024u
#define AGAIN_MIN 10 /* chance meetings among few samples prove nothing */
#define AGAIN_OWN 40 /* so many are enough for a size class to be judged by itself */

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

/* What is known of one size class, or of several together. */
struct part {
	struct duplicates_sample sample;
	double peak_bytes;
};

static void part_add(struct part *to, const struct part *from)
{
	to->sample.blocks += from->sample.blocks;
	to->sample.sampled += from->sample.sampled;
	to->sample.kept += from->sample.kept;
	to->sample.once += from->sample.once;
	to->sample.lost += from->sample.lost;
	to->peak_bytes += from->peak_bytes;
}

static void judge(struct duplicates *out, const struct part *p)
{
	const struct duplicates_sample *s = &p->sample;
	double blocks = (double)s->blocks;

	if (!s->sampled || !s->blocks)
		return;
	double spare = blocks - clamp(duplicates_different(s), 0, blocks);
	out->sampled += s->sampled;
	out->different += s->kept;
	out->blocks += blocks;
	out->spare += spare;
	out->peak_bytes += p->peak_bytes * spare / blocks;
}

/* The buckets of one size class from the group's bucket `at` on; returns where the next one starts. */
static uint32_t part_read(
	struct part *p, const struct evidence *v, const struct group *g, uint32_t at)
{
	const struct tally *t = v->profile->tally;
	const uint32_t *buckets = &v->bucket_order[g->first_bucket];
	uint16_t size_class = t->buckets[buckets[at]].size_class;
	struct duplicates_sample *s = &p->sample;
	struct kept table[KEPT_MAX];

	*p = (struct part){0};
	for (uint32_t k = 0; k < KEPT_MAX; k++)
		table[k] = (struct kept){0};
	for (; at < g->n_buckets && t->buckets[buckets[at]].size_class == size_class; at++) {
		uint32_t b = buckets[at];
		const struct totals *x = &v->profile->buckets[b].totals;
		s->blocks += x->frees + (uint64_t)(x->live_count > 0 ? x->live_count : 0);
		p->peak_bytes += x->peak_bytes > 0 ? (double)x->peak_bytes : 0;
		for (uint32_t c = contents_find(t, b);
			c < t->n_contents && t->contents[c].bucket == b; c++) {
			const struct ht_content *content = &t->contents[c];
			s->sampled += content->count;
			if (!content->hash || !keep(table, &s->kept, content->hash, content->count))
				s->lost += content->count;
		}
	}
	for (uint32_t k = 0; k < KEPT_MAX; k++)
		s->once += table[k].count == 1;
	return at;
}

void group_duplicates(const struct evidence *v, const struct group *g, struct duplicates *out)
{
	struct part rest = {0}, one;

	*out = (struct duplicates){0};
	if (!v->profile->tally->n_contents)
		return;
	for (uint32_t at = 0; at < g->n_buckets;) {
		at = part_read(&one, v, g, at);
		const struct duplicates_sample *s = &one.sample;
		if (s->sampled && s->sampled < s->blocks &&
			s->sampled - s->lost - s->kept < AGAIN_OWN)
			part_add(&rest, &one);
		else
			judge(out, &one);
	}
	judge(out, &rest);
}
