/* SPDX-License-Identifier: MIT */
/* Growth laws on series whose law is known, and series from synthetic tallies. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../../analyzer/scale.h"
#include "../../analyzer/views/scale_text.h"
#include "synth.h"

#define SIZES 5u
static const double sizes[SIZES] = {500, 1000, 2000, 3000, 4000};

static double constant(double n)
{
	(void)n;
	return 3e6;
}
static double linear(double n)
{
	return 2e6 + 700 * n;
}
static double n_log_n(double n)
{
	return 1000 + 9 * n * log2(n);
}
static double square(double n)
{
	return 1e6 + 100 * n + 0.4 * n * n;
}
static double nothing(double n)
{
	(void)n;
	return 0;
}
static double falling(double n)
{
	return 1e7 - 1000 * n;
}
/* a table of 24 bytes an entry that is 7/8 full at most */
static double table(double n)
{
	return 24 * exp2(ceil(log2(n * 8 / 7)));
}

Test(scale, laws_are_told)
{
	static const struct {
		double (*of)(double);
		enum growth growth;
		double within; /* of the truth at 10,000; 0: not asked */
	} cases[] = {
		{constant, GROWTH_CONSTANT, 1e-6},
		{linear, GROWTH_LINEAR, 1e-6},
		{n_log_n, GROWTH_N_LOG_N, 1e-6},
		{square, GROWTH_QUADRATIC, 1e-6},
		{nothing, GROWTH_CONSTANT, 0},
		{falling, GROWTH_CONSTANT, 0},
		{table, GROWTH_LINEAR, 0},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		double y[SIZES];
		struct projection p;
		for (unsigned k = 0; k < SIZES; k++)
			y[k] = cases[i].of(sizes[k]);
		projection_init(&p, sizes, y, SIZES, false, 10000);
		cr_assert_eq(p.fit.growth, cases[i].growth, "case %zu is called %s", i,
			growth_name(p.fit.growth));
		double truth = cases[i].of(10000);
		if (cases[i].within > 0)
			cr_assert_leq(fabs(p.value - truth), cases[i].within * truth,
				"case %zu: %f", i, p.value);
		cr_assert(p.low <= p.value && p.value <= p.high && p.low >= 0);
	}
}

/* One part in a hundred either way, in every pattern of signs: no law but the right one, and the truth in the band. */
Test(scale, noise_is_no_law)
{
	for (unsigned signs = 0; signs < 1u << SIZES; signs++) {
		double y[SIZES];
		struct fit f;
		for (unsigned k = 0; k < SIZES; k++)
			y[k] = linear(sizes[k]) * (signs & 1u << k ? 1.01 : 0.99);
		fit_init(&f, sizes, y, SIZES, false);
		cr_assert_eq(f.growth, GROWTH_LINEAR, "signs %u are called %s", signs,
			growth_name(f.growth));
		for (unsigned k = 0; k < SIZES; k++)
			y[k] = square(sizes[k]) * (signs & 1u << k ? 1.01 : 0.99);
		fit_init(&f, sizes, y, SIZES, false);
		cr_assert(f.growth == GROWTH_QUADRATIC || f.growth == GROWTH_N_LOG_N,
			"signs %u are called %s", signs, growth_name(f.growth));
	}
}

/* A table's steps are no law either, wherever it stands at the first size. */
Test(scale, steps_are_no_law)
{
	static const double some[][5] = {{500, 1000, 2000, 3000, 4000},
		{500, 900, 1700, 2800, 4000}, {100, 300, 500, 700, 900}};

	for (size_t i = 0; i < sizeof(some) / sizeof(some[0]); i++)
		for (double each = 1; each < 2; each += 0.01) {
			double y[5];
			struct fit f;
			for (int k = 0; k < 5; k++)
				y[k] = table(some[i][k] * each);
			fit_init(&f, some[i], y, 5, false);
			cr_assert_eq(f.growth, GROWTH_LINEAR, "sizes %zu, %f each: %s", i, each,
				growth_name(f.growth));
		}
}

