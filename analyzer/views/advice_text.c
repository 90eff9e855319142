/* SPDX-License-Identifier: MIT */
/* Findings for a terminal: a headline with the rank, then labelled paragraphs. */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "advice.h"
#include "figures.h"
#include "utf8.h"

#define LABEL_AT      3
#define TEXT_AT       11
#define SAID_BYTES    (64u << 10)
#define UNNAMED_SHARE 0.01 /* less is not worth a line */

struct view {
	FILE *out;
	const struct evidence *v;
	unsigned columns;
	bool style;
};

static const char *const confidences[] = {"low", "medium", "high"};

static char *figure_say(char *out, const struct figure *f)
{
	uint64_t whole = f->value > 0 ? (uint64_t)(f->value < 1e19 ? f->value + 0.5 : 1e19) : 0;

	switch (f->unit) {
	case UNIT_BYTES:
		return figure_bytes(out, whole);
	case UNIT_NS:
		return figure_duration(out, f->value);
	case UNIT_SHARE:
		return figure_share(out, f->value);
	case UNIT_RATIO:
		snprintf(out, FIGURE_SIZE, f->value < 10 ? "%.1f" : "%.0f", f->value);
		return out;
	default:
		return figure_count(out, whole);
	}
}

/* A label, and text wrapped beside it; both may be of any bytes. Takes the text and frees it. */
static void put_paragraph(const struct view *w, const char *label, char *said)
{
	unsigned room = w->columns - TEXT_AT;
	char *clean = said && *said ? utf8_clean(said, SAID_BYTES) : NULL, *at = clean;

	free(said);
	if (!clean)
		return;
	fprintf(w->out, "%*s%s%-*s%s", LABEL_AT, "", w->style ? "\033[2m" : "", TEXT_AT - LABEL_AT,
		label, w->style ? "\033[0m" : "");
	while (at[utf8_fit(at, room)]) {
		size_t n = utf8_fit(at, room), space = n;
		while (space && at[space] != ' ')
			space--;
		n = space ? space : n;
		fprintf(w->out, "%.*s\n%*s", (int)n, at, TEXT_AT, "");
		at += n + (at[n] == ' ');
	}
	fprintf(w->out, "%s\n", at);
	free(clean);
}

__attribute__((format(printf, 3, 4))) static void put(
	const struct view *w, const char *label, const char *format, ...)
{
	char *said;
	va_list ap;

	va_start(ap, format);
	if (vasprintf(&said, format, ap) < 0)
		said = NULL;
	va_end(ap);
	put_paragraph(w, label, said);
}

static const char *brief(const struct view *w, uint32_t function)
{
	return w->v->profile->functions[function].brief;
}

static void put_where(const struct view *w, const struct finding *f)
{
	const struct group *g = f->group;
	const struct tally *t = w->v->profile->tally;
	const char *file = evidence_file(w->v, g), *slash = strrchr(file, '/');
	char *said = NULL;
	size_t bytes;
	FILE *out = open_memstream(&said, &bytes);

	if (!out)
		return;
	fprintf(out, "%s, crate %s", brief(w, g->blame), evidence_crate(w->v, g));
	if (w->v->profile->functions[g->blame].by_source)
		fputs(", told by what may panic in it", out);
	if (*file)
		fprintf(out, ", %s", slash ? slash + 1 : file);
	if (g->line)
		fprintf(out, ":%u", g->line);
	if (g->caller != PROFILE_NONE)
		fprintf(out, ", called from %s", brief(w, g->caller));
	else if (!g->named && t->modules[g->module].flags & HT_MODULE_NO_TABLES)
		fputs("; without unwind tables its callers, one or many, are not known", out);
	fclose(out);
	put_paragraph(w, "where", said);
	if (!g->n_calls)
		return;
	out = open_memstream(&said, &bytes);
	if (!out)
		return;
	for (uint32_t i = 0; i < g->n_calls; i++)
		fprintf(out, "%s%s", i ? " > " : "", brief(w, g->calls[i]));
	fclose(out);
	put_paragraph(w, "via", said);
}

