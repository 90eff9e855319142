/* SPDX-License-Identifier: MIT */
/*
 * The report: one small tally whose text was written by hand from the events below, text and JSON against each other,
 * JSON against its schema, and both against tallies made to overflow lines and counters.
 */
#include <criterion/criterion.h>
#include <jansson.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <wchar.h>

#include "../../analyzer/cmd.h"
#include "../../analyzer/views/figures.h"
#include "../../analyzer/views/json.h"
#include "../../analyzer/views/text.h"
#include "synth.h"

static const char *const crates[] = {"alloc", "core", "std", "hashbrown", "tokio", NULL};

static void make_report(struct synth *s, struct report *r, enum profile_metric by, uint32_t top)
{
	struct tally t;
	struct profile p;
	struct error e = {""};

	synth_tally(s, &t);
	cr_assert_eq(profile_init(&p, &t, crates, &e), 0, "%s", e.text);
	cr_assert_eq(report_init(r, &p, by, top, &e), 0, "%s", e.text);
	profile_release(&p);
	tally_release(&t); /* the report must not need it */
}

static char *text_of(const struct report *r, unsigned columns, bool style)
{
	char *text = NULL;
	size_t n = 0;
	FILE *out = open_memstream(&text, &n);
	struct error e = {""};

	cr_assert_eq(text_write(out, r, columns, style, &e), 0, "%s", e.text);
	fclose(out);
	return text;
}

static json_t *json_of(const struct report *r)
{
	char *text = NULL;
	size_t n = 0;
	FILE *out = open_memstream(&text, &n);
	struct error e = {""};
	json_error_t why;

	cr_assert_eq(json_write(out, r, &e), 0, "%s", e.text);
	fclose(out);
	json_t *json = json_loadb(text, n, 0, &why);
	cr_assert_not_null(json, "%s", why.text);
	free(text);
	return json;
}

static json_int_t number(const json_t *object, const char *key)
{
	const json_t *v = json_object_get(object, key);

	cr_assert(json_is_integer(v), "%s is no integer", key);
	return json_integer_value(v);
}

static const char *text_field(const json_t *object, const char *key)
{
	const char *v = json_string_value(json_object_get(object, key));

	cr_assert_not_null(v, "%s is no string", key);
	return v;
}

static void add_point(struct synth *s, uint64_t ticks, uint64_t live_max, uint64_t rss)
{
	synth_point(s, ticks);
	struct ht_point *p =
		synth_at(s, HT_SEC_TIMELINE, (uint32_t)s->tables[HT_SEC_TIMELINE].n - 1);
	p->live_max_bytes = live_max;
	p->rss_bytes = rss;
	p->vm_bytes = 10 * rss;
	p->data_bytes = 2 * rss;
	p->map_bytes = 2 * rss;
	p->unmap_bytes = rss / 2;
}

/*
 * parse: 4 x 1000 B, one grown to 2000 B, two freed. emit: 10 x 24 B, all freed, 6 of them temporary. The peak comes
 * with the realloc at 400 ms: 3 x 1000 + 2000 B in 4 blocks; 3000 B in 2 blocks are left.
 * Requested 4000 + 240 + 2000; usable 4 x 1008 + 10 x 32 + 2000.
 */
static void make_small(struct synth *s)
{
	synth_init(s);
	s->header.state = HT_STATE_EXITED;
	s->header.cpu_ns = 1500000000;
	uint32_t app = synth_module(s, "/opt/bundler"), libc = synth_module(s, "/lib/libc.so.6");
	synth_module(s, "/lib/quiet.so");
	struct ht_module *m = synth_at(s, HT_SEC_MODULES, app);
	m->map_bytes = 2000000;
	m->unmap_bytes = 500000;

	synth_frame(s, app, 0x10, "app::main", "src/main.rs", 3);
	synth_frame(s, app, 0x20, "app::parse", "src/parse.rs", 12);
	synth_frame(s, app, 0x30, "<alloc::vec::Vec<u8>>::push", NULL, 0);
	synth_frame(s, app, 0x40, "app_emit::emit", NULL, 0);
	synth_frame(s, libc, 0x50, "strdup", NULL, 0);
	uint32_t main_site = synth_site(s, 0, app, 0x10);
	uint32_t parse = synth_site(s, synth_site(s, main_site, app, 0x20), app, 0x30);
	uint32_t emit = synth_site(s, synth_site(s, main_site, app, 0x40), libc, 0x50);
	uint32_t thread = synth_thread(s, "bundler");
	synth_thread(s, "idle");
	uint32_t b1000 = synth_bucket(s, parse, 1000), b2000 = synth_bucket(s, parse, 2000);
	uint32_t b24 = synth_bucket(s, emit, 24);

	synth_alloc(s, b1000, thread, 4, 1000);
	add_point(s, 100000000, 4000, 1000000);
	synth_alloc(s, b24, thread, 10, 24);
	synth_free(s, b24, thread, 10, 24);
	synth_counters(s, b24, thread)->temporary = 6;
	s->header.last_ticks = 400000000;
	synth_realloc(s, b1000, b2000, thread, 1000, 2000);
	add_point(s, 400000000, 5000, 3000000);
	synth_free(s, b1000, thread, 2, 1000);
	s->header.last_ticks = 1000000000;
	add_point(s, 1000000000, 5000, 2000000);

	struct ht_thread *t = synth_at(s, HT_SEC_THREADS, thread);
	t->allocs = 14;
	t->reallocs = 1;
	t->alloc_bytes = 6240;
	t->frees = 12;
	t->temporary = 6;
	s->header.unknown_frees = 7;
	s->header.failures = 1;
	s->header.failed_bytes = 1 << 20;
}

