/* SPDX-License-Identifier: MIT */
/*
 * Names for the return addresses of a tally. Per module: the ELF files that are about it, one sorted table of their
 * symbols, and only where one of them has DWARF the functions of the units that are hit. Only what is hit is
 * demangled: a symbol table holds ten times the names that a profile shows.
 */
#include "symbols_internal.h"

#define PROGRESS_LOCATIONS 4096u

static uint32_t unnamed_function(struct resolver *r, struct object *o, const struct ht_location *l)
{
	uint64_t start, next;
	char *source = NULL;
	if (!object_function(o, l->offset - 1, &start, &next))
		return resolver_unnamed(r, l->module, NULL, l->offset);
	if (object_panic_source(o, start, next, &source))
		r->failed = true;
	uint32_t function = resolver_unnamed(r, l->module, source, start);
	free(source);
	return function;
}

static void locate(struct resolver *r, struct object *o, struct ht_location *l)
{
	/* the call is before the address it returns to, which can be the next function's or the next line's */
	uint64_t address = l->offset - 1;
	l->first_frame = (uint32_t)r->n_frames;
	l->n_frames = 0;
	if (o->n_units && object_locate_by_dwarf(r, o, l, address))
		return;
	const struct range *symbol = ranges_find(&o->symbol_ranges, address);
	resolver_frame(r, l,
		symbol ? object_symbol_function(r, o, l->module, symbol, NULL)
		       : unnamed_function(r, o, l),
		0);
}

static int location_compare(const void *a, const void *b)
{
	const struct ht_location *x = a, *y = b;
	if (x->module != y->module)
		return x->module < y->module ? -1 : 1;
	return x->offset < y->offset ? -1 : x->offset > y->offset;
}

static int resolver_collect(struct resolver *r)
{
	const struct tally *t = r->t;
	r->locations = reallocarray(NULL, (size_t)t->n_sites + 1, sizeof(*r->locations));
	if (!r->locations)
		return -1;
	size_t n = 0, kept = 0;
	for (uint32_t i = 0; i < t->n_sites; i++)
		if (t->sites[i].module)
			r->locations[n++] = (struct ht_location){
				.offset = t->sites[i].offset, .module = t->sites[i].module};
	qsort(r->locations, n, sizeof(*r->locations), location_compare);
	for (size_t i = 0; i < n; i++)
		if (!kept || location_compare(&r->locations[kept - 1], &r->locations[i]))
			r->locations[kept++] = r->locations[i];
	r->n_locations = kept;
	return 0;
}

static int resolver_open_debug_files(struct resolver *r, const char *const *paths, struct error *e)
{
	size_t n = 0;
	while (paths && paths[n])
		n++;
	if (!n)
		return 0;
	r->debug_files = calloc(n, sizeof(*r->debug_files));
	if (!r->debug_files)
		return error_set(e, "Out of memory.");
	for (size_t i = 0; i < n; i++) {
		struct image *image = &r->debug_files[i];
		const char *why;
		bool matches = false;
		if (image_open(image, paths[i], &why))
			return error_set(e, "%s: %s.", paths[i], why);
		r->n_debug_files++;
		if (!image->build_id_bytes) {
			if (resolver_match(r, image, e))
				return -1;
			continue;
		}
		for (uint32_t m = 1; m < r->t->n_modules && !matches; m++)
			matches = image_is(image, &r->t->modules[m]);
		if (!matches)
			return error_set(e, "%s is not used: no module of %s has its build-id.",
				paths[i], r->t->path);
	}
	return 0;
}

/* One module's share of the locations. */
struct share {
	uint32_t first, end;
	uint16_t module;
};

static bool same_object(const struct tally *t, const struct share *a, const struct share *b)
{
	const struct ht_module *x = &t->modules[a->module], *y = &t->modules[b->module];
	return x->build_id_bytes == y->build_id_bytes &&
	       !memcmp(x->build_id, y->build_id, x->build_id_bytes) &&
	       !strcmp(tally_string(t, x->path), tally_string(t, y->path));
}

