/* SPDX-License-Identifier: MIT */
/*
 * The report for programs. Failures of jansson's setters add up in `bad`, so that one check at the end does for all.
 */
#include "json.h"

#include "advice.h"
#include "inventory_view.h"
#include "measured_view.h"
#include "phase_view.h"
#include "values.h"

struct object {
	json_t *json;
	int bad;
};

static struct object object_new(void)
{
	json_t *json = json_object();

	return (struct object){json, !json};
}

static void put_uint(struct object *o, const char *key, uint64_t value)
{
	o->bad |= json_object_set_new(o->json, key, value_integer(value));
}

static void put_int(struct object *o, const char *key, int64_t value)
{
	o->bad |= json_object_set_new(o->json, key, json_integer(value));
}

static void put_share(struct object *o, const char *key, double value)
{
	o->bad |= json_object_set_new(o->json, key, json_real(value));
}

static void put_bool(struct object *o, const char *key, bool value)
{
	o->bad |= json_object_set_new(o->json, key, json_boolean(value));
}

static void put_text(struct object *o, const char *key, const char *value)
{
	o->bad |= json_object_set_new(o->json, key, value ? json_string(value) : json_null());
}

static void put_object(struct object *o, const char *key, struct object inner)
{
	o->bad |= inner.bad | json_object_set_new(o->json, key, inner.json);
}

static json_t *put_array(struct object *o, const char *key)
{
	json_t *array = json_array();

	o->bad |= json_object_set_new(o->json, key, array);
	return o->bad ? NULL : array;
}

static void put_row(struct object *o, json_t *array, struct object row)
{
	o->bad |= row.bad | json_array_append_new(array, row.json);
}

static void put_totals(struct object *o, const struct totals *t)
{
	struct object inner = object_new();

	put_uint(&inner, "allocs", t->allocs);
	put_uint(&inner, "alloc_bytes", t->alloc_bytes);
	put_uint(&inner, "reallocs", t->reallocs);
	put_uint(&inner, "realloc_bytes", t->realloc_bytes);
	put_uint(&inner, "frees", t->frees);
	put_uint(&inner, "foreign_frees", t->foreign_frees);
	put_uint(&inner, "temporary", t->temporary);
	put_uint(&inner, "usable_bytes", t->usable_bytes);
	put_int(&inner, "peak_count", t->peak_count);
	put_int(&inner, "peak_bytes", t->peak_bytes);
	put_int(&inner, "live_count", t->live_count);
	put_int(&inner, "live_bytes", t->live_bytes);
	put_object(o, "totals", inner);
}

static void put_figures(struct object *o, const struct report_figures *f)
{
	put_uint(o, "value", f->value);
	put_share(o, "share", f->share);
	put_uint(o, "count", f->count);
	put_uint(o, "bytes", f->bytes);
	put_uint(o, "average_bytes", f->average_bytes);
}

static struct object summary(const struct report_summary *s)
{
	struct object o = object_new();

	put_text(&o, "program", s->program);
	put_text(&o, "exe", s->exe);
	put_text(&o, "command", s->command);
	put_text(&o, "cwd", s->cwd);
	put_uint(&o, "pid", s->pid);
	put_uint(&o, "parent_pid", s->parent_pid);
	put_uint(&o, "generation", s->generation);
	put_text(&o, "end",
		s->end == REPORT_EXITED ? "exited" : "cut");
	put_uint(&o, "start_unix_ns", s->start_unix_ns);
	put_uint(&o, "wall_ns", s->wall_ns);
	put_uint(&o, "cpu_ns", s->cpu_ns);
	put_uint(&o, "threads", s->threads);
	put_uint(&o, "peak_bytes", s->peak_bytes);
	put_uint(&o, "peak_count", s->peak_count);
	put_uint(&o, "peak_ns", s->peak_ns);
	put_uint(&o, "leaked_bytes", s->leaked_bytes);
	put_uint(&o, "leaked_count", s->leaked_count);
	put_uint(&o, "requested_bytes", s->requested_bytes);
	put_uint(&o, "slack_bytes", s->slack_bytes);
	put_share(&o, "slack_share", s->slack_share);
	put_share(&o, "temporary_share", s->temporary_share);
	put_uint(&o, "copied_bytes", s->copied_bytes);
	put_uint(&o, "zero_sizes", s->zero_sizes);
	put_uint(&o, "walks", s->walks);
	put_uint(&o, "slow_walks", s->slow_walks);
	put_uint(&o, "sample_bytes", s->sample_bytes);
	put_totals(&o, &s->total);
	return o;
}