/* The strings of a tally are the test's, and so is the path synth_tally reads it from: only from line 2 on. */
static const char small_text[] =
	"  program      prog, pid 4711, exited\n"
	"  command      prog --flag\n"
	"  time         1.00 s wall, 1.50 s CPU, 2 threads\n"
	"  peak         5.00 kB in 4 blocks, at 400 ms\n"
	"  leaked       3.00 kB in 2 blocks live at the end\n"
	"  requested    6.24 kB; the allocator added 112 B of slack (1.8%)\n"
	"  allocations  14\n"
	"  reallocs     1, copying 1.00 kB\n"
	"  frees        12, 0 of them by another thread\n"
	"  temporary    6 (40.0% of allocations and reallocs)\n"
	"\n"
	"Notable\n"
	"  - The allocator refused 1 requests, 1.05 MB in all.\n"
	"\n"
	"Functions by peak: who held the bytes live at the peak\n"
	"     peak  share   blocks  average  function\n"
	"  5.00 kB   100%        4  1.25 kB  app::parse\n"
	"           via Vec<u8>::push at parse.rs:12 from app::main\n"
	"\n"
	"Crates (C and C++: namespaces, modules)\n"
	"     peak  share   blocks  average  crate\n"
	"  5.00 kB   100%        4  1.25 kB  app\n"
	"\n"
	"Memory: RSS against heap\n"
	"  heap       ▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁  5.00 kB\n"
	"  RSS        ▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃████████████████████████████████████▅  3.00 MB\n"
	"        0 s                                                   1.00 s\n"
	"  RSS          3.00 MB at most, 3.00 MB at the heap's peak\n"
	"  heap         5.00 kB live there, so that 3.00 MB of RSS is something else:\n"
	"               what modules mapped themselves (4.50 MB then, less munmap; not\n"
	"               all of it need be resident), freed memory that the allocator\n"
	"               keeps, slack, stacks, code and files.\n"
	"  mapped       2.00 MB over the run by bundler\n"
	"  virtual      30.0 MB mapped in all at the peak, 6.00 MB of it private and\n"
	"               writable\n"
	"\n"
	"Sizes of requests\n"
	"  size          count    bytes     peak  share of peak\n"
	"  to 32 B          10    240 B      0 B     0%\n"
	"  to 1 KiB          4  4.00 kB  3.00 kB  60.0%  ██████████████████████████████\n"
	"  to 2 KiB          1  2.00 kB  2.00 kB  40.0%  ████████████████████\n"
	"\n"
	"Threads by name\n"
	"   allocs  share  reallocs    frees    bytes     temp  thread\n"
	"       14   100%         1       12  6.24 kB        6  bundler\n"
	"        0     0%         0        0      0 B        0  idle\n"
	"\n"
	"Coverage: modules whose allocations were seen\n"
	"    count    bytes   mapped  module\n"
	"       15  6.24 kB  2.00 MB  bundler\n"
	"  2 more loaded, without allocations or mappings of their own\n"
	"\n"
	"Dropped events and other gaps\n"
	"        7  frees of pointers whose allocation was not seen\n"
	"        1  requests that the allocator refused, 1.05 MB\n"
	"\n"
	"MB is 10^6 bytes; --json has exact figures.\n";

Test(report, small_tally_reads_as_written_by_hand)
{
	struct synth s;
	struct report r;

	make_small(&s);
	make_report(&s, &r, METRIC_PEAK, 10);
	char *text = text_of(&r, 80, false), *from = strchr(text, '\n') + 1;
	size_t i = 0;
	while (from[i] && from[i] == small_text[i])
		i++;
	cr_assert_str_eq(from, small_text, "from byte %zu on:\n%.200s\n--- expected:\n%.200s", i,
		from + i, small_text + i);
	free(text);
	report_release(&r);
	synth_release(&s);
}

