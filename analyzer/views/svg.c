/* SPDX-License-Identifier: MIT */
/*
 * The flame graph: see svg.h. The tree is cut to the frames worth drawing, those are laid out in the root's own unit
 * (bytes or counts), drawn as plain SVG, and written once more as JSON for flame.js.
 */
#include "svg.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "figures.h"
#include "../utf8.h"
#include "values.h"

/* Assembled in from the repository's root; a NUL ends each. */
__asm__(".section .rodata\n"
	"flame_css: .incbin \"analyzer/views/flame.css\"\n.byte 0\n"
	"flame_js: .incbin \"analyzer/views/flame.js\"\n.byte 0\n"
	".previous");
extern const char flame_css[] __attribute__((visibility("hidden")));
extern const char flame_js[] __attribute__((visibility("hidden")));

#define WIDTH          1200u
#define MARGIN         10u
#define GRAPH          (WIDTH - 2 * MARGIN)
#define TOP            96u /* of the root's row */
#define ROW            18u
#define NAME_MAX_BYTES 2000u
#define JSON_MAX_BYTES (2u << 20)
#define TENTHS_DRAWN                                                                               \
	8u /* narrower frames are left out of the plain picture, in tenths of a pixel */
#define TENTHS_LABEL 280u /* narrower ones have no text */
#define LEGEND       12u

struct frame {
	uint32_t node;
	uint32_t depth;
	uint64_t start; /* where it begins on the root's scale of 0 … total */
	uint64_t value;
};

struct svg {
	const struct profile *p;
	const struct profile_tree *tree;
	enum profile_metric metric;
	enum profile_metric shown[METRIC_N]; /* what a frame is told by; a phase has not all of them */
	int n_shown, chosen;                 /* chosen: the place of `metric` in there */
	uint64_t *values;     /* by node, in the metric: its own and all below */
	uint32_t n_valued;    /* nodes with a value */
	struct frame *frames; /* drawn, callers before callees, siblings by falling value */
	uint32_t n_frames;
	unsigned parts; /* of 10,000 of the total: smaller frames are not drawn */
	bool plumbing_folded;
	const struct svg_change *change; /* NULL: a plain graph */
	char *title, *subtitle, *note;
	char *json;
};

struct sibling {
	const struct svg *s;
	uint32_t node;
};

static const char *const metric_titles[METRIC_N] = {
	[METRIC_PEAK] = "live bytes at the peak",
	[METRIC_BYTES] = "bytes requested over the run",
	[METRIC_COUNT] = "allocations over the run, reallocs included",
	[METRIC_TEMPORARY] = "temporary allocations, freed before their thread's next one",
	[METRIC_LEAKED] = "bytes live at exit",
};

/*
 * Crate colours for a light and a dark page. OKLCH with 24 hues in two tones of equal lightness (0.84 and 0.77; 0.42
 * and 0.36), so that text has a contrast of 7:1 or better on every one.
 */
