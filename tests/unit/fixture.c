/* SPDX-License-Identifier: MIT */
/* See fixture.h. */
#include "fixture.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

char *fixture_file(const char *text)
{
	char *path = strdup("/tmp/heaptally-test-XXXXXX");
	int fd = mkstemp(path);

	cr_assert_geq(fd, 0);
	cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
	return path;
}

void fixture_read(struct fixture *f, const char *toml)
{
	char *path = toml ? fixture_file(toml) : NULL;
	struct error e = {""};

	cr_assert_eq(catalog_init(&f->catalog, path, &e), 0, "%s", e.text);
	if (path)
		unlink(path);
	free(path);
	synth_tally(&f->synth, &f->tally);
	cr_assert_eq(
		profile_init(&f->profile, &f->tally, f->catalog.plumbing, &e), 0, "%s", e.text);
	cr_assert_eq(evidence_init(&f->evidence, &f->profile, &e), 0, "%s", e.text);
	f->findings = (struct findings){0};
}

void fixture_load(struct fixture *f, const char *pattern)
{
	struct error e = {""};
	const struct pattern *only = pattern ? pattern_named(pattern) : NULL;

	cr_assert(only || !pattern, "no pattern %s", pattern);
	fixture_read(f, NULL);
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

void fixture_none(const struct fixture *f)
{
	cr_assert_eq(f->findings.n, 0, "%s",
		f->findings.n ? f->profile.functions[f->findings.rows[0]->group->blame].name : "");
}

const struct group *fixture_group(const struct fixture *f, const char *blame)
{
	const struct group *found = NULL;

	for (uint32_t i = 0; i < f->evidence.n_groups; i++) {
		const struct group *g = &f->evidence.groups[i];
		if (strcmp(f->profile.functions[g->blame].name, blame))
			continue;
		cr_assert_null(found, "%s has two groups", blame);
		found = g;
	}
	cr_assert_not_null(found, "%s has no group", blame);
	return found;
}