Test(report, every_metric_orders_and_values_its_rows)
{
	static const struct {
		json_int_t value, count, bytes, rows;
		const char *first;
	} expected[METRIC_N] = {
		[METRIC_PEAK] = {5000, 4, 5000, 1, "app::parse"},
		[METRIC_BYTES] = {6000, 5, 6000, 2, "app::parse"},
		[METRIC_COUNT] = {10, 10, 240, 2, "app_emit::emit"},
		[METRIC_TEMPORARY] = {6, 10, 240, 1, "app_emit::emit"},
		[METRIC_LEAKED] = {3000, 2, 3000, 1, "app::parse"},
	};
	struct synth s;
	struct report r;

	make_small(&s);
	for (int m = 0; m < METRIC_N; m++) {
		make_report(&s, &r, (enum profile_metric)m, 0);
		json_t *j = json_of(&r), *rows = json_object_get(j, "functions");
		json_t *first = json_array_get(rows, 0);
		cr_assert_eq((json_int_t)json_array_size(rows), expected[m].rows, "metric %d", m);
		cr_assert_str_eq(text_field(first, "function"), expected[m].first);
		cr_assert_eq(number(first, "value"), expected[m].value, "metric %d", m);
		cr_assert_eq(number(first, "count"), expected[m].count, "metric %d", m);
		cr_assert_eq(number(first, "bytes"), expected[m].bytes, "metric %d", m);
		json_decref(j);
		report_release(&r);
	}
	synth_release(&s);
}

Test(report, top_cuts_and_says_what_it_cut)
{
	struct synth s;
	struct report r;
	char name[32];

	synth_init(&s);
	for (uint64_t i = 1; i <= 20; i++) {
		snprintf(name, sizeof(name), "crate%02u::f", (unsigned)i);
		synth_hold(&s, synth_call(&s, 0, name), i, 100);
	}
	make_report(&s, &r, METRIC_PEAK, 5);
	json_t *j = json_of(&r);
	/* 20 + 19 + … + 16 are shown, 15 + 14 + … + 1 = 120 blocks of 210 are not */
	cr_assert_eq(json_array_size(json_object_get(j, "functions")), 5);
	cr_assert_eq(json_array_size(json_object_get(j, "crates")), 5);
	cr_assert_eq(number(json_object_get(j, "more_functions"), "rows"), 15);
	cr_assert_eq(number(json_object_get(j, "more_functions"), "value"), 12000);
	cr_assert_eq(number(json_object_get(j, "more_crates"), "count"), 120);
	char *text = text_of(&r, 80, false);
	cr_assert(strstr(text, "  12.0 kB  57.1%      120    100 B  15 more\n"), "%s", text);
	json_decref(j);
	free(text);
	report_release(&r);
	synth_release(&s);
}

/* ---- text against JSON ---- */

/* The figures of report_model.h once more, with integers only. */
static const char *human(char *out, json_int_t value, bool bytes)
{
	static const char *const units[] = {"", "k", "M", "G", "T", "P", "E"};
	unsigned __int128 v = (unsigned __int128)value * 1000, unit = 1000;
	int u = 0;

	if (value < (bytes ? 1000 : 100000)) {
		sprintf(out, bytes ? "%lld B" : "%lld", (long long)value);
		return out;
	}
	while (u == 0 || 2 * v >= 1999 * unit) {
		unit *= 1000;
		u++;
	}
	unsigned tenths = (unsigned)((v * 10 + unit / 2) / unit);
	unsigned hundredths = (unsigned)((v * 100 + unit / 2) / unit);
	if (hundredths < 1000)
		sprintf(out, "%u.%02u", hundredths / 100, hundredths % 100);
	else if (tenths < 1000)
		sprintf(out, "%u.%u", tenths / 10, tenths % 10);
	else
		sprintf(out, "%u", (unsigned)((v + unit / 2) / unit));
	sprintf(out + strlen(out), " %s%s", units[u], bytes ? "B" : "");
	return out;
}

