/* SPDX-License-Identifier: MIT */
/* Budgets: what a file may say, what it may not, and the verdicts on synthetic tallies, worked out by hand. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../analyzer/budget.h"
#include "fixture.h"

/* Live at the peak: 100 x 400 B of app and 50 x 100 B of lib, 45,000 B; over the run also 50 x 8 B, temporary. */
static void load_small(struct fixture *f)
{
	struct synth *s = synth_init(&f->synth);

	synth_thread(s, "main");
	uint32_t app = synth_call(s, 0, "app::Main::run");
	uint32_t lib = synth_call(s, app, "lib::Table::fill");
	uint32_t b = synth_hold(s, lib, 50, 8);
	synth_free(s, b, 0, 50, 8);
	synth_counters(s, b, 0)->temporary = 50;
	synth_hold(s, app, 100, 400);
	synth_hold(s, lib, 50, 100);
	fixture_read(f, NULL);
}

/* The one limit of a budget: its value, what it allows, and whether it is exceeded. */
static void verdict(
	struct fixture *f, const char *text, double value, double allowed, bool exceeded)
{
	struct budget_result r;
	struct budget b;
	struct error e;
	char *path = fixture_file(text);

	cr_assert_eq(budget_read(&b, path, &e), 0, "%s: %s", text, e.text);
	cr_assert_eq(b.n_limits, 1, "%s: %u limits", text, b.n_limits);
	cr_assert_eq(budget_check(&r, &b, &f->evidence, &f->profile, &f->catalog, &e), 0, "%s: %s",
		text, e.text);
	cr_expect_float_eq(r.value, value, 1e-6, "%s: %f", text, r.value);
	cr_expect_float_eq(r.allowed, allowed, 1e-6, "%s: %f", text, r.allowed);
	cr_expect_eq(r.exceeded, exceeded, "%s", text);
	budget_release(&b);
	unlink(path);
	free(path);
}

Test(budget, verdicts)
{
	struct fixture f;

	load_small(&f);
	verdict(&f, "[limits]\npeak = 45000\n", 45000, 45000, false);
	verdict(&f, "[limits]\npeak = 44999\n", 45000, 44999, true);
	verdict(&f, "[limits]\npeak = \"45 kB\"\n", 45000, 45000, false);
	verdict(&f, "[limits]\nbytes = \"0.045 MB\"\n", 45400, 45000, true);
	verdict(&f, "[limits]\ncount = 200\n", 200, 200, false);
	verdict(&f, "[limits]\ncount = \"0.1 k\"\n", 200, 100, true);
	verdict(&f, "[limits]\ntemporary = 49\n", 50, 49, true);
	verdict(&f, "[limits]\nleaked = 0\n", 45000, 0, true);
	verdict(&f, "modules = 10\n[per-module]\npeak = 4500\n", 4500, 4500, false);
	verdict(&f, "modules = 3\n[per-module]\ncount = 66.5\n", 200 / 3.0, 66.5, true);
	verdict(&f, "[crate.app]\npeak = 40000\n", 40000, 40000, false);
	verdict(&f, "[crate.lib]\nbytes = 5399\n", 5400, 5399, true);
	/* against itself, with and without tolerance */
	verdict(&f, "[baseline]\ntally = \"x\"\npeak = 0\n", 45000, 45000, false);
	verdict(&f, "[baseline]\ntally = \"x\"\ncount = \"12.5%\"\n", 200, 225, false);
	fixture_release(&f);
}

/*
 * Made between the marks: in "make" 10 nodes of 1,500 B that the catalog calls export info, in "seal" 20 blocks of 100 B
 * of nobody's, of which 15 are freed, and in "make" again 2 nodes. Live at the end of each: 15,000; 15,500; 18,500 B.
 */