/* Capacities of one buffer that happen to look like a square, as they were seen: a line. Twice as steep: a square. */
Test(scale, one_buffer)
{
	static const double n[] = {500, 900, 1700, 2800, 4000},
			    seen[] = {442368, 507904, 884736, 1769472, 3538944};
	double y[5];
	struct fit f;

	fit_init(&f, n, seen, 5, true);
	cr_assert_eq(f.growth, GROWTH_LINEAR, "%s", growth_name(f.growth));
	for (int k = 0; k < 5; k++)
		y[k] = 3 * n[k] * n[k];
	fit_init(&f, n, y, 5, true);
	cr_assert_eq(f.growth, GROWTH_QUADRATIC, "%s", growth_name(f.growth));
}

/* Doublings of one size say nothing of where in its doubling a table is; other sizes do. */
Test(scale, doubling_capacities)
{
	static const double doublings[] = {500, 1000, 2000, 4000}, other[] = {500, 900, 1700, 3600};
	double wide = 0, narrow = 0;

	for (double at = 5000; at < 20000; at += 100) {
		for (int i = 0; i < 2; i++) {
			const double *x = i ? other : doublings;
			double y[4];
			struct projection p;
			for (int k = 0; k < 4; k++)
				y[k] = table(x[k]);
			projection_init(&p, x, y, 4, false, at);
			projection_doubles(&p, x, y, 4, at);
			cr_assert(p.low <= table(at) && table(at) <= p.high, "%f: %f to %f", at,
				p.low, p.high);
			*(i ? &narrow : &wide) += p.high - p.low;
		}
	}
	cr_assert_lt(narrow, wide);
}

static void add_run(struct scale *s, double n)
{
	struct synth y;
	struct tally t;
	struct profile p;
	struct evidence v;
	struct inventory inventory;
	struct catalog c;
	struct error e;

	synth_init(&y);
	uint32_t f = synth_call(&y, synth_call(&y, 0, "main"), "app::linear"),
		 g = synth_call(&y, synth_call(&y, 0, "main"), "app::square");
	synth_hold(&y, f, (uint64_t)n, 100);
	synth_hold(&y, g, (uint64_t)(n * n / 100), 8);
	synth_tally(&y, &t);
	cr_assert_eq(catalog_init(&c, NULL, &e), 0, "%s", e.text);
	cr_assert_eq(profile_init(&p, &t, c.plumbing, &e), 0);
	cr_assert_eq(evidence_init(&v, &p, &e), 0);
	cr_assert_eq(inventory_init(&inventory, &v, &c, &e), 0);
	cr_assert_eq(scale_add(s, n, &v, &inventory, &e), 0);
	inventory_release(&inventory);
	evidence_release(&v);
	profile_release(&p);
	catalog_release(&c);
	tally_release(&t);
	synth_release(&y);
}

Test(scale, series_of_runs)
{
	static const double n[] = {100, 200, 400, 800};
	struct scale s = {0};
	struct error e;
	char *text;
	size_t bytes;
	int sites = 0;

	for (int i = 0; i < 4; i++)
		add_run(&s, n[i]);
	cr_assert_eq(s.n_sizes, 4);
	for (size_t r = 0; r < s.n_rows; r++)
		for (int i = 0; i < 4; i++) {
			double first = 100 * n[i], second = 8 * n[i] * n[i] / 100,
			       all = first + second;
			sites += s.rows[r].kind == SCALE_SITE;
			if (r == 0 || s.rows[r].kind == SCALE_CATEGORY)
				cr_assert_float_eq(s.rows[r].bytes[i], all, 0.5);
			else if (strcmp(s.rows[r].name, "app::linear") == 0)
				cr_assert_float_eq(s.rows[r].bytes[i], first, 0.5);
			else if (strcmp(s.rows[r].name, "app::square") == 0)
				cr_assert_float_eq(s.rows[r].bytes[i], second, 0.5);
			else
				cr_assert(false, "a row %s", s.rows[r].name);
		}
	cr_assert_eq(sites, 8);
	FILE *out = open_memstream(&text, &bytes);
	cr_assert_eq(scale_text(out, &s, 10000, 80, false, &e), 0);
	fclose(out);
	/* 8 * 10000^2 / 100 and 100 * 10000 more */
	cr_assert_not_null(strstr(text, "quadratic"), "%s", text);
	cr_assert_not_null(strstr(text, "8.00 MB"), "%s", text);
	cr_assert_not_null(strstr(text, "app::square"));
	cr_assert_null(strstr(text, "app::linear"),
		"only what is super-linear is a site of note: %s", text);
	cr_assert_not_null(strstr(text, "9.00 MB"), "%s", text);
	free(text);
	scale_release(&s);
}
