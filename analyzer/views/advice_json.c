/* SPDX-License-Identifier: MIT */
/* Findings for programs; see ADVICE.schema.json. Failures of jansson's setters add up in `bad`. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "advice.h"
#include "utf8.h"

#define NAME_MAX_BYTES (64u << 10)

static const char *const units[] = {"count", "bytes", "ns", "share", "ratio"};
static const char *const confidences[] = {"low", "medium", "high"};

static int put(json_t *o, const char *key, json_t *value)
{
	return json_object_set_new(o, key, value);
}

static json_t *integer(uint64_t value)
{
	return json_integer(value < INT64_MAX ? (json_int_t)value : INT64_MAX);
}

/* NULL and "" are null. Names may be of any bytes. */
static json_t *text(const char *s)
{
	char *clean = s && *s ? utf8_clean(s, NAME_MAX_BYTES) : NULL;
	json_t *j = clean ? json_string(clean) : s && *s ? NULL : json_null();

	free(clean);
	return j;
}

/* As text, but its lines stay lines. */
static json_t *code(const char *s)
{
	char *all = NULL;
	size_t bytes;
	FILE *out = open_memstream(&all, &bytes);
	json_t *j = NULL;
	bool bad = !out;

	while (!bad && *s) {
		size_t n = strcspn(s, "\n");
		char *line = strndup(s, n),
		     *clean = n && line ? utf8_clean(line, NAME_MAX_BYTES) : line;
		bad = !clean || fputs(clean, out) < 0 || (s[n] && fputc('\n', out) < 0);
		if (clean != line)
			free(clean);
		free(line);
		s += n + (s[n] == '\n');
	}
	if (out && !fclose(out) && !bad)
		j = json_string(all);
	free(all);
	return j;
}

static json_t *name(const struct evidence *v, uint32_t function)
{
	return text(function == PROFILE_NONE ? NULL : v->profile->functions[function].name);
}

static json_t *figures(const struct finding *f)
{
	json_t *all = json_array();
	int bad = !all;

	for (uint32_t i = 0; !bad && i < f->n_figures; i++) {
		const struct figure *x = &f->figures[i];
		bool whole = x->unit == UNIT_COUNT || x->unit == UNIT_BYTES || x->unit == UNIT_NS;
		bool sane = x->value >= 0 && x->value < 9e18;
		json_t *o = json_object();
		bad |= put(o, "key", json_string(x->key)) | put(o, "label", json_string(x->label)) |
		       put(o, "unit", json_string(units[x->unit])) |
		       put(o, "value",
			       whole ? integer(sane ? (uint64_t)(x->value + 0.5) : INT64_MAX)
				     : json_real(isfinite(x->value) ? x->value : 0)) |
		       json_array_append_new(all, o);
	}
	if (!bad)
		return all;
	json_decref(all);
	return NULL;
}

static json_t *saving(const struct saving *s, const char *assumption)
{
	json_t *o = json_object();
	int bad = put(o, "peak_bytes", integer(s->peak_bytes)) |
		  put(o, "allocs", integer(s->allocs)) |
		  put(o, "copied_bytes", integer(s->copied_bytes)) |
		  put(o, "time_ns", integer(s->time_ns)) | put(o, "timed", json_boolean(s->timed)) |
		  put(o, "assumption", text(assumption));

	if (!bad)
		return o;
	json_decref(o);
	return NULL;
}

static json_t *shared(const struct finding *f)
{
	json_t *all = json_array();
	int bad = !all;

	for (uint32_t i = 0; !bad && i < f->n_shared; i++) {
		json_t *o = json_object();
		bad |= put(o, "finding", integer(f->shared[i].with + 1)) |
		       put(o, "peak_bytes", integer(f->shared[i].peak_bytes)) |
		       put(o, "allocs", integer(f->shared[i].allocs)) |
		       json_array_append_new(all, o);
	}
	if (!bad)
		return all;
	json_decref(all);
	return NULL;
}

static json_t *calls(const struct evidence *v, const struct group *g)
{
	json_t *all = json_array();
	int bad = !all;

	for (uint32_t i = 0; !bad && i < g->n_calls; i++)
		bad |= json_array_append_new(all, name(v, g->calls[i]));
	if (!bad)
		return all;
	json_decref(all);
	return NULL;
}

static json_t *finding(const struct evidence *v, const struct finding *f)
{
	const struct group *g = f->group;
	json_t *o = json_object();
	int bad = put(o, "pattern", json_string(f->pattern->name)) |
		  put(o, "title", json_string(f->pattern->title)) |
		  put(o, "function", name(v, g->blame)) |
		  put(o, "crate", text(evidence_crate(v, g))) |
		  put(o, "file", text(evidence_file(v, g))) | put(o, "line", integer(g->line)) |
		  put(o, "caller", name(v, g->caller)) | put(o, "calls", calls(v, g)) |
		  put(o, "place", text(f->place)) |
		  put(o, "container", text(container_name(g->container))) |
		  put(o, "element", text(g->element)) |
		  put(o, "element_bytes", integer(g->element_bytes)) |
		  put(o, "figures", figures(f)) | put(o, "fix", text(f->fix_line)) |
		  put(o, "code", code(f->fix_code)) |
		  put(o, "saving", saving(&f->saving, f->assumption)) |
		  put(o, "shared", shared(f)) | put(o, "score", json_real(f->score)) |
		  put(o, "confidence", json_string(confidences[f->confidence])) |
		  put(o, "why", text(f->why)) | put(o, "naming", text(f->naming)) |
		  put(o, "section", text(f->section));

	if (!bad)
		return o;
	json_decref(o);
	return NULL;
}

json_t *advice_json(const struct findings *fs, const struct evidence *v)
{
	json_t *all = json_array();
	int bad = !all;

	for (uint32_t i = 0; !bad && i < fs->n; i++)
		bad |= json_array_append_new(all, finding(v, fs->rows[i]));
	if (!bad)
		return all;
	json_decref(all);
	return NULL;
}

static json_t *unlooked(const struct findings *fs)
{
	json_t *all = json_array();
	int bad = !all;

	for (const struct pattern *const *p = patterns; *p; p++)
		if ((*p)->needs && (!fs->only || fs->only == *p))
			bad |= json_array_append_new(all, json_string((*p)->name));
	if (!bad)
		return all;
	json_decref(all);
	return NULL;
}

static json_t *together(const struct findings *fs)
{
	json_t *o = json_object();
	int bad = put(o, "peak_bytes", integer(fs->together.peak_bytes)) |
		  put(o, "allocs", integer(fs->together.allocs));

	if (!bad)
		return o;
	json_decref(o);
	return NULL;
}

int advice_json_write(
	FILE *out, const struct findings *fs, const struct evidence *v, struct error *e)
{
	json_t *o = json_object();
	int bad = put(o, "format", json_string("heaptally-advice")) |
		  put(o, "version", json_integer(ADVICE_JSON_VERSION)) |
		  put(o, "tally", text(v->profile->tally->path)) |
		  put(o, "phase", text(fs->phase)) | put(o, "together", together(fs)) |
		  put(o, "unnamed_share", json_real(fs->unnamed_share)) |
		  put(o, "needs_names", unlooked(fs)) | put(o, "findings", advice_json(fs, v));

	if (bad) {
		json_decref(o);
		return error_set(e, "out of memory for the findings");
	}
	bad = json_dumpf(o, out, JSON_INDENT(1)) || fputc('\n', out) == EOF || fflush(out) ||
	      ferror(out);
	json_decref(o);
	return bad ? error_set(e, "cannot write the findings: %s", strerror(errno)) : 0;
}