Test(budget, categories_and_phases)
{
	struct fixture f;
	struct synth *s = synth_init(&f.synth);

	synth_thread(s, "main");
	uint32_t insert = synth_call(s, synth_call(s, 0, "app::export"),
		"<alloc::collections::btree::map::BTreeMap<swc_atoms::Atom, "
		"rspack_core::exports::export_info::ExportInfoData>>::insert");
	uint32_t node = synth_bucket(s, insert, 1500);
	uint32_t other = synth_bucket(s, synth_call(s, 0, "app::other"), 100);
	synth_mark(s, "make", "", 100);
	synth_alloc(s, node, 0, 10, 1500);
	synth_mark(s, "seal", "", 200);
	synth_alloc(s, other, 0, 20, 100);
	synth_free(s, other, 0, 15, 100);
	struct ht_mark *end = synth_at(s, HT_SEC_MARKS, synth_mark(s, "make", "", 300));
	end->peak_bytes = 17000; /* since the mark before: 15,000 and 20 x 100 */
	synth_alloc(s, node, 0, 2, 1500);
	synth_mark(s, "done", "", 400);
	fixture_read(&f, NULL);

	verdict(&f, "[category.\"export info\"]\npeak = 18000\n", 18000, 18000, false);
	verdict(&f, "[category.\"export info\"]\npeak = \"17.9 kB\"\n", 18000, 17900, true);
	verdict(&f, "[category.\"export info\"]\ncount = 11\n", 12, 11, true);
	verdict(&f, "[category.\"dependency data\"]\nbytes = 0\n", 0, 0, false);
	/* of two phases of one name: what both request, and the higher of their peaks */
	verdict(&f, "[phase.make]\nbytes = 18000\n", 18000, 18000, false);
	verdict(&f, "[phase.make]\ncount = 11\n", 12, 11, true);
	verdict(&f, "[phase.make]\npeak = 18499\n", 18500, 18499, true);
	verdict(&f, "[phase.seal]\npeak = 17000\n", 17000, 17000, false);
	verdict(&f, "[phase.seal]\nbytes = \"1.9 kB\"\n", 2000, 1900, true);
	fixture_release(&f);
}

Test(budget, baseline_of_the_usual_three)
{
	struct budget b;
	struct error e;
	char *path = fixture_file(
		"[baseline]\ntally = \"old.tally\"\ntolerance = 5\npeak = 10\nleaked = 1\n");

	cr_assert_eq(budget_read(&b, path, &e), 0, "%s", e.text);
	cr_expect_str_eq(b.baseline, "/tmp/old.tally"); /* beside the file */
	cr_assert_eq(b.n_limits, 4);
	double tolerance[METRIC_N] = {0};
	for (uint32_t i = 0; i < b.n_limits; i++)
		tolerance[b.limits[i].key] += b.limits[i].limit;
	cr_expect_float_eq(tolerance[METRIC_PEAK], 0.1, 1e-9);
	cr_expect_float_eq(tolerance[METRIC_BYTES], 0.05, 1e-9);
	cr_expect_float_eq(tolerance[METRIC_COUNT], 0.05, 1e-9);
	cr_expect_float_eq(tolerance[METRIC_LEAKED], 0.01, 1e-9);
	budget_release(&b);
	unlink(path);
	free(path);
}

Test(budget, modules_from_the_marks)
{
	struct fixture f;
	struct budget_result r;
	struct budget b;
	struct error e;
	char *path = fixture_file("[per-module]\npeak = 8999\n");

	load_small(&f);
	cr_assert_eq(budget_read(&b, path, &e), 0);
	cr_expect_eq(budget_check(&r, &b, &f.evidence, NULL, &f.catalog, &e), -1);
	cr_expect_not_null(strstr(e.text, ":2: how many modules?"), "%s", e.text);
	f.evidence.modules = 5;
	cr_expect_eq(budget_check(&r, &b, &f.evidence, NULL, &f.catalog, &e), 0);
	cr_expect_float_eq(r.value, 9000, 1e-6);
	cr_expect(r.exceeded);
	budget_release(&b);
	fixture_release(&f);
	unlink(path);
	free(path);
}