Test(report, figures_for_people)
{
	char a[FIGURE_SIZE], b[FIGURE_SIZE];
	static const struct {
		uint64_t value;
		const char *bytes, *count;
	} cases[] = {{0, "0 B", "0"}, {999, "999 B", "999"}, {1000, "1.00 kB", "1000"},
		{9994, "9.99 kB", "9994"}, {9990, "9.99 kB", "9990"}, {99949, "99.9 kB", "99949"},
		{123456, "123 kB", "123 k"}, {999499, "999 kB", "999 k"},
		{999500, "1.00 MB", "1.00 M"}, {12605123, "12.6 MB", "12.6 M"},
		{UINT64_MAX, "18.4 EB", "18.4 E"}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		cr_assert_str_eq(figure_bytes(a, cases[i].value), cases[i].bytes);
		cr_assert_str_eq(figure_count(a, cases[i].value), cases[i].count);
	}
	cr_assert_str_eq(figure_exact(a, 0), "0");
	cr_assert_str_eq(figure_exact(a, 999), "999");
	cr_assert_str_eq(figure_exact(a, 12605123), "12,605,123");
	cr_assert_str_eq(figure_exact(a, UINT64_MAX), "18,446,744,073,709,551,615");
	cr_assert_str_eq(figure_time(a, 999999999), "999 ms");
	cr_assert_str_eq(figure_time(a, 2710000000), "2.71 s");
	cr_assert_str_eq(figure_time(a, 754900000000), "754 s");
	cr_assert_str_eq(figure_share(a, 0), "0%");
	cr_assert_str_eq(figure_share(a, 0.0001), "<0.1%");
	cr_assert_str_eq(figure_share(a, 0.0412), "4.1%");
	cr_assert_str_eq(figure_share(a, 0.9996), "100%");
	cr_assert_str_eq(figure_bytes(a, 1234567), human(b, 1234567, true));
}

/* Finds a line that starts with these columns, in text from *from on, and moves behind it. */
static void expect_line(const char **from, const char *line)
{
	const char *at = strstr(*from, line);

	cr_assert_not_null(at, "not in the text, or out of order: %s", line);
	*from = at + strlen(line);
}

Test(report, text_and_json_show_the_same_figures)
{
	struct synth s;
	struct report r;
	char line[256], a[64], b[64], c[64], d[64];
	unsigned seed = 99;
	size_t i;
	json_t *row;

	synth_init(&s);
	for (int k = 0; k < 40; k++) {
		char name[32];
		snprintf(name, sizeof(name), "crate%d::function%d", k % 7, k);
		uint32_t site = synth_call(&s, synth_call(&s, 0, "app::main"), name);
		for (int n = 0; n < 4; n++) {
			uint64_t bytes = 1ull << rand_r(&seed) % 30;
			synth_hold(&s, site, 1 + (uint64_t)(rand_r(&seed) % 400000), bytes);
		}
	}
	uint32_t thread = synth_thread(&s, "worker");
	((struct ht_thread *)synth_at(&s, HT_SEC_THREADS, thread))->allocs = 1234567;
	((struct ht_thread *)synth_at(&s, HT_SEC_THREADS, thread))->alloc_bytes = 7654321;
	make_report(&s, &r, METRIC_BYTES, 12);
	json_t *j = json_of(&r);
	char *text = text_of(&r, 80, false);
	const char *at = text;

	json_array_foreach(json_object_get(j, "functions"), i, row)
	{
		snprintf(line, sizeof(line), "  %7s  %4.1f%%  %7s  %7s  %s",
			human(a, number(row, "value"), true),
			100 * json_real_value(json_object_get(row, "share")),
			human(b, number(row, "count"), false),
			human(c, number(row, "average_bytes"), true), text_field(row, "function"));
		expect_line(&at, line);
	}
	cr_assert_eq(i, 12);
	json_array_foreach(json_object_get(j, "crates"), i, row)
	{
		snprintf(line, sizeof(line), "  %7s  %4.1f%%  %7s  %7s  %s\n",
			human(a, number(row, "value"), true),
			100 * json_real_value(json_object_get(row, "share")),
			human(b, number(row, "count"), false),
			human(c, number(row, "average_bytes"), true), text_field(row, "crate"));
		expect_line(&at, line);
	}
	cr_assert_eq(i, 7);
	json_int_t requested = 0;
	json_array_foreach(json_object_get(j, "sizes"), i, row)
	{
		json_t *t = json_object_get(row, "totals");
		cr_assert_eq(number(row, "value"), number(t, "alloc_bytes"));
		requested += number(row, "value");
		snprintf(line, sizeof(line), "  %7s  %7s  %7s  ",
			human(a, number(row, "count"), false), human(b, number(row, "bytes"), true),
			human(c, number(t, "peak_bytes"), true));
		expect_line(&at, line);
	}
	cr_assert_eq(requested, number(json_object_get(j, "summary"), "requested_bytes"));
	snprintf(line, sizeof(line), "  %7s   100%%  %8s  %7s  %7s  %7s  worker\n",
		human(a, number(json_array_get(json_object_get(j, "threads"), 0), "allocs"), false),
		"0", "0",
		human(d, number(json_array_get(json_object_get(j, "threads"), 0), "alloc_bytes"),
			true),
		"0");
	expect_line(&at, line);
	row = json_array_get(json_object_get(j, "coverage"), 0);
	snprintf(line, sizeof(line), "  %7s  %7s  %7s  %s\n", human(a, number(row, "count"), false),
		human(b, number(row, "bytes"), true), "0 B", text_field(row, "module"));
	expect_line(&at, line);
	free(text);
	json_decref(j);
	report_release(&r);
	synth_release(&s);
}