/* clang-format off */
static const uint32_t colours[48][2] = {
	{0xfeb1c8, 0x72374b}, {0xffb3b8, 0x74383e}, {0xfeb6aa, 0x743930}, {0xffb798, 0x723c23},
	{0xfbbb87, 0x6e4015}, {0xf1c17f, 0x684507}, {0xe4c87c, 0x5f4a02}, {0xd4cf80, 0x544f08},
	{0xc2d58a, 0x475417}, {0xafda97, 0x385725}, {0x9bdda8, 0x255a33}, {0x89e0ba, 0x095b41},
	{0x7ae0cd, 0x035a4f}, {0x73dfdf, 0x035959}, {0x74ddee, 0x005763}, {0x7dd9fc, 0x00566e},
	{0x95d3ff, 0x155276}, {0xa7ceff, 0x2b4e7a}, {0xb6c9ff, 0x3b4a7b}, {0xc4c4fe, 0x494579},
	{0xd3bdfe, 0x544174}, {0xe3b7f8, 0x5e3e6d}, {0xf0b3ea, 0x673b63}, {0xfab0d9, 0x6d3958},
	{0xf791a6, 0x662133}, {0xfa938f, 0x682224}, {0xf89779, 0x672510}, {0xf39d66, 0x612c01},
	{0xe9a456, 0x583401}, {0xdbac4d, 0x503901}, {0xcab44d, 0x483d01}, {0xb5bc58, 0x3e4100},
	{0x9ec369, 0x2f4600}, {0x84c97e, 0x164a14}, {0x67cc95, 0x004a2b}, {0x4aceac, 0x004939},
	{0x30cdc2, 0x004843}, {0x26cbd7, 0x00464b}, {0x38c7e8, 0x034553}, {0x53c1f6, 0x00435d},
	{0x71bbfd, 0x003f6d}, {0x8db4fd, 0x1f3a71}, {0xa2adff, 0x323570}, {0xb7a5fd, 0x40306c},
	{0xca9ef2, 0x4b2c65}, {0xda99e3, 0x55285b}, {0xe794d1, 0x5d254f}, {0xf192bc, 0x622242},
};
/* clang-format on */
#define COLOUR_PLUMBING 48u
#define COLOUR_PSEUDO   49u
#define COLOUR_CHANGE   54u /* no change; four steps up for growth and down for the reverse */

static unsigned colour_of_crate(const struct profile_crate *c)
{
	uint32_t hash = 2166136261u; /* FNV-1a: a crate keeps its colour from graph to graph */

	if (c->plumbing)
		return COLOUR_PLUMBING;
	if (c->name[0] == '[')
		return COLOUR_PSEUDO;
	for (const char *s = c->name; *s; s++)
		hash = (hash ^ (unsigned char)*s) * 16777619u;
	return (hash ^ hash >> 16) % 48;
}

static unsigned colour_of(const struct profile *p, uint32_t function)
{
	if (p->functions[function].plumbing)
		return COLOUR_PLUMBING;
	return colour_of_crate(&p->crates[p->functions[function].crate]);
}

/* flame.js has the same. */
static unsigned colour_of_change(uint64_t before, uint64_t after)
{
	uint64_t most = before > after ? before : after;
	double part = most ? ((double)after - (double)before) / (double)most : 0;
	double size = part < 0 ? -part : part;
	unsigned step = size < 0.05 ? 0 : size < 0.2 ? 1 : size < 0.5 ? 2 : size < 0.9 ? 3 : 4;

	return part < 0 ? COLOUR_CHANGE - step : COLOUR_CHANGE + step;
}

/* "12.9 MB (12,897,485 B)", or just the count. */
static const char *amount(char out[64], uint64_t value, bool bytes)
{
	char h[FIGURE_SIZE], x[FIGURE_SIZE];

	if (bytes && value >= 1000)
		snprintf(out, 64, "%s (%s B)", figure_bytes(h, value), figure_exact(x, value));
	else
		snprintf(out, 64, "%s%s", figure_exact(x, value), bytes ? " B" : "");
	return out;
}

static void add_saturating(uint64_t *to, uint64_t value)
{
	if (__builtin_add_overflow(*to, value, to))
		*to = UINT64_MAX;
}

/* Adds up from the nodes' own values instead of trusting `total`: a child never passes its parent, whatever a live
 * count below zero or a hostile tally says. */
static void svg_sum(struct svg *s)
{
	const struct profile_node *nodes = s->tree->nodes;

	for (uint32_t i = 0;;) {
		s->values[i] = totals_metric(&nodes[i].self, s->metric);
		if (nodes[i].first_child) {
			i = nodes[i].first_child;
			continue;
		}
		for (;;) {
			s->n_valued += s->values[i] > 0;
			if (i == 0)
				return;
			add_saturating(&s->values[nodes[i].parent], s->values[i]);
			if (nodes[i].next_sibling)
				break;
			i = nodes[i].parent;
		}
		i = nodes[i].next_sibling;
	}
}