static void put_what(const struct view *w, const struct finding *f)
{
	const struct group *g = f->group;
	char element[160] = "", merged[96] = "";

	if (g->element[0])
		rust_type_short(element, sizeof(element), g->element);
	if (group_may_be_merged(g))
		snprintf(merged, sizeof(merged),
			", or of another type of %u bytes: the linker merges functions of such",
			g->element_bytes);
	put(w, "what", "%s%s%s%s%s%s%s%s", container_name(g->container),
		g->container == CONTAINER_VEC && !*element ? " or text" : "",
		*element ? " of " : "", element, merged, f->place ? "; the source calls it " : "",
		f->place ? f->place : "", g->container == CONTAINER_UNKNOWN ? " (no names)" : "");
}

static void put_figures(const struct view *w, const struct finding *f)
{
	char *said = NULL, a[FIGURE_SIZE];
	size_t bytes;
	FILE *out = open_memstream(&said, &bytes);

	if (!out)
		return;
	for (uint32_t i = 0; i < f->n_figures; i++)
		fprintf(out, "%s%s: %s", i ? "; " : "", f->figures[i].label,
			figure_say(a, &f->figures[i]));
	fclose(out);
	put_paragraph(w, "seen", said);
}

/* What is saved, in a line; to be freed. */
static char *saving_say(const struct saving *s)
{
	char *said = NULL, a[FIGURE_SIZE];
	const char *comma = "";
	size_t bytes;
	FILE *out = open_memstream(&said, &bytes);

	if (!out)
		return NULL;
	if (s->peak_bytes) {
		fprintf(out, "%s at the peak", figure_bytes(a, s->peak_bytes));
		comma = ", ";
	}
	if (s->allocs) {
		fprintf(out, "%s%s allocations", comma, figure_count(a, s->allocs));
		comma = ", ";
	}
	if (s->copied_bytes) {
		fprintf(out, "%s%s of copying", comma, figure_bytes(a, s->copied_bytes));
		comma = ", ";
	}
	if (s->time_ns >= 1000000)
		fprintf(out, "%sabout %s", comma, figure_time(a, s->time_ns));
	else if (s->time_ns)
		fprintf(out, "%sunder 1 ms", comma);
	fclose(out);
	return said;
}

/* What must not be added up, in a line; NULL: nothing, or no memory. To be freed. */
static char *shared_say(const struct finding *f)
{
	char *said = NULL, a[FIGURE_SIZE];
	size_t bytes;
	FILE *out = f->n_shared ? open_memstream(&said, &bytes) : NULL;

	if (!out)
		return NULL;
	for (uint32_t i = 0; i < f->n_shared; i++) {
		const struct shared *x = &f->shared[i];
		fprintf(out, "%s", i ? "; " : "of that up to ");
		if (x->peak_bytes)
			fprintf(out, "%s", figure_bytes(a, x->peak_bytes));
		if (x->allocs)
			fprintf(out, "%s%s allocations", x->peak_bytes ? " and " : "",
				figure_count(a, x->allocs));
		fprintf(out, " with finding %u", x->with + 1);
	}
	fclose(out);
	return said;
}

/* Code keeps its lines. */
static void put_code(const struct view *w, const char *code)
{
	char *clean;

	for (const char *end; *code; code = *end ? end + 1 : end) {
		end = strchrnul(code, '\n');
		char *line = strndup(code, (size_t)(end - code));
		clean = line && *line ? utf8_clean(line, SAID_BYTES) : NULL;
		if (clean)
			fprintf(w->out, "%*s  %s\n", TEXT_AT, "", clean);
		free(clean);
		free(line);
	}
}

