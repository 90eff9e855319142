/* SPDX-License-Identifier: MIT */
/*
 * Flame graph and folded stacks, on trees made by hand. Expected values are computed from the fixture's own figures;
 * xmllint judges the XML and jansson the JSON.
 */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "../../analyzer/views/folded.h"
#include "../../analyzer/views/svg.h"
#include "../../analyzer/utf8.h"

/* As svg.c and flame.js agree on: depth, function, five metrics. */
#define FRAME_FIELDS 7
/* The picture's graph in pixels, and where the root's row begins. */
#define GRAPH_PX 1180.0
#define ROOT_Y   96

struct fixture {
	struct tally tally;
	struct ht_module modules[1];
	struct profile_crate crates[2];
	struct profile profile;
	struct profile_tree tree;
};

static char strings[] = "\0node\0node build.js <a> & \"b\"\0/x/rspack.node";

static void fixture_init(
	struct fixture *f, const char *const *names, uint32_t n_names, uint32_t n_nodes)
{
	memset(f, 0, sizeof(*f));
	f->tally.strings = strings;
	f->tally.strings_bytes = sizeof(strings);
	f->tally.header.program = 1;
	f->tally.header.command = 6;
	f->tally.header.pid = 4711;
	f->modules[0].path = (uint32_t)(strstr(strings + 6, "\"b\"") + 4 - strings);
	f->tally.modules = f->modules;
	f->tally.n_modules = 1;
	f->crates[0].name = "rspack_core";
	f->crates[1].name = "alloc";
	f->crates[1].plumbing = true;
	f->profile.tally = &f->tally;
	f->profile.crates = f->crates;
	f->profile.n_crates = 2;
	f->profile.functions = calloc(n_names, sizeof(*f->profile.functions));
	f->profile.n_functions = n_names;
	for (uint32_t i = 0; i < n_names; i++) {
		f->profile.functions[i].name = names[i];
		f->profile.functions[i].brief = (char *)names[i];
	}
	f->tree.nodes = calloc(n_nodes, sizeof(*f->tree.nodes));
	f->tree.n_nodes = n_nodes;
}

static void fixture_release(struct fixture *f)
{
	free(f->profile.functions);
	free(f->tree.nodes);
}

/* Node i, called from parent, with so many bytes at the peak of its own; added up into its callers' totals. */
static void fixture_node(
	struct fixture *f, uint32_t i, uint32_t parent, uint32_t function, int64_t peak)
{
	struct profile_node *nodes = f->tree.nodes;

	nodes[i].function = function;
	nodes[i].self.peak_bytes = peak;
	nodes[i].self.allocs = 1;
	if (i) {
		nodes[i].parent = parent;
		nodes[i].next_sibling = nodes[parent].first_child;
		nodes[parent].first_child = i;
	}
	for (uint32_t up = i;; up = nodes[up].parent) {
		totals_add(&nodes[up].total, &nodes[i].self);
		if (up == 0)
			break;
	}
}

static char *render_folded(struct fixture *f)
{
	char *text;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	cr_assert_eq(folded_write(out, &f->profile, &f->tree, METRIC_PEAK, NULL), 0);
	fclose(out);
	return text;
}

static char *render_svg(struct fixture *f, enum profile_metric metric)
{
	char *text;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	cr_assert_eq(svg_write(out, &f->profile, &f->tree, metric, true, NULL), 0);
	fclose(out);
	cr_assert_eq(strlen(text), size, "a NUL in the file");
	return text;
}

static void assert_well_formed(const char *svg)
{
	FILE *lint = popen("xmllint --noout -", "w");

	cr_assert_not_null(lint);
	fputs(svg, lint);
	cr_assert_eq(pclose(lint), 0, "xmllint refuses it (or is not installed)");
}

