/* SPDX-License-Identifier: MIT */
/* The diff for programs. json_pack returns NULL, and takes its arguments, when memory runs out. */
#include "diff_text.h"
#include "values.h"

static json_t *side(const struct totals *t)
{
	json_t *o = json_object();
	int bad = !o;

	for (int m = 0; m < METRIC_N; m++)
		bad |= json_object_set_new(o, profile_metric_name((enum profile_metric)m),
			value_integer(totals_metric(t, (enum profile_metric)m)));
	if (bad)
		json_decref(o);
	return bad ? NULL : o;
}

static json_t *line(const struct diff_line *l)
{
	if (!l->known)
		return json_pack("{s:n, s:n, s:n}", "before", "after", "changed");
	return json_pack("{s:o, s:o, s:b}", "before", value_integer(l->before), "after",
		value_integer(l->after), "changed", l->changed);
}

static json_t *address(int64_t a)
{
	return a < 0 ? json_null() : json_integer(a);
}

static json_t *sizes(const struct diff_row *r)
{
	const struct diff_place *p = &r->place;

	if (!r->sizes)
		return json_null();
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "min_bytes", value_integer(r->min_bytes),
		"max_bytes", value_integer(r->max_bytes), "address_before", address(p->before),
		"address_after", address(p->after), "count_before", value_integer(p->count_before),
		"count_after", value_integer(p->count_after));
}

static json_t *row(const struct diff_row *r)
{
	return json_pack("{s:s, s:s, s:s, s:s, s:s?, s:s?, s:s, s:b, s:f, s:o, s:o, s:o}", "change",
		diff_change_name(r->change), "metric", profile_metric_name(r->metric), "name",
		r->name, "brief", r->brief, "was", r->was, "crate", r->crate, "module", r->module,
		"engine", r->engine, "share", r->share, "sizes", sizes(r), "before",
		side(&r->before.totals), "after", side(&r->after.totals));
}

static json_t *diff_json(const struct diff *d)
{
	json_t *rows = json_array(), *notes = json_array();
	int bad = !rows || !notes;

	for (uint32_t i = 0; i < d->n_rows; i++)
		bad |= json_array_append_new(rows, row(&d->rows[i]));
	for (uint32_t i = 0; i < d->n_notes; i++)
		bad |= json_array_append_new(notes, json_string(d->notes[i]));
	json_t *below = json_pack("{s:i, s:o, s:o, s:i, s:o}", "rows", (int)d->n_below, "before",
		side(&d->below_before), "after", side(&d->below_after), "elsewhere_rows",
		(int)d->n_elsewhere, "elsewhere_bytes", value_integer(d->elsewhere_bytes));
	json_t *all = json_pack("{s:s, s:i, s:s, s:s, s:s, s:f, s:o, s:o, s:o, s:o, s:s?, s:o, "
				"s:o, s:o, s:o, s:o, s:i, s:i}",
		"format", "heaptally-diff", "version", JSON_DIFF_VERSION, "tally_before", d->before,
		"tally_after", d->after, "by",
		d->by == DIFF_BY_ANY ? "any" : profile_metric_name(d->by), "threshold",
		d->threshold, "rss", line(&d->lines[DIFF_RSS]), "heap", line(&d->lines[DIFF_HEAP]),
		"overhead", line(&d->lines[DIFF_OVERHEAD]), "slack", line(&d->lines[DIFF_SLACK]),
		"verdict", d->verdict, "notes", notes, "before", side(&d->total_before), "after",
		side(&d->total_after), "rows", rows, "below", below, "matched", (int)d->n_matched,
		"moved", (int)d->n_moved);
	if (all && bad) {
		json_decref(all);
		all = NULL;
	}
	return all;
}

int diff_json_write(FILE *out, const struct diff *d, struct error *e)
{
	return values_write(out, diff_json(d), false, "the diff", e);
}