static int by_value(const void *a, const void *b)
{
	const struct sibling *x = a, *y = b;
	const struct svg *s = x->s;
	uint64_t vx = s->values[x->node], vy = s->values[y->node];
	uint32_t fx = s->tree->nodes[x->node].function, fy = s->tree->nodes[y->node].function;
	int c;

	if (vx != vy)
		return vx < vy ? 1 : -1;
	c = strcmp(s->p->functions[fx].name, s->p->functions[fy].name);
	return c ? c : (fx > fy) - (fx < fy);
}

/* Keeps the frames that reach s->parts. Depth first over an own stack: a hostile tally may be very deep. */
static void svg_select(struct svg *s, struct frame *stack, struct sibling *siblings)
{
	const struct profile_node *nodes = s->tree->nodes;
	uint64_t threshold =
		(uint64_t)(((unsigned __int128)s->values[0] * s->parts + 9999) / 10000);
	uint32_t n = 0;

	s->n_frames = 0;
	stack[n++] = (struct frame){.value = s->values[0]};
	while (n) {
		struct frame at = stack[--n];
		uint64_t start = at.start, left = at.value;
		uint32_t m = 0;
		s->frames[s->n_frames++] = at;
		for (uint32_t c = nodes[at.node].first_child; c; c = nodes[c].next_sibling)
			if (s->values[c] && s->values[c] >= threshold)
				siblings[m++] = (struct sibling){s, c};
		qsort(siblings, m, sizeof(*siblings), by_value);
		for (uint32_t i = 0; i < m; i++) {
			/* `left` matters only where sums were saturated */
			uint64_t v = s->values[siblings[i].node] < left
					     ? s->values[siblings[i].node]
					     : left;
			stack[n + m - 1 - i] =
				(struct frame){siblings[i].node, at.depth + 1, start, v};
			start += v;
			left -= v;
		}
		n += m;
	}
}

/* [name, brief or 0 when the same, crate, module, colour]. Appending NULL fails, so that checking the last step covers
 * those before it. */
static int json_function(json_t *functions, const struct profile *p, uint32_t function)
{
	const struct profile_function *f = &p->functions[function];
	bool same = strcmp(f->name, f->brief) == 0;
	json_t *row = json_array();
	int bad = json_array_append_new(row, value_text(f->name, NAME_MAX_BYTES));

	bad |= json_array_append_new(
		row, same ? json_integer(0) : value_text(f->brief, NAME_MAX_BYTES));
	bad |= json_array_append_new(row, json_integer(f->crate));
	bad |= json_array_append_new(row, json_integer(f->module));
	bad |= json_array_append_new(row, json_integer(colour_of(p, function)));
	return json_array_append_new(functions, row) | bad;
}

/* Per frame: depth, function (-1: the root), and the metrics shown; or width, before and after. */
static int json_frames(json_t *frames, json_t *functions, const struct svg *s)
{
	uint32_t *index = calloc((size_t)s->p->n_functions + 1, sizeof(*index)), n = 0;
	int bad = index ? 0 : -1;

	for (uint32_t i = 0; i < s->n_frames && !bad; i++) {
		const struct frame *f = &s->frames[i];
		const struct profile_node *node = &s->tree->nodes[f->node];
		if (f->node && !index[node->function]) {
			bad = json_function(functions, s->p, node->function);
			index[node->function] = ++n;
		}
		bad |= json_array_append_new(frames, json_integer(f->depth));
		bad |= json_array_append_new(
			frames, json_integer(f->node ? (json_int_t)index[node->function] - 1 : -1));
		if (s->change) {
			bad |= json_array_append_new(frames, value_integer(f->value));
			bad |= json_array_append_new(frames, value_integer(s->change->before[f->node]));
			bad |= json_array_append_new(frames, value_integer(s->change->after[f->node]));
			continue;
		}
		for (int m = 0; m < s->n_shown; m++)
			bad |= json_array_append_new(frames,
				value_integer(m == s->chosen ? f->value
							   : totals_metric(&node->total,
								     s->shown[m])));
	}
	free(index);
	return bad;
}