/* The JSON that flame.js will see. */
static json_t *svg_data(const char *svg)
{
	static const char *const escapes[][2] = {
		{"&lt;", "<"}, {"&gt;", ">"}, {"&quot;", "\""}, {"&amp;", "&"}};
	const char *from = strstr(svg, "id=\"data\">");
	cr_assert_not_null(from);
	from += strlen("id=\"data\">");
	const char *end = strstr(from, "</script>");
	char *json = malloc((size_t)(end - from) + 1), *to = json;

	while (from < end) {
		size_t i = 0;
		while (i < 4 && strncmp(from, escapes[i][0], strlen(escapes[i][0])) != 0)
			i++;
		*to++ = i < 4 ? *escapes[i][1] : *from;
		from += i < 4 ? strlen(escapes[i][0]) : 1;
	}
	*to = '\0';
	json_error_t error;
	json_t *data = json_loads(json, 0, &error);
	cr_assert_not_null(data, "%s", error.text);
	free(json);
	return data;
}

static json_int_t field(const json_t *data, size_t frame, size_t which)
{
	return json_integer_value(
		json_array_get(json_object_get(data, "frames"), frame * FRAME_FIELDS + which));
}

static size_t n_frames(const json_t *data)
{
	return json_array_size(json_object_get(data, "frames")) / FRAME_FIELDS;
}

static const char *frame_name(const json_t *data, size_t frame)
{
	json_int_t function = field(data, frame, 1);
	json_t *row = json_array_get(json_object_get(data, "functions"), (size_t)function);

	return function < 0 ? "all" : json_string_value(json_array_get(row, 0));
}

/* Frames in depth-first order: below each one, its callees' values add up to its own at most. */
static void assert_nested(const json_t *data)
{
	for (size_t i = 0; i < n_frames(data); i++) {
		json_int_t left = field(data, i, 2);
		for (size_t j = i + 1; j < n_frames(data) && field(data, j, 0) > field(data, i, 0);
			j++)
			if (field(data, j, 0) == field(data, i, 0) + 1)
				left -= field(data, j, 2);
		cr_assert_geq(left, 0, "frame %zu holds less than its callees", i);
	}
}

/*
 * all ─ main ─┬ parse ─ Vec::push 300
 *             │    self 100
 *             └ seal 600
 */
static const char *const plain_names[] = {"main", "parse", "alloc::Vec<u8>::push", "seal"};

static void fixture_plain(struct fixture *f)
{
	fixture_init(f, plain_names, 4, 5);
	fixture_node(f, 0, 0, PROFILE_NONE, 0);
	fixture_node(f, 1, 0, 0, 0);
	fixture_node(f, 2, 1, 1, 100);
	fixture_node(f, 3, 1, 3, 600);
	fixture_node(f, 4, 2, 2, 300);
}

Test(folded, plain_text)
{
	struct fixture f;

	fixture_plain(&f);
	char *text = render_folded(&f);
	cr_assert_str_eq(text, "node;main;parse 100\n"
			       "node;main;parse;alloc::Vec<u8>::push 300\n"
			       "node;main;seal 600\n");
	free(text);
	fixture_release(&f);
}

Test(folded, names_keep_the_line_format)
{
	static const char *const names[] = {
		"<[u8; 4] as X>::f 12", "two\nlines", "\xff\xfe", "", "b"};
	struct fixture f;

	fixture_init(&f, names, 5, 6);
	fixture_node(&f, 0, 0, PROFILE_NONE, 7);
	for (uint32_t i = 1; i < 5; i++)
		fixture_node(&f, i, i - 1, i - 1, 10 * i);
	fixture_node(&f, 5, 4, 4, -10); /* freed more than allocated: nothing to show */
	char *text = render_folded(&f);
	cr_assert_str_eq(text,
		"node 7\n"
		"node;<[u8, 4] as X>::f 12 10\n"
		"node;<[u8, 4] as X>::f 12;two\xef\xbf\xbdlines 20\n"
		"node;<[u8, 4] as X>::f 12;two\xef\xbf\xbdlines;\xef\xbf\xbd\xef\xbf\xbd 30\n"
		"node;<[u8, 4] as X>::f 12;two\xef\xbf\xbdlines;\xef\xbf\xbd\xef\xbf\xbd;? 40\n");
	free(text);
	fixture_release(&f);
}

