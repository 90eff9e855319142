/* SPDX-License-Identifier: MIT */
/* See fixture.h. */
#include "fixture.h"

#include <criterion/criterion.h>
#include <string.h>

void fixture_load(struct fixture *f, const char *pattern)
{
	struct error e = {""};
	const struct pattern *only = pattern ? pattern_named(pattern) : NULL;

	cr_assert(only || !pattern, "no pattern %s", pattern);
	cr_assert_eq(catalog_init(&f->catalog, NULL, &e), 0, "%s", e.text);
	synth_tally(&f->synth, &f->tally);
	cr_assert_eq(
		profile_init(&f->profile, &f->tally, f->catalog.plumbing, &e), 0, "%s", e.text);
	cr_assert_eq(evidence_init(&f->evidence, &f->profile, &e), 0, "%s", e.text);
	cr_assert_eq(patterns_find(&f->findings, &f->evidence, &f->catalog, only, 0, &e), 0, "%s",
		e.text);
}

void fixture_release(struct fixture *f)
{
	findings_release(&f->findings);
	evidence_release(&f->evidence);
	profile_release(&f->profile);
	tally_release(&f->tally);
	synth_release(&f->synth);
	catalog_release(&f->catalog);
}

uint32_t fixture_stack(struct synth *s, const char *const *names)
{
	uint32_t site = 0;

	for (; *names; names++)
		site = synth_call(s, site, *names);
	return site;
}

const struct finding *fixture_only(const struct fixture *f, const char *blame)
{
	cr_assert_eq(f->findings.n, 1, "%u findings", f->findings.n);
	const struct finding *x = f->findings.rows[0];
	cr_assert_str_eq(f->profile.functions[x->group->blame].name, blame);
	return x;
}

double fixture_figure(const struct finding *f, const char *key)
{
	for (uint32_t i = 0; i < f->n_figures; i++)
		if (!strcmp(f->figures[i].key, key))
			return f->figures[i].value;
	cr_assert_fail("no figure %s", key);
	return 0;
}