/* The sentence of a file that is refused when it is read or when it is held against the tally. */
static void refused(struct fixture *f, const char *text, const char *wanted)
{
	struct budget_result r[8];
	struct budget b;
	struct error e = {""};
	char *path = fixture_file(text), full[256];

	if (!budget_read(&b, path, &e)) {
		cr_expect_eq(budget_check(r, &b, &f->evidence, &f->profile, &f->catalog, &e), -1,
			"%s", text);
		budget_release(&b);
	}
	snprintf(full, sizeof(full), "%s:%s", path, wanted);
	cr_expect_eq(strncmp(e.text, full, strlen(full)), 0, "%s: %s instead of …%s", text, e.text,
		wanted);
	unlink(path);
	free(path);
}

Test(budget, wrong_files_name_line_and_reason)
{
	struct fixture f;

	load_small(&f);
	refused(&f, "[limits]\npeak = 1\n\npeek = 5\n",
		"4: no limit 'peek' in [limits]; there are peak, bytes");
	refused(&f, "\n\n[limitz]\npeak = 1\n", "3: no table 'limitz'");
	refused(&f, "[limits]\npeak = \"5 mB\"\n", "2: peak takes bytes");
	refused(&f, "[limits]\npeak = -5\n", "2: peak takes bytes");
	refused(&f, "[limits]\npeak = nan\n", "2: peak takes bytes");
	refused(&f, "[limits]\npeak = true\n", "2: peak takes bytes");
	refused(&f, "[limits]\ncount = \"5 MB\"\n", "2: count takes a count");
	refused(&f, "[limits]\nfindings = 5\n", "2: no limit 'findings' in [limits]");
	refused(&f, "limits = 5\n", "1: limits must be a table");
	refused(&f, "[crate]\napp = 5\n", "2: app must be a table");
	refused(&f, "[crate.nope]\npeak = 5\n", "2: no crate 'nope'");
	refused(&f, "[category.nope]\npeak = 5\n", "2: no category 'nope'");
	refused(&f, "[phase.nope]\npeak = 5\n", "2: no phase 'nope'");
	refused(&f, "[phase.nope]\nleaked = 5\n",
		"2: no limit 'leaked' in [phase.…]; there are peak, bytes, count");
	refused(&f, "[category.nope]\nrss = 5\n", "2: no limit 'rss' in [category.…]");
	refused(&f, "[finding.churn]\npeak = 5\n", "2: no limit 'peak' in [finding.…]");
	refused(&f, "crate = 5\n", "1: crate must be a table of tables");
	refused(&f, "baseline = 5\n", "1: baseline must be a table");
	refused(&f, "[baseline]\ntally = \"x\"\nfindings = 5\n", "3: no limit 'findings'");
	refused(&f, "[per-module]\n\npeak = 5\n", "3: how many modules?");
	refused(&f, "[limits]\npeak = 1\npeak = 2\n", "3: ");
	refused(&f, "[finding.nope]\nfindings = 5\n", "2: no pattern 'nope'");
	refused(&f, "modules = 0\n[limits]\npeak = 5\n", "1: modules takes how many");
	refused(&f, "modules = 1.5\n[limits]\npeak = 5\n", "1: modules takes how many");
	refused(&f, "[baseline]\ntolerance = 5\n", "1: [baseline] needs tally");
	refused(&f, "[baseline]\ntally = \"x\"\n", "1: [baseline] needs a tolerance");
	refused(&f, "[baseline]\ntally = \"x\"\ntolerance = \"5\"\n",
		"3: tolerance takes a tolerance in percent");
	refused(&f, "[baseline]\ntally = 3\ntolerance = 5\n", "2: tally takes the path of a tally");
	refused(&f, "[limits]\nrss = 5\n", "2: RSS was not recorded");
	refused(&f, "", "1: no limit in it");
	refused(&f, "[limits]\npeak = = 5\n", "2: ");
	fixture_release(&f);
}

Test(budget, missing_file)
{
	struct budget b;
	struct error e;

	cr_expect_eq(budget_read(&b, "/nonexistent/budget.toml", &e), -1);
	cr_expect_str_eq(e.text, "/nonexistent/budget.toml: No such file or directory");
}