/* ---- the schema ---- */

static json_t *schema_load(void)
{
	json_error_t why;
	json_t *schema = json_load_file("analyzer/views/REPORT.schema.json", 0, &why);

	cr_assert_not_null(schema, "%s (run the tests from the root of the tree)", why.text);
	return schema;
}

static bool type_fits(const json_t *v, const char *type)
{
	return !strcmp(type, "object")    ? json_is_object(v)
	       : !strcmp(type, "array")   ? json_is_array(v)
	       : !strcmp(type, "string")  ? json_is_string(v)
	       : !strcmp(type, "integer") ? json_is_integer(v)
	       : !strcmp(type, "number")  ? json_is_number(v)
	       : !strcmp(type, "boolean") ? json_is_boolean(v)
	       : !strcmp(type, "null")    ? json_is_null(v)
					  : false;
}

/* The part of JSON Schema that REPORT.schema.json uses; another keyword is an error. */
static bool fits(const json_t *root, const json_t *schema, const json_t *v)
{
	const char *key;
	json_t *rule, *item;
	size_t i;

	json_object_foreach((json_t *)schema, key, rule)
	{
		bool ok = false;
		if (!strcmp(key, "$ref")) {
			ok = fits(root,
				json_object_get(json_object_get(root, "$defs"),
					strrchr(json_string_value(rule), '/') + 1),
				v);
		} else if (!strcmp(key, "type") && json_is_string(rule)) {
			ok = type_fits(v, json_string_value(rule));
		} else if (!strcmp(key, "type")) {
			json_array_foreach(rule, i, item) ok |=
				type_fits(v, json_string_value(item));
		} else if (!strcmp(key, "enum")) {
			json_array_foreach(rule, i, item) ok |= json_equal(item, v);
		} else if (!strcmp(key, "anyOf")) {
			json_array_foreach(rule, i, item) ok |= fits(root, item, v);
		} else if (!strcmp(key, "const")) {
			ok = json_equal(rule, v);
		} else if (!strcmp(key, "minimum")) {
			ok = !json_is_number(v) || json_number_value(v) >= json_number_value(rule);
		} else if (!strcmp(key, "maximum")) {
			ok = !json_is_number(v) || json_number_value(v) <= json_number_value(rule);
		} else if (!strcmp(key, "items")) {
			ok = true;
			json_array_foreach(v, i, item) ok &= fits(root, rule, item);
		} else if (!strcmp(key, "required")) {
			ok = true;
			json_array_foreach(rule, i, item) ok &=
				json_object_get(v, json_string_value(item)) != NULL;
		} else if (!strcmp(key, "properties")) {
			const char *name;
			ok = true; /* and none that the schema does not know: additionalProperties */
			json_object_foreach((json_t *)v, name, item) ok &=
				json_object_get(rule, name) &&
				fits(root, json_object_get(rule, name), item);
		} else {
			static const char *const words[] = {
				"$schema", "$defs", "title", "description", "additionalProperties"};
			for (i = 0; i < sizeof(words) / sizeof(*words); i++)
				ok |= !strcmp(key, words[i]);
		}
		if (!ok)
			return false;
	}
	return json_is_object(schema);
}

Test(report, json_is_what_the_schema_says)
{
	struct synth s;
	struct report r;
	json_t *schema = schema_load();
	struct ht_snapshot shot = {
		.number = 1, .live_bytes = 1, .n_rows = 12, .step = 1, .pages = 12, .every = 2};

	make_small(&s);
	synth_counters(&s, 1, 0)->timed_calls = 50;
	synth_counters(&s, 1, 0)->timed_ticks = 5000;
	synth_add(&s, HT_SEC_SNAPSHOTS, &shot);
	for (uint32_t page = 0; page < 12; page++) {
		struct ht_locality row = {page, 1, 1, 1000};
		synth_add(&s, HT_SEC_LOCALITY, &row);
	}
	for (int m = 0; m < METRIC_N; m++) {
		make_report(&s, &r, (enum profile_metric)m, 1);
		json_t *j = json_of(&r);
		cr_assert_eq(json_array_size(json_object_get(
				     json_object_get(j, "allocator_time"), "functions")),
			1);
		cr_assert_eq(
			json_array_size(json_object_get(json_object_get(j, "locality"), "functions")),
			1);
		cr_assert_gt(
			json_array_size(json_object_get(json_object_get(j, "memory"), "spans")), 0);
		cr_assert(fits(schema, schema, j), "metric %d", m);
		/* and the check does check */
		json_object_set_new(json_object_get(j, "summary"), "surprise", json_true());
		cr_assert_not(fits(schema, schema, j));
		json_object_del(json_object_get(j, "summary"), "surprise");
		json_object_set_new(json_object_get(j, "memory"), "map_bytes", json_string("1"));
		cr_assert_not(fits(schema, schema, j));
		json_object_del(json_object_get(j, "memory"), "map_bytes");
		cr_assert_not(fits(schema, schema, j));
		json_decref(j);
		report_release(&r);
	}
	synth_release(&s);
	synth_init(&s); /* nothing at all in it */
	make_report(&s, &r, METRIC_PEAK, 10);
	json_t *j = json_of(&r);
	cr_assert(fits(schema, schema, j));
	json_decref(j);
	json_decref(schema);
	report_release(&r);
	synth_release(&s);
}