/* Crates by the value of the buckets they are to blame for, greatest first. Returns how many are worth a legend. */
static uint32_t legend(const struct svg *s, uint32_t out[LEGEND])
{
	uint32_t n = 0;

	for (uint32_t c = 0; c < s->p->n_crates; c++) {
		uint64_t v = totals_metric(&s->p->crates[c].totals, s->metric);
		uint32_t at = n;
		if (v == 0)
			continue;
		while (at > 0) {
			const struct profile_crate *o = &s->p->crates[out[at - 1]];
			uint64_t other = totals_metric(&o->totals, s->metric);
			if (other > v || (other == v && strcmp(o->name, s->p->crates[c].name) <= 0))
				break;
			at--;
		}
		if (at == LEGEND)
			continue;
		n += n < LEGEND;
		memmove(out + at + 1, out + at, (n - at - 1) * sizeof(*out));
		out[at] = c;
	}
	return n;
}

static json_t *json_legend(const struct svg *s)
{
	uint32_t crates[LEGEND], n = legend(s, crates);
	json_t *rows = json_array();

	for (uint32_t i = 0; i < n; i++) {
		const struct profile_crate *c = &s->p->crates[crates[i]];
		uint64_t value = totals_metric(&c->totals, s->metric);
		json_array_append_new(rows,
			json_pack("[i, o, i]", (int)crates[i], value_integer(value),
				(int)colour_of_crate(c)));
	}
	return rows;
}

static json_t *json_metrics(const struct svg *s)
{
	bool bytes = profile_metric_is_bytes(s->metric);

	if (s->change)
		return json_pack("[[s, b], [s, b], [s, b]]", "width", bytes, "before", bytes, "after", bytes);
	json_t *rows = json_array();
	for (int m = 0; m < s->n_shown; m++)
		json_array_append_new(
			rows, json_pack("[s, b]",
				      s->p->phase && s->shown[m] == METRIC_LEAKED
					      ? "live"
					      : profile_metric_name(s->shown[m]),
				      profile_metric_is_bytes(s->shown[m])));
	return rows;
}

/* Fills s->json. -1: out of memory. */
static int svg_json(struct svg *s)
{
	const struct tally *t = s->p->tally;
	json_t *functions = json_array(), *frames = json_array(), *crates = json_array(),
	       *modules = json_array();
	int bad = json_frames(frames, functions, s);

	for (uint32_t c = 0; c < s->p->n_crates; c++)
		bad |= json_array_append_new(
			crates, value_text(s->p->crates[c].name, NAME_MAX_BYTES));
	for (uint32_t m = 0; m < t->n_modules; m++) {
		const char *name = basename(tally_string(t, t->modules[m].path));
		bad |= json_array_append_new(
			modules, value_text(*name ? name : "?", NAME_MAX_BYTES));
	}
	json_t *all = json_pack("{s:s, s:s, s:s, s:i, s:b, s:b, s:o, s:o, s:o, s:o, s:o, s:o}", "title",
		s->title, "subtitle", s->subtitle, "note", s->note, "metric", s->chosen, "diff",
		s->change != NULL, "cut", s->n_frames < s->n_valued, "metrics", json_metrics(s), "legend",
		s->change ? json_array() : json_legend(s),
		"crates", crates, "modules", modules, "functions", functions, "frames", frames);
	s->json = bad || !all ? NULL : json_dumps(all, JSON_COMPACT);
	json_decref(all);
	return s->json ? 0 : -1;
}

/* As svg_titles. */
static int svg_subtitle_change(struct svg *s)
{
	char *before = utf8_clean(s->change->path_before, 160), *after = utf8_clean(s->p->tally->path, 160);
	bool bytes = profile_metric_is_bytes(s->metric);
	char was[64], is[64];

	if (!before || !after ||
		asprintf(&s->subtitle, "%s before, %s after · %s → %s", amount(was, s->change->before[0], bytes),
			amount(is, s->change->after[0], bytes), before, after) < 0)
		s->subtitle = NULL;
	free(before);
	free(after);
	return s->title && s->subtitle ? 0 : -1;
}