static struct object point(const struct report_point *p)
{
	struct object o = object_new();

	put_uint(&o, "ns", p->ns);
	put_uint(&o, "live_bytes", p->live_bytes);
	put_uint(&o, "live_max_bytes", p->live_max_bytes);
	put_uint(&o, "rss_bytes", p->rss_bytes);
	put_uint(&o, "vm_bytes", p->vm_bytes);
	put_uint(&o, "data_bytes", p->data_bytes);
	put_uint(&o, "mapped_bytes", p->mapped_bytes);
	put_uint(&o, "cpu_ns", p->cpu_ns);
	put_uint(&o, "sys_ns", p->sys_ns);
	put_uint(&o, "minor_faults", p->minor_faults);
	put_uint(&o, "major_faults", p->major_faults);
	put_uint(&o, "purged_bytes", p->purged_bytes);
	put_uint(&o, "unmapped_bytes", p->unmapped_bytes);
	return o;
}

static struct object span(const struct report_span *s)
{
	struct object o = object_new();

	put_uint(&o, "until_ns", s->until_ns);
	put_uint(&o, "ns", s->ns);
	put_uint(&o, "cpu_ns", s->cpu_ns);
	put_uint(&o, "sys_ns", s->sys_ns);
	put_uint(&o, "minor_faults", s->minor_faults);
	put_uint(&o, "major_faults", s->major_faults);
	put_uint(&o, "purged_bytes", s->purged_bytes);
	put_uint(&o, "unmapped_bytes", s->unmapped_bytes);
	return o;
}

static struct object memory(const struct report_memory *m)
{
	struct object o = object_new();

	put_uint(&o, "map_bytes", m->map_bytes);
	put_uint(&o, "unmap_bytes", m->unmap_bytes);
	put_uint(&o, "madvise_bytes", m->madvise_bytes);
	if (m->n_points) {
		put_uint(&o, "max_rss_bytes", m->max_rss_bytes);
		put_uint(&o, "beyond_heap_bytes", m->beyond_heap_bytes);
		put_object(&o, "at_peak", point(&m->at_peak));
	} else {
		put_text(&o, "max_rss_bytes", NULL);
		put_text(&o, "beyond_heap_bytes", NULL);
		put_text(&o, "at_peak", NULL);
	}
	json_t *timeline = put_array(&o, "timeline");
	for (uint32_t i = 0; timeline && i < m->n_points; i++)
		put_row(&o, timeline, point(&m->points[i]));
	json_t *spans = put_array(&o, "spans");
	for (uint32_t i = 0; spans && i < m->n_spans; i++)
		put_row(&o, spans, span(&m->spans[i]));
	return o;
}

static struct object blame(const struct report_blame *b)
{
	struct object o = object_new();

	put_text(&o, "function", b->name);
	put_text(&o, "brief", b->brief);
	put_text(&o, "crate", b->crate);
	put_text(&o, "module", b->module);
	put_text(&o, "caller", b->caller);
	put_text(&o, "via", b->inner);
	put_text(&o, "file", b->file);
	put_uint(&o, "line", b->line);
	put_figures(&o, &b->figures);
	put_totals(&o, &b->totals);
	return o;
}

static struct object more(uint32_t rows, const struct report_figures *f)
{
	struct object o = object_new();

	put_uint(&o, "rows", rows);
	put_figures(&o, f);
	return o;
}

static struct object crate(const struct report_crate *c)
{
	struct object o = object_new();

	put_text(&o, "crate", c->name);
	put_bool(&o, "plumbing", c->plumbing);
	put_figures(&o, &c->figures);
	put_totals(&o, &c->totals);
	return o;
}

static struct object size(const struct report_size *s)
{
	struct object o = object_new();

	if (s->up_to_bytes == UINT64_MAX)
		put_text(&o, "up_to_bytes", NULL);
	else
		put_uint(&o, "up_to_bytes", s->up_to_bytes);
	put_figures(&o, &s->figures);
	put_totals(&o, &s->totals);
	return o;
}

static struct object thread(const struct report_thread *t)
{
	struct object o = object_new();