static void put_finding(const struct view *w, const struct finding *f, uint32_t rank)
{
	fprintf(w->out, "\n%2u %s%s: %s%s\n", rank, w->style ? "\033[1m" : "", f->pattern->name,
		f->pattern->title, w->style ? "\033[0m" : "");
	put_where(w, f);
	put_what(w, f);
	put_figures(w, f);
	put_paragraph(w, "saves", saving_say(&f->saving));
	put(w, "", "if %s", f->assumption);
	put_paragraph(w, "shares", shared_say(f));
	put(w, "fix", "%s", f->fix_line);
	put_code(w, f->fix_code);
	put(w, "sure", "%s: %s", confidences[f->confidence], f->why ? f->why : "");
	if (f->naming)
		put(w, "names", "would add: %s", f->naming);
	put(w, "see", "%s", f->section);
}

/* Of several findings. */
static void put_together(FILE *out, const struct findings *fs)
{
	char a[FIGURE_SIZE], b[FIGURE_SIZE];

	if (fs->n > 1)
		fprintf(out,
			"together up to %s at the peak and %s allocations: what they share counts "
			"once\n",
			figure_bytes(a, fs->together.peak_bytes),
			figure_count(b, fs->together.allocs));
}

/* Patterns that see nothing where there are no names. */
static void put_unlooked(FILE *out, const struct findings *fs)
{
	char share[FIGURE_SIZE];

	for (const struct pattern *const *p = patterns; *p; p++)
		if ((*p)->needs && fs->unnamed_share >= UNNAMED_SHARE &&
			(!fs->only || fs->only == *p))
			fprintf(out,
				"\n%s goes by %s: it sees nothing in code without names, "
				"which requests %s of all bytes\n",
				(*p)->name, (*p)->needs, figure_share(share, fs->unnamed_share));
}

int advice_text_write(FILE *out, const struct findings *fs, const struct evidence *v,
	unsigned columns, bool style, struct error *e)
{
	struct view w = {out, v, columns < ADVICE_COLUMNS ? ADVICE_COLUMNS : columns, style};

	char *phase = fs->phase ? utf8_clean(fs->phase, SAID_BYTES) : NULL;

	if (fs->n)
		fprintf(out, "%u finding%s", fs->n, fs->n == 1 ? "" : "s");
	else
		fputs("no findings", out);
	if (phase)
		fprintf(out, " in what the phase %s allocated", phase);
	fputs(fs->n ? ", worst first\n" : "\n", out);
	put_together(out, fs);
	free(phase);
	for (uint32_t i = 0; i < fs->n; i++)
		put_finding(&w, fs->rows[i], i + 1);
	put_unlooked(out, fs);
	if (fflush(out) || ferror(out))
		return error_set(e, "cannot write the findings: %s", strerror(errno));
	return 0;
}

void advice_text_brief(FILE *out, const struct findings *fs, const struct evidence *v,
	unsigned columns, bool style, uint32_t top)
{
	struct view w = {out, v, columns < ADVICE_COLUMNS ? ADVICE_COLUMNS : columns, style};

	if (!fs->n)
		return;
	fprintf(out, "\n%sFindings: worst first; heaptally advise has them in full%s\n",
		style ? "\033[1m" : "", style ? "\033[0m" : "");
	for (uint32_t i = 0; i < fs->n && i < top; i++) {
		const struct finding *f = fs->rows[i];
		char *said = saving_say(&f->saving), *shared = shared_say(f);
		char rank[12];
		snprintf(rank, sizeof(rank), "%u", i + 1);
		put(&w, rank, "%s in %s", f->pattern->title, brief(&w, f->group->blame));
		put(&w, "", "%s; saves %s%s%s", f->fix_line, said ? said : "", shared ? ", " : "",
			shared ? shared : "");
		free(said);
		free(shared);
	}
	if (fs->n > top)
		fprintf(out, "%*s%u more\n", TEXT_AT, "", fs->n - top);
}