/* The texts above the graph. -1: out of memory. */
static int svg_titles(struct svg *s)
{
	const struct tally *t = s->p->tally;
	const char *program = tally_string(t, t->header.program);
	time_t started = (time_t)(t->header.start_unix_ns / 1000000000u);
	char text[256], total[64], when[32] = "an unknown time";
	struct tm tm;

	if (!*program)
		program = "a process";
	if (s->p->phase)
		snprintf(text, sizeof(text), "%.100s: %s phase %.100s", program,
			s->metric == METRIC_LEAKED  ? "bytes live at the end of"
			: s->metric == METRIC_COUNT ? "allocations in"
						    : "bytes allocated in",
			s->p->phase);
	else
		snprintf(text, sizeof(text), "%s: %s%s", program, s->change ? "what changed of " : "",
			metric_titles[s->metric]);
	s->title = utf8_clean(text, sizeof(text));
	if (s->change)
		return svg_subtitle_change(s);
	if (t->header.start_unix_ns && gmtime_r(&started, &tm))
		strftime(when, sizeof(when), "%Y-%m-%d %H:%M UTC", &tm);
	char *command = utf8_clean(tally_string(t, t->header.command), 160);
	if (!command || asprintf(&s->subtitle, "%s in all · process %" PRIu32 " of %s · %s",
				amount(total, s->values[0], profile_metric_is_bytes(s->metric)),
				t->header.pid, when, command) < 0)
		s->subtitle = NULL;
	free(command);
	return s->title && s->subtitle ? 0 : -1;
}

/* Says what the picture leaves out. -1: out of memory. */
static int svg_note(struct svg *s)
{
	char cut[160] = "Every frame is drawn", shown[32], all[32];

	if (s->n_frames < s->n_valued)
		snprintf(cut, sizeof(cut),
			"Frames below %g%% are drawn as part of their parent (%s of %s are shown)",
			s->parts / 100.0, figure_exact(shown, s->n_frames), figure_exact(all, s->n_valued));
	free(s->note);
	if (asprintf(&s->note, "%s%s.%s",
		    s->change ? "Red grew, blue shrank; widths are the larger of before and after. " : "", cut,
		    !s->plumbing_folded ? ""
		    : s->change		? " Plumbing (allocator, containers, runtimes) is left out."
					: " Plumbing (allocator, containers, runtimes) is left out; "
					  "--all-frames draws it.") < 0)
		s->note = NULL;
	return s->note ? 0 : -1;
}

/* Selects, and writes down as JSON, as many frames as the file's size allows. -1: out of memory. */
static int svg_cut(struct svg *s)
{
	struct frame *stack = malloc(((size_t)s->tree->n_nodes + 1) * sizeof(*stack));
	struct sibling *siblings = malloc(((size_t)s->tree->n_nodes + 1) * sizeof(*siblings));
	int rc = stack && siblings ? 0 : -1;

	for (s->parts = 2; rc == 0; s->parts *= 2) {
		svg_select(s, stack, siblings);
		if (s->n_frames > JSON_MAX_BYTES / 14) /* a frame's digits and commas, at least */
			continue;
		free(s->json);
		s->json = NULL;
		if (svg_note(s) < 0 || svg_json(s) < 0)
			rc = -1;
		else if (strlen(s->json) <= JSON_MAX_BYTES || s->n_frames == 1)
			break;
	}
	free(stack);
	free(siblings);
	return rc;
}

static void xml_write(FILE *out, const char *text, size_t len)
{
	for (const char *end = text + len; text < end; text++)
		switch (*text) {
		case '<':
			fputs("&lt;", out);
			break;
		case '>':
			fputs("&gt;", out);
			break;
		case '&':
			fputs("&amp;", out);
			break;
		case '"':
			fputs("&quot;", out);
			break;
		default:
			putc(*text, out);
		}
}

static void xml_text(FILE *out, const char *text)
{
	xml_write(out, text, strlen(text));
}