static int share_compare(const void *a, const void *b, void *arg)
{
	const struct tally *t = arg;
	const struct share *x = a, *y = b;
	const struct ht_module *p = &t->modules[x->module], *q = &t->modules[y->module];
	int order = strcmp(tally_string(t, p->path), tally_string(t, q->path));
	if (!order)
		order = memcmp(p->build_id, q->build_id, sizeof(p->build_id));
	return order ? order : (int)x->module - (int)y->module;
}

/* -1 when out of memory */
static int resolver_run(struct resolver *r, const struct symbols_options *o)
{
	size_t n = 0, cap = 0;
	struct share *shares = NULL;
	for (size_t i = 0; i < r->n_locations; i++) {
		uint16_t module = r->locations[i].module;
		if (!n || shares[n - 1].module != module) {
			if (!grow(&shares, n, &cap, sizeof(*shares))) {
				free(shares);
				return -1;
			}
			shares[n++] = (struct share){.first = (uint32_t)i, .module = module};
		}
		shares[n - 1].end = (uint32_t)i + 1;
	}
	/* a file that was loaded again and again is opened once */
	if (n)
		qsort_r(shares, n, sizeof(*shares), share_compare, (void *)r->t);
	struct object object = {0};
	unsigned long done = 0;
	for (size_t i = 0; i < n && !r->failed; i++) {
		if (!i || !same_object(r->t, &shares[i - 1], &shares[i])) {
			object_close(&object);
			object_open(&object, r, &r->t->modules[shares[i].module]);
		}
		for (uint32_t j = shares[i].first; j < shares[i].end && !r->failed; j++) {
			locate(r, &object, &r->locations[j]);
			if (++done % PROGRESS_LOCATIONS == 0 && o->progress)
				o->progress(o->progress_arg, done, r->n_locations);
		}
	}
	object_close(&object);
	free(shares);
	if (o->progress)
		o->progress(o->progress_arg, done, r->n_locations);
	return r->failed ? -1 : 0;
}

static void resolver_release(struct resolver *r)
{
	for (size_t i = 0; i < r->n_debug_files; i++)
		image_close(&r->debug_files[i]);
	free(r->debug_files);
	free(r->locations);
	resolver_names_release(r);
}

int symbols_resolve(
	struct tally *t, const struct symbols_options *o, char **warnings, struct error *e)
{
	static const struct symbols_options none;
	struct resolver r = {.t = t};
	if (warnings)
		*warnings = NULL;
	if (t->locations)
		return 0;
	if (!o)
		o = &none;
	elf_version(EV_CURRENT);
	if (resolver_open_debug_files(&r, o->debug_files, e)) {
		resolver_release(&r);
		return -1;
	}
	/* offset 0 is "" */
	r.names_cap = 1u << 16;
	r.names = malloc(r.names_cap);
	r.names_bytes = 1;
	if (!r.names || (r.names[0] = '\0', resolver_collect(&r)) ||
		!grow(&r.functions, 0, &r.cap_functions, sizeof(*r.functions)) ||
		!grow(&r.frames, 0, &r.cap_frames, sizeof(*r.frames)) || resolver_run(&r, o)) {
		resolver_release(&r);
		return error_set(e, "%s: out of memory while looking up names.", t->path);
	}
	t->names = r.names;
	t->names_bytes = r.names_bytes;
	t->functions = r.functions;
	t->n_functions = (uint32_t)r.n_functions;
	t->frames = r.frames;
	t->n_frames = (uint32_t)r.n_frames;
	t->locations = r.locations;
	t->n_locations = (uint32_t)r.n_locations;
	if (warnings) {
		*warnings = r.warnings;
		r.warnings = NULL;
	}
	r.names = NULL;
	r.functions = NULL;
	r.frames = NULL;
	r.locations = NULL;
	resolver_release(&r);
	return 0;
}