Test(svg, values_and_order)
{
	static const struct {
		const char *name;
		json_int_t depth, peak, count;
	} want[] = {{"all", 0, 1000, 5}, {"main", 1, 1000, 4}, {"seal", 2, 600, 1},
		{"parse", 2, 400, 2}, {"alloc::Vec<u8>::push", 3, 300, 1}};
	struct fixture f;

	fixture_plain(&f);
	char *svg = render_svg(&f, METRIC_PEAK);
	json_t *data = svg_data(svg);
	cr_assert_eq(n_frames(data), 5);
	for (size_t i = 0; i < 5; i++) {
		cr_assert_str_eq(frame_name(data, i), want[i].name);
		cr_assert_eq(field(data, i, 0), want[i].depth);
		cr_assert_eq(field(data, i, 2 + METRIC_PEAK), want[i].peak);
		cr_assert_eq(field(data, i, 2 + METRIC_COUNT), want[i].count);
	}
	assert_nested(data);
	assert_well_formed(svg);
	json_decref(data);
	free(svg);
	fixture_release(&f);
}

/* What the picture shows of one labelled frame. */
static void find_rect(const char *svg, const char *title, double *x, double *y, double *width)
{
	const char *at = strstr(svg, title);

	cr_assert_not_null(at, "%s", title);
	at = strstr(at, "<rect");
	cr_assert_not_null(at);
	cr_assert_eq(sscanf(at, "<rect class=\"%*[^\"]\" x=\"%lf\" y=\"%lf\" width=\"%lf\"", x, y,
			     width),
		3);
}

Test(svg, widths_are_proportional)
{
	static const struct {
		const char *title;
		double start, value; /* of 1000 */
		int depth;
	} want[] = {{"<title>all\n", 0, 1000, 0}, {"<title>main\n", 0, 1000, 1},
		{"<title>seal\n", 0, 600, 2}, {"<title>parse\n", 600, 400, 2},
		{"<title>alloc::Vec&lt;u8&gt;::push\n", 600, 300, 3}};
	struct fixture f;

	fixture_plain(&f);
	char *svg = render_svg(&f, METRIC_PEAK);
	for (size_t i = 0; i < 5; i++) {
		double x, y, width;
		find_rect(svg, want[i].title, &x, &y, &width);
		cr_assert_float_eq(x, 10 + want[i].start / 1000 * GRAPH_PX, 1);
		cr_assert_float_eq(width, want[i].value / 1000 * GRAPH_PX, 1);
		cr_assert_float_eq(y, ROOT_Y + 18 * want[i].depth, 0.01);
	}
	free(svg);
	fixture_release(&f);
}

struct rect {
	double x, y, right;
};

static size_t find_rects(const char *svg, struct rect *rects, size_t max)
{
	size_t n = 0;

	for (const char *at = strstr(svg, "<rect"); at; at = strstr(at + 1, "<rect")) {
		double width;
		struct rect r;
		if (sscanf(at, "<rect class=\"%*[^\"]\" x=\"%lf\" y=\"%lf\" width=\"%lf\"", &r.x,
			    &r.y, &width) != 3)
			continue;
		if (r.y < ROOT_Y)
			continue; /* the legend */
		cr_assert_lt(n, max);
		r.right = r.x + width;
		rects[n++] = r;
	}
	return n;
}

/* A pseudo-random tree, in which every node's parent is an earlier one. */
static void fixture_random(struct fixture *f, uint32_t n)
{
	uint32_t random = 1;

	fixture_init(f, plain_names, 4, n);
	fixture_node(f, 0, 0, PROFILE_NONE, 0);
	for (uint32_t i = 1; i < n; i++) {
		random = random * 1664525 + 1013904223;
		uint32_t parent = i < 4 ? 0 : (random >> 8) % (i / 2);
		fixture_node(f, i, parent, i % 4, (random >> 4) % 997);
	}
}