/* As much of clean text as fits, and an ellipsis when that is not all. The font is monospaced, 7.3 px a column. */
static void xml_label(FILE *out, const char *clean, uint32_t tenths)
{
	size_t columns = tenths / 73, len = utf8_fit(clean, columns);

	if (clean[len])
		len = utf8_fit(clean, columns - 1);
	xml_write(out, clean, len);
	if (clean[len])
		fputs("…", out);
}

static void draw_style(FILE *out)
{
	fputs("<style>\n", out);
	xml_text(out, flame_css);
	for (unsigned dark = 0; dark < 2; dark++) {
		if (dark)
			fputs("@media (prefers-color-scheme: dark) {\n", out);
		for (unsigned c = 0; c < 48; c++)
			fprintf(out, ".c%u { fill: #%06x; background: #%06x }\n", c,
				colours[c][dark], colours[c][dark]);
		if (dark)
			fputs("}\n", out);
	}
	fputs("</style>\n", out);
}

static void draw_legend(FILE *out, const struct svg *s)
{
	uint32_t crates[LEGEND], n = legend(s, crates), x = MARGIN;

	for (uint32_t i = 0; i < n; i++) {
		const struct profile_crate *c = &s->p->crates[crates[i]];
		double share = s->values[0] ? 100.0 * (double)totals_metric(&c->totals, s->metric) /
						      (double)s->values[0]
					    : 0;
		char *name = utf8_clean(c->name, 40);
		uint32_t columns = name ? (uint32_t)strlen(name) + 6 : 0;
		if (name && x + 16 + columns * 75 / 10 <= WIDTH - MARGIN) {
			fprintf(out,
				"<rect class=\"c%u\" x=\"%u\" y=\"72\" width=\"12\" "
				"height=\"12\"/><text x=\"%u\" y=\"82\">",
				colour_of_crate(c), x, x + 16);
			xml_text(out, name);
			fprintf(out, " %.1f%%</text>\n", share);
			x += 16 + columns * 75 / 10 + 12;
		}
		free(name);
	}
}

/* Edges are rounded, not widths, so that a frame never leaves its parent's. */
static uint32_t tenths_at(const struct svg *s, uint64_t value)
{
	return s->values[0] ? (uint32_t)((unsigned __int128)value * GRAPH * 10 / s->values[0])
			    : GRAPH * 10;
}

static int draw_frame(FILE *out, const struct svg *s, const struct frame *f)
{
	uint32_t left = tenths_at(s, f->start), width = tenths_at(s, f->start + f->value) - left;
	uint32_t function = s->tree->nodes[f->node].function;
	bool labelled = width >= TENTHS_LABEL;
	char box[128], value[64], was[64];
	uint64_t shown = s->change ? s->change->after[f->node] : f->value;
	bool bytes = profile_metric_is_bytes(s->metric);

	if (f->node == 0 && s->values[0] == 0) {
		left = 0;
		width = GRAPH * 10;
	}
	if (width < TENTHS_DRAWN)
		return 0;
	left += MARGIN * 10;
	snprintf(box, sizeof(box), "x=\"%u.%u\" y=\"%u\" width=\"%u.%u\" height=\"%u\"", left / 10,
		left % 10, TOP + f->depth * ROW, width / 10, width % 10, ROW);
	unsigned colour = s->change ? colour_of_change(s->change->before[f->node], s->change->after[f->node])
			  : f->node ? colour_of(s->p, function)
				    : COLOUR_PSEUDO;
	if (!labelled) {
		fprintf(out, "<rect class=\"c%u\" %s/>\n", colour, box);
		return 0;
	}
	char *name = utf8_clean(f->node ? s->p->functions[function].name : "all", 300);
	char *brief = utf8_clean(f->node ? s->p->functions[function].brief : "all", NAME_MAX_BYTES);
	if (name && brief) {
		fprintf(out, "<g><title>");
		xml_text(out, name);
		if (s->change)
			fprintf(out, "\n%s before", amount(was, s->change->before[f->node], bytes));
		fprintf(out,
			"\n%s%s, %.2f%% of all</title><rect class=\"c%u\" %s/><svg %s><text x=\"4\" "
			"y=\"13\">",
			amount(value, shown, bytes), s->change ? " after" : "",
			s->values[0] ? 100.0 * (double)f->value / (double)s->values[0] : 0.0,
			colour, box, box);
		xml_label(out, brief, width - 60);
		fputs("</text></svg></g>\n", out);
	}
	int rc = name && brief ? 0 : -1;
	free(name);
	free(brief);
	return rc;
}