/* ---- layout ---- */

static void check_columns(const char *text, int most)
{
	mbstate_t state = {0};
	int columns = 0;
	wchar_t c;

	cr_assert_not_null(setlocale(LC_CTYPE, "C.UTF-8"));
	for (const char *p = text; *p;) {
		size_t n = mbrtowc(&c, p, strlen(p), &state);
		cr_assert(n > 0 && n < (size_t)-2, "not UTF-8: %.60s", p);
		columns = c == '\n' ? 0 : columns + wcwidth(c);
		cr_assert(c == '\n' || wcwidth(c) >= 0, "a control character: %.60s", p);
		cr_assert_leq(columns, most, "over %d columns: %.*s", most, 160,
			p - text > 120 ? p - 120 : text);
		p += n;
	}
}

/* Names wide, long, broken and hostile; every number as large as it gets. */
static void make_monster(struct synth *s)
{
	char name[4096] = "<alloc::vec::Vec<";
	struct ht_header *h = &s->header;

	synth_init(s);
	uint32_t module = synth_module(s, "/opt/"
					  "模块模块模块模块模块模块模块模块模块模块模块模块模块模块"
					  "模块模块模块模块模块.node");
	uint32_t dark = synth_module(s, "/opt/\033[31mevil\nmodule\xff.node");
	for (uint32_t m = module; m <= dark; m++) {
		struct ht_module *hm = synth_at(s, HT_SEC_MODULES, m);
		hm->map_bytes = UINT64_MAX;
		hm->flags = HT_MODULE_NO_TABLES | HT_MODULE_GONE |
			    (m == module ? HT_MODULE_ADOPTED : 0);
		hm->adopted = 0xff;
	}
	for (int i = 0; i < 40; i++)
		strcat(name, "crate::模块::Très<Long>, ");
	strcat(name, ">>::push");
	synth_frame(s, module, 0x10,
		"主要::函数::处理所有的模块并且生成输出文件以及源代码映射表格::"
		"闭包闭包闭包闭包闭包",
		"/src/长长长长长长长长长长长长长长长长长长长长长长长长长长长长长长长长长长长长.rs",
		UINT32_MAX);
	synth_frame(s, module, 0x20, "bad\xff\xfe\xc3\033]0;title\007utf8::ÿ\xc3", NULL, 0);
	synth_frame(s, module, 0x30, name, NULL, 0);
	synth_frame(s, module, 0x40,
		"no_spaces_no_colons_just_one_very_very_very_long_c_identifier_that_goes_on_and_on_"
		"and_on_and_on",
		NULL, 0);
	uint32_t site = synth_site(s, 0, module, 0x20);
	for (int i = 0; i < 5; i++) {
		uint32_t inner = synth_site(s, site, module, 0x10),
			 vec = synth_site(s, inner, module, 0x30);
		synth_alloc(s, synth_bucket(s, vec, 1ull << (i * 12)), 0, 1000000, 1ull << (i * 6));
		site = synth_site(s, site, module, i & 1 ? 0x40 : 0x20);
		synth_hold(s, site, 1ull << 50, 24);
	}
	uint32_t thread = synth_thread(s, "线程线程线程");
	struct ht_thread *t = synth_at(s, HT_SEC_THREADS, thread);
	t->threads = UINT32_MAX;
	t->allocs = t->frees = t->reallocs = t->temporary = t->alloc_bytes = UINT64_MAX / 2;
	for (int i = 0; i < HT_DROP_COUNT; i++)
		h->dropped[i] = UINT64_MAX;
	h->unknown_frees = h->inherited_frees = h->zero_sizes = h->failures = h->failed_bytes =
		UINT64_MAX;
	h->lost_frees = h->bootstrap_allocs = h->bootstrap_bytes = h->cut_stacks = h->deep_stacks =
		UINT64_MAX;
	h->cpu_ns = h->map_bytes = h->sample_bytes = UINT64_MAX;
	h->pid = UINT32_MAX;
	h->command = synth_string(s, "node 构建 构建 构建 构建 构建 构建 构建 构建 构建 构建 构建 "
				     "构建 构建 构建 构建 \033[2J");
	h->program = synth_string(s, "程序程序程序程序程序程序程序程序程序程序程序程序程序程序程序"
				     "程序程序程序程序程序程序程序");
	h->generation = 1;
	for (int i = 0; i < 70; i++)
		add_point(s, (uint64_t)i * 1000000, UINT64_MAX / 16, UINT64_MAX / 16);
}