	put_text(&o, "thread", t->name);
	put_uint(&o, "threads", t->threads);
	put_share(&o, "share", t->share);
	put_uint(&o, "allocs", t->allocs);
	put_uint(&o, "reallocs", t->reallocs);
	put_uint(&o, "alloc_bytes", t->alloc_bytes);
	put_uint(&o, "frees", t->frees);
	put_uint(&o, "freed_bytes", t->freed_bytes);
	put_uint(&o, "temporary", t->temporary);
	return o;
}

static struct object loss(const struct report_loss *l)
{
	struct object o = object_new();

	put_text(&o, "key", l->key);
	put_text(&o, "what", l->what);
	put_uint(&o, "count", l->count);
	if (l->has_bytes)
		put_uint(&o, "bytes", l->bytes);
	return o;
}

static struct object module(const struct report_module *m)
{
	static const char *const roles[] = {"alloc", "dealloc", "realloc", "alloc_zeroed"};
	struct object o = object_new();

	put_text(&o, "module", m->name);
	put_text(&o, "path", m->path);
	put_uint(&o, "count", m->count);
	put_uint(&o, "bytes", m->bytes);
	put_uint(&o, "map_bytes", m->map_bytes);
	put_uint(&o, "unmap_bytes", m->unmap_bytes);
	put_bool(&o, "unseen", m->unseen);
	put_bool(&o, "unloaded", m->flags & HT_MODULE_GONE);
	put_bool(&o, "unwind_tables", !(m->flags & HT_MODULE_NO_TABLES));
	json_t *adopted = put_array(&o, "adopted");
	for (unsigned k = 0; adopted && k < 4; k++)
		if (m->flags & HT_MODULE_ADOPTED && m->adopted & 1u << k)
			o.bad |= json_array_append_new(adopted, json_string(roles[k]));
	if (m->refused)
		put_text(&o, "refused", m->refused);
	return o;
}

static struct object note(const struct report_note *n)
{
	struct object o = object_new();

	put_text(&o, "key", n->key);
	put_text(&o, "text", n->text);
	return o;
}

static struct object report(const struct report *r)
{
	struct object o = object_new();
	json_t *a;

	put_text(&o, "format", "heaptally-report");
	put_uint(&o, "version", JSON_REPORT_VERSION);
	put_text(&o, "tally", r->summary.tally);
	put_text(&o, "by", profile_metric_name(r->by));
	if (r->findings)
		o.bad |= json_object_set_new(
			o.json, "findings", advice_json(r->findings, r->evidence));
	if (r->inventory)
		o.bad |= json_object_set_new(o.json, "inventory", inventory_json(r->inventory));
	put_object(&o, "summary", summary(&r->summary));
	a = put_array(&o, "notable");
	for (uint32_t i = 0; a && i < r->n_notes; i++)
		put_row(&o, a, note(&r->notes[i]));
	a = put_array(&o, "functions");
	for (uint32_t i = 0; a && i < r->n_blames; i++)
		put_row(&o, a, blame(&r->blames[i]));
	put_object(&o, "more_functions", more(r->n_more_blames, &r->more_blames));
	a = put_array(&o, "crates");
	for (uint32_t i = 0; a && i < r->n_crates; i++)
		put_row(&o, a, crate(&r->crates[i]));
	put_object(&o, "more_crates", more(r->n_more_crates, &r->more_crates));
	put_object(&o, "memory", memory(&r->memory));
	o.bad |= json_object_set_new(o.json, "allocator_time", measured_time_json(&r->measured));
	o.bad |= json_object_set_new(o.json, "locality", measured_locality_json(&r->measured));
	if (r->phases)
		o.bad |= json_object_set_new(o.json, "phases", phases_json(r->phases));
	a = put_array(&o, "sizes");
	for (uint32_t i = 0; a && i < r->n_sizes; i++)
		put_row(&o, a, size(&r->sizes[i]));
	a = put_array(&o, "threads");
	for (uint32_t i = 0; a && i < r->n_threads; i++)
		put_row(&o, a, thread(&r->threads[i]));
	a = put_array(&o, "coverage");
	for (uint32_t i = 0; a && i < r->n_modules; i++)
		put_row(&o, a, module(&r->modules[i]));
	put_uint(&o, "quiet_modules", r->n_quiet_modules);
	a = put_array(&o, "losses");
	for (uint32_t i = 0; a && i < r->n_losses; i++)
		put_row(&o, a, loss(&r->losses[i]));
	return o;
}

int json_write(FILE *out, const struct report *r, struct error *e)
{
	struct object o = report(r);

	return values_write(out, o.json, o.bad, "the report", e);
}