Test(svg, frames_lie_inside_their_parent)
{
	enum { MAX = 4000 };
	struct rect *rects = calloc(MAX, sizeof(*rects));
	struct fixture f;

	fixture_random(&f, 3000);
	char *svg = render_svg(&f, METRIC_PEAK);
	size_t n = find_rects(svg, rects, MAX);
	cr_assert_gt(n, 500);
	for (size_t i = 1; i < n; i++) {
		/* the parent is the last one drawn before it in the row above */
		size_t up = i;
		while (up > 0 && rects[up].y != rects[i].y - 18)
			up--;
		cr_assert_eq(rects[up].y, rects[i].y - 18);
		cr_assert(rects[i].x >= rects[up].x - 0.001 &&
				  rects[i].right <= rects[up].right + 0.001,
			"%zu: %f-%f is not inside %f-%f", i, rects[i].x, rects[i].right,
			rects[up].x, rects[up].right);
		for (size_t j = i - 1; j > up; j--)
			cr_assert(rects[j].y != rects[i].y || rects[j].right <= rects[i].x + 0.001,
				"siblings %zu and %zu overlap", j, i);
	}
	free(rects);
	free(svg);
	fixture_release(&f);
}

Test(svg, root_is_the_total)
{
	struct fixture f;

	fixture_random(&f, 3000);
	char *svg = render_svg(&f, METRIC_PEAK);
	json_t *data = svg_data(svg);
	json_int_t sum = 0;
	for (uint32_t i = 0; i < f.tree.n_nodes; i++)
		sum += f.tree.nodes[i].self.peak_bytes;
	cr_assert_eq(field(data, 0, 2), sum);
	assert_nested(data);
	json_decref(data);
	free(svg);
	fixture_release(&f);
}

Test(svg, live_below_zero_reads_as_nothing)
{
	struct fixture f;

	fixture_init(&f, plain_names, 4, 4);
	fixture_node(&f, 0, 0, PROFILE_NONE, 0);
	fixture_node(&f, 1, 0, 0, -50);
	fixture_node(&f, 2, 1, 1, 80);
	fixture_node(&f, 3, 1, 3, -1);
	char *svg = render_svg(&f, METRIC_PEAK);
	json_t *data = svg_data(svg);
	cr_assert_eq(n_frames(data), 3);
	for (size_t i = 0; i < 3; i++)
		cr_assert_eq(field(data, i, 2), 80);
	json_decref(data);
	free(svg);
	fixture_release(&f);
}

Test(svg, names_are_escaped)
{
	static const char *const names[] = {"a<b>&\"c'", "]]></script><script>alert(1)</script>",
		"bad \xff\xc0\x80\xed\xa0\x80 utf", "ctl \x01\x1b[31m\x7f",
		"\xef\xbf\xbf \xef\xbf\xbe", "", "<[[u8]]>::é漢😀"};
	struct fixture f;

	fixture_init(&f, names, 7, 8);
	fixture_node(&f, 0, 0, PROFILE_NONE, 0);
	for (uint32_t i = 1; i < 8; i++)
		fixture_node(&f, i, i - 1, i - 1, 100);
	char *svg = render_svg(&f, METRIC_PEAK);
	assert_well_formed(svg);
	cr_assert_null(strstr(svg, "<script>alert"));
	json_t *data = svg_data(svg);
	cr_assert_str_eq(frame_name(data, 1), names[0]);
	cr_assert_str_eq(frame_name(data, 2), names[1]);
	cr_assert_str_eq(frame_name(data, 7), names[6]);
	json_decref(data);
	free(svg);
	fixture_release(&f);
}

/* 10,000 frames of 1 byte are 0.01% each of what they share with one of 90,000; three of 20 are 0.02% each. */
Test(svg, small_frames_become_part_of_their_parent)
{
	struct fixture f;

	fixture_init(&f, plain_names, 4, 10006);
	fixture_node(&f, 0, 0, PROFILE_NONE, 0);
	fixture_node(&f, 1, 0, 0, 0);
	fixture_node(&f, 2, 1, 1, 89940);
	for (uint32_t i = 3; i < 6; i++)
		fixture_node(&f, i, 1, 3, 20);
	for (uint32_t i = 6; i < 10006; i++)
		fixture_node(&f, i, 1, 2, 1);
	char *svg = render_svg(&f, METRIC_PEAK);
	json_t *data = svg_data(svg);
	cr_assert_eq(n_frames(data), 6);
	cr_assert_eq(field(data, 1, 2), 100000);
	cr_assert_not_null(strstr(svg,
		"Frames below 0.02% are drawn as part of their parent (6 of 10,006 are shown)"));
	cr_assert(json_is_true(json_object_get(data, "cut")));
	json_decref(data);
	free(svg);
	fixture_release(&f);
}