static int svg_draw(FILE *out, const struct svg *s)
{
	uint32_t rows = 0, height;
	int rc = 0;

	for (uint32_t i = 0; i < s->n_frames; i++)
		if (s->frames[i].depth >= rows)
			rows = s->frames[i].depth + 1;
	height = TOP + rows * ROW + MARGIN;
	fprintf(out,
		"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
		"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%u\" height=\"%u\" "
		"viewBox=\"0 0 %u %u\" role=\"img\" aria-label=\"",
		WIDTH, height, WIDTH, height);
	xml_text(out, s->title);
	fputs("\">\n<title>", out);
	xml_text(out, s->title);
	fputs("</title>\n<desc>", out);
	xml_text(out, s->subtitle);
	fputs("\n", out);
	xml_text(out, s->note);
	fputs("</desc>\n", out);
	draw_style(out);
	fprintf(out,
		"<g id=\"picture\">\n<rect class=\"page\" width=\"%u\" height=\"%u\"/>\n"
		"<text class=\"title\" x=\"%u\" y=\"24\">",
		WIDTH, height, MARGIN);
	xml_text(out, s->title);
	fprintf(out, "</text>\n<text class=\"faint\" x=\"%u\" y=\"44\">", MARGIN);
	xml_label(out, s->subtitle, GRAPH * 10);
	fprintf(out, "</text>\n<text class=\"faint\" x=\"%u\" y=\"61\">", MARGIN);
	xml_label(out, s->note, GRAPH * 10);
	fputs("</text>\n", out);
	if (!s->change)
		draw_legend(out, s);
	for (uint32_t i = 0; i < s->n_frames && rc == 0; i++)
		rc = draw_frame(out, s, &s->frames[i]);
	fputs("</g>\n<script type=\"application/json\" id=\"data\">", out);
	xml_text(out, s->json);
	fputs("</script>\n<script>\n", out);
	xml_text(out, flame_js);
	fputs("</script>\n</svg>\n", out);
	return rc;
}

int svg_write_change(FILE *out, const struct profile *p, const struct profile_tree *tree,
	enum profile_metric metric, bool plumbing_folded, const struct svg_change *change, struct error *e)
{
	struct svg s = {.p = p,
		.tree = tree,
		.metric = metric,
		.plumbing_folded = plumbing_folded,
		.change = change};

	for (int m = 0; m < METRIC_N; m++)
		if (!change && (!p->phase || (m != METRIC_PEAK && m != METRIC_TEMPORARY))) {
			if (m == (int)metric)
				s.chosen = s.n_shown;
			s.shown[s.n_shown++] = (enum profile_metric)m;
		}
	int rc = -1;

	s.values = calloc((size_t)tree->n_nodes + 1, sizeof(*s.values));
	s.frames = malloc(((size_t)tree->n_nodes + 1) * sizeof(*s.frames));
	if (s.values && s.frames) {
		svg_sum(&s);
		if (svg_titles(&s) == 0 && svg_cut(&s) == 0)
			rc = svg_draw(out, &s);
	}
	if (rc < 0)
		error_set(e, "out of memory");
	free(s.values);
	free(s.frames);
	free(s.title);
	free(s.subtitle);
	free(s.note);
	free(s.json);
	return rc;
}

int svg_write(FILE *out, const struct profile *p, const struct profile_tree *tree,
	enum profile_metric metric, bool plumbing_folded, struct error *e)
{
	return svg_write_change(out, p, tree, metric, plumbing_folded, NULL, e);
}
