/* SPDX-License-Identifier: MIT */
/* Modules for the report: how much each allocates and maps, and whether it likely has an allocator that was not seen. */
#include <stdlib.h>
#include <string.h>

#include "report_internal.h"

#define UNSEEN_MIN_BYTES 4000000u
#define UNSEEN_MAX_COUNT 10000u

/* The C library, the loader and allocators: they allocate for their callers. */
static bool is_base_library(const struct tally *t, uint32_t module)
{
	static const char *const bases[] = {"libc.so", "libc-2", "libc.musl", "ld-linux", "ld-musl",
		"ld-2", "libm.so", "libdl.so", "libpthread", "libstdc++.so", "libc++.so",
		"libgcc_s.so", "libjemalloc", "libmimalloc", "libtcmalloc", "linux-vdso", "[vdso]"};
	const char *base = basename(tally_string(t, t->modules[module].path));

	if (t->modules[module].flags & HT_MODULE_SHIM)
		return true;
	for (size_t i = 0; i < sizeof(bases) / sizeof(*bases); i++)
		if (!strncmp(base, bases[i], strlen(bases[i])))
			return true;
	return false;
}

static int module_compare(const void *a, const void *b)
{
	const struct report_module *x = a, *y = b;

	if (x->bytes != y->bytes)
		return x->bytes > y->bytes ? -1 : 1;
	if (x->map_bytes != y->map_bytes)
		return x->map_bytes > y->map_bytes ? -1 : 1;
	return strcmp(x->path, y->path);
}

/* Adds up count and bytes per module. owner: scratch, the module that a site's stack answers to, 0 if none. */
static void count_modules(
	struct report_builder *b, struct report_module *all, uint16_t *owner, const bool *base)
{
	const struct tally *t = b->t;

	owner[0] = 0;
	for (uint32_t s = 1; s < t->n_sites; s++) {
		uint16_t m = t->sites[s].module;
		owner[s] = base[m] ? owner[t->sites[s].parent] : m;
	}
	for (uint32_t i = 0; i < t->n_buckets; i++) {
		const struct profile_bucket *pb = &b->p->buckets[i];
		uint16_t m = owner[pb->site] ? owner[pb->site] : t->sites[pb->site].module;
		all[m].count += totals_metric(&pb->totals, METRIC_COUNT);
		all[m].bytes += totals_metric(&pb->totals, METRIC_BYTES);
	}
}

static const char *refusal(const struct ht_module *m)
{
	switch (m->refused) {
	case HT_REFUSED_ROUND:
		return "calls go round its entry points";
	case HT_REFUSED_UNPROVEN:
		return "an entry point did not behave as its role says";
	case HT_REFUSED_SHORT:
		return "an entry point is too short to be hooked";
	case HT_REFUSED_PARTLY:
		return "not all of it could be hooked";
	default:
		return NULL;
	}
}

void report_make_modules(struct report_builder *b)
{
	const struct tally *t = b->t;
	struct report *r = b->r;
	uint16_t *owner = report_rows(b, t->n_sites, sizeof(*owner));
	bool *base = report_rows(b, t->n_modules, sizeof(*base));

	r->modules = report_rows(b, t->n_modules, sizeof(*r->modules));
	for (uint32_t m = 0; base && m < t->n_modules; m++)
		base[m] = m == 0 || is_base_library(t, m);
	if (owner && base && r->modules)
		count_modules(b, r->modules, owner, base);
	for (uint32_t m = 0; !b->bad && m < t->n_modules; m++) {
		const struct ht_module *hm = &t->modules[m];
		struct report_module row = r->modules[m];

		row.map_bytes = hm->map_bytes;
		row.unmap_bytes = hm->unmap_bytes;
		row.flags = hm->flags;
		row.adopted = hm->adopted;
		row.refused = refusal(hm);
		if (!row.count && !row.map_bytes && !(row.flags & HT_MODULE_ADOPTED)) {
			r->n_quiet_modules += m != 0 && !(row.flags & HT_MODULE_SHIM);
			continue;
		}
		row.path = m ? report_clean(b, tally_string(t, hm->path))
			     : report_clean(b, "[no module]");
		if (!row.path)
			break;
		row.name = report_clean(b, basename(row.path));
		row.unseen = !base[m] && !(row.flags & HT_MODULE_ADOPTED) &&
			     row.map_bytes >= UNSEEN_MIN_BYTES && row.bytes < row.map_bytes / 100 &&
			     row.count < UNSEEN_MAX_COUNT;
		r->modules[r->n_modules++] = row;
	}
	if (!b->bad && r->n_modules)
		qsort(r->modules, r->n_modules, sizeof(*r->modules), module_compare);
	free(owner);
	free(base);
}