Test(report, no_line_is_wider_than_the_terminal)
{
	struct synth s;
	struct report r;
	json_t *schema = schema_load();

	make_monster(&s);
	for (int m = 0; m < METRIC_N; m++) {
		make_report(&s, &r, (enum profile_metric)m, 3);
		unsigned widths[] = {0, 80, 81, 120, 400};
		for (size_t i = 0; i < sizeof(widths) / sizeof(*widths); i++) {
			char *text = text_of(&r, widths[i], false);
			check_columns(text, widths[i] < 80 ? 80 : (int)widths[i]);
			free(text);
		}
		json_t *j = json_of(&r);
		cr_assert(fits(schema, schema, j), "metric %d", m);
		json_decref(j);
		report_release(&r);
	}
	json_decref(schema);
	synth_release(&s);
}

Test(report, style_only_adds_escapes)
{
	struct synth s;
	struct report r;

	make_small(&s);
	make_report(&s, &r, METRIC_PEAK, 10);
	char *plain = text_of(&r, 80, false), *styled = text_of(&r, 80, true), *to = styled;
	cr_assert_null(strchr(plain, '\033'));
	cr_assert_not_null(strchr(styled, '\033'));
	for (const char *p = styled; *p; p++)
		if (*p == '\033')
			p = strchr(p, 'm');
		else
			*to++ = *p;
	*to = '\0';
	cr_assert_str_eq(styled, plain);
	free(plain);
	free(styled);
	report_release(&r);
	synth_release(&s);
}

/* ---- what is said besides the tables ---- */

static bool has_note(const struct report *r, const char *key)
{
	for (uint32_t i = 0; i < r->n_notes; i++)
		if (!strcmp(r->notes[i].key, key))
			return true;
	return false;
}

Test(report, nothing_notable_is_short)
{
	struct synth s;
	struct report r;

	synth_init(&s);
	synth_hold(&s, synth_call(&s, 0, "app::f"), 1, 100);
	make_report(&s, &r, METRIC_PEAK, 10);
	char *text = text_of(&r, 80, false);
	cr_assert_null(strstr(text, "Notable"));
	cr_assert_not_null(strstr(text, "\n  nothing dropped\n"));
	cr_assert_not_null(strstr(text, "killed or still running"));
	cr_assert_not_null(strstr(text, "no timeline"));
	free(text);
	report_release(&r);
	synth_release(&s);
}

Test(report, a_module_with_its_own_allocator_is_told)
{
	struct synth s;
	struct report r;
	struct ht_module *m;

	for (int adopted = 0; adopted < 2; adopted++) {
		synth_init(&s);
		synth_hold(&s, synth_call(&s, 0, "app::f"), 1, 100);
		uint32_t dark = synth_module(&s, "/opt/dark.node"),
			 few = synth_module(&s, "/opt/few.so");
		m = synth_at(&s, HT_SEC_MODULES, dark);
		m->map_bytes = 900000000;
		m->flags = adopted ? HT_MODULE_ADOPTED : 0;
		m->adopted = adopted ? 5 : 0;
		m = synth_at(&s, HT_SEC_MODULES, few);
		m->map_bytes = 3999999;
		make_report(&s, &r, METRIC_PEAK, 10);
		char *text = text_of(&r, 80, false);
		cr_assert_eq(has_note(&r, "unseen_module"), !adopted);
		cr_assert_eq(
			strstr(text,
				"not seen: 900 MB mapped by itself, likely a static allocator") !=
				NULL,
			!adopted);
		cr_assert_eq(strstr(text, "adopted: alloc realloc\n") != NULL, adopted);
		cr_assert_null(strstr(text, "not seen: 4.00 MB"));
		free(text);
		report_release(&r);
		synth_release(&s);
	}
}