Test(svg, same_input_same_bytes)
{
	struct fixture a, b;

	fixture_plain(&a);
	fixture_init(&b, plain_names, 4, 5);
	/* the same tree, its nodes numbered and linked the other way round */
	fixture_node(&b, 0, 0, PROFILE_NONE, 0);
	fixture_node(&b, 1, 0, 0, 0);
	fixture_node(&b, 2, 1, 3, 600);
	fixture_node(&b, 3, 1, 1, 100);
	fixture_node(&b, 4, 3, 2, 300);
	char *x = render_svg(&a, METRIC_PEAK), *y = render_svg(&b, METRIC_PEAK);
	cr_assert_str_eq(x, y);
	free(x);
	free(y);
	fixture_release(&a);
	fixture_release(&b);
}

Test(svg, nothing_leaked)
{
	struct fixture f;

	fixture_plain(&f);
	char *svg = render_svg(&f, METRIC_LEAKED);
	json_t *data = svg_data(svg);
	assert_well_formed(svg);
	cr_assert_eq(n_frames(data), 1);
	cr_assert_eq(field(data, 0, 2 + METRIC_LEAKED), 0);
	json_decref(data);
	free(svg);
	fixture_release(&f);
}

/* Depth must cost no stack and a deep or wide tree no more than 3 MB. */
Test(svg, size_is_bounded)
{
	enum { N = 300000 };
	struct fixture deep, wide;
	char *long_name = calloc(1, 100001);

	memset(long_name, 'x', 100000);
	const char *names[] = {long_name};
	fixture_init(&deep, names, 1, N);
	fixture_init(&wide, names, 1, N);
	for (uint32_t i = 1; i < N; i++) {
		deep.tree.nodes[i].parent = i - 1;
		deep.tree.nodes[i - 1].first_child = i;
		wide.tree.nodes[i].next_sibling = i + 1 < N ? i + 1 : 0;
		wide.tree.nodes[i].self.peak_bytes = 1;
	}
	deep.tree.nodes[N - 1].self.peak_bytes = 1;
	wide.tree.nodes[0].first_child = 1;
	struct fixture *both[] = {&deep, &wide};
	for (int i = 0; i < 2; i++) {
		char *svg = render_svg(both[i], METRIC_PEAK);
		cr_assert_lt(strlen(svg), 3000000);
		free(svg);
		fixture_release(both[i]);
	}
	free(long_name);
}

/* Counters of a hostile tally may add up to more than 64 bits hold. */
Test(svg, sums_do_not_wrap)
{
	struct fixture f;

	fixture_init(&f, plain_names, 4, 4);
	for (uint32_t i = 1; i < 4; i++) {
		f.tree.nodes[i].function = i;
		f.tree.nodes[i].next_sibling = i < 3 ? i + 1 : 0;
		f.tree.nodes[i].self.peak_bytes = INT64_MAX;
	}
	f.tree.nodes[0].first_child = 1;
	char *svg = render_svg(&f, METRIC_PEAK);
	struct rect rects[8];
	size_t n = find_rects(svg, rects, 8);
	cr_assert_geq(n, 3);
	for (size_t i = 0; i < n; i++)
		cr_assert_leq(rects[i].right, 10 + GRAPH_PX + 0.001);
	free(svg);
	fixture_release(&f);
}

Test(utf8, clean_and_cut)
{
	char *s = utf8_clean("ab\xf0\x9f\x98\x80\xf0\x9f\x98", 100);
	cr_assert_str_eq(s, "ab\xf0\x9f\x98\x80\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
	free(s);
	/* 12 characters of 2 bytes: the cut falls on none of them */
	s = utf8_clean("éééééééééééé", 14);
	cr_assert_leq(strlen(s), 14);
	cr_assert_str_eq(s, "ééé…éé");
	free(s);
	cr_assert_eq(utf8_fit("漢字x", 4), strlen("漢字"));
	cr_assert_eq(utf8_fit("漢字x", 3), strlen("漢"));
	cr_assert_eq(utf8_fit("abc", 9), 3);
}