/* Allocations answer to the innermost module that is not the C library or an allocator. */
Test(report, coverage_passes_through_the_c_library)
{
	struct synth s;
	struct report r;

	synth_init(&s);
	uint32_t app = synth_module(&s, "/opt/app"), libc = synth_module(&s, "/lib/libc.so.6");
	uint32_t cxx = synth_module(&s, "/lib/libstdc++.so.6"),
		 plugin = synth_module(&s, "/opt/plugin.so");
	synth_frame(&s, app, 0x10, "app_main", NULL, 0);
	synth_frame(&s, plugin, 0x10, "plugin_run", NULL, 0);
	synth_frame(&s, cxx, 0x10, "operator new(unsigned long)", NULL, 0);
	synth_frame(&s, libc, 0x10, "strdup", NULL, 0);
	uint32_t a = synth_site(&s, 0, app, 0x10), p = synth_site(&s, a, plugin, 0x10);
	synth_hold(&s, a, 1, 8);
	synth_hold(&s, synth_site(&s, a, libc, 0x10), 2, 8);
	synth_hold(&s, p, 4, 8);
	synth_hold(&s, synth_site(&s, p, cxx, 0x10), 8, 8);
	synth_hold(&s, synth_site(&s, 0, libc, 0x10), 16, 8);
	make_report(&s, &r, METRIC_PEAK, 10);
	cr_assert_eq(r.n_modules, 3);
	cr_assert_str_eq(r.modules[0].name, "libc.so.6");
	cr_assert_eq(r.modules[0].count, 16);
	cr_assert_str_eq(r.modules[1].name, "plugin.so");
	cr_assert_eq(r.modules[1].count, 12);
	cr_assert_str_eq(r.modules[2].name, "app");
	cr_assert_eq(r.modules[2].count, 3);
	cr_assert_eq(r.n_quiet_modules, 1);
	report_release(&r);
	synth_release(&s);
}

Test(report, threads_of_one_name_are_one_row)
{
	struct synth s;
	struct report r;

	synth_init(&s);
	for (int i = 0; i < 3; i++) {
		struct ht_thread *t =
			synth_at(&s, HT_SEC_THREADS, synth_thread(&s, i == 1 ? "main" : "pool"));
		t->allocs = 10 + (uint64_t)i;
		t->threads = i == 2 ? 7 : 1;
	}
	make_report(&s, &r, METRIC_PEAK, 10);
	cr_assert_eq(r.n_threads, 2);
	cr_assert_str_eq(r.threads[0].name, "pool");
	cr_assert_eq(r.threads[0].threads, 8);
	cr_assert_eq(r.threads[0].allocs, 22);
	cr_assert_eq(r.summary.threads, 9);
	report_release(&r);
	synth_release(&s);
}

/* ---- the command ---- */

/* argp calls exit(): in this child of the test's process nothing else may run then. */
static void leave(int status, void *arg)
{
	(void)arg;
	fflush(NULL);
	_exit(status);
}

static int run(char *const *argv, char *out, char *err, size_t bytes)
{
	char out_path[] = "/tmp/heaptally-test-XXXXXX", err_path[] = "/tmp/heaptally-test-XXXXXX";
	int out_fd = mkstemp(out_path), err_fd = mkstemp(err_path), status, argc = 0;

	while (argv[argc])
		argc++;
	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0) {
		dup2(out_fd, STDOUT_FILENO);
		dup2(err_fd, STDERR_FILENO);
		on_exit(leave, NULL);
		exit(cmd_report(argc, (char **)argv));
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert(WIFEXITED(status));
	ssize_t n = pread(out_fd, out, bytes - 1, 0), m = pread(err_fd, err, bytes - 1, 0);
	out[n] = '\0';
	err[m] = '\0';
	close(out_fd);
	close(err_fd);
	unlink(out_path);
	unlink(err_path);
	return WEXITSTATUS(status);
}

Test(report, command_exit_codes)
{
	char path[] = "/tmp/heaptally-test-XXXXXX", foreign[] = "/etc/passwd", by[] = "--by=size",
	     top[] = "--top=-1", json[] = "--json", none[] = "/nonexistent/x.tally",
	     program[] = "report";
	static char out[65536], err[65536];
	char *bad[][4] = {{program, NULL}, {program, foreign, NULL}, {program, none, NULL},
		{program, by, path, NULL}, {program, top, path, NULL}, {program, path, path, NULL}};
	struct synth s;

	close(mkstemp(path));
	make_small(&s);
	synth_write(&s, path);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		cr_assert_eq(run(bad[i], out, err, sizeof(out)), 2, "case %zu", i);
		cr_assert_str_empty(out);
		cr_assert_eq(strchr(err, '\n'), err + strlen(err) - 1, "one sentence: %s", err);
	}
	cr_assert_eq(run((char *[]){program, path, NULL}, out, err, sizeof(out)), 0);
	cr_assert_str_empty(err);
	cr_assert_eq(strncmp(out, path, strlen(path)), 0);
	cr_assert_str_eq(strchr(out, '\n') + 1, small_text);
	cr_assert_eq(run((char *[]){program, path, json, NULL}, out, err, sizeof(out)), 0);
	json_t *j = json_loads(out, 0, NULL);
	cr_assert_not_null(j);
	cr_assert_eq(number(json_object_get(j, "summary"), "peak_bytes"), 5000);
	json_decref(j);
	truncate(path, 3000);
	cr_assert_eq(run((char *[]){program, path, NULL}, out, err, sizeof(out)), 2);
	cr_assert_str_empty(out);
	unlink(path);
	synth_release(&s);
}
