/* SPDX-License-Identifier: MIT */
/* What a tally has of what a budget limits: see budget.h. */
#include <string.h>

#include "budget.h"
#include "inventory.h"

struct checker {
	const struct budget *b;
	const struct evidence *v;
	const struct profile *p, *baseline;
	const struct catalog *c;
	struct findings findings; /* made when the first limit asks for them */
	bool found;
	struct error *e;
};

static int refuse(const struct checker *k, const struct budget_limit *l, const char *what)
{
	return error_set(k->e, "%s:%u: %s", k->b->path, l->line, what);
}

static int refuse_name(const struct checker *k, const struct budget_limit *l, const char *what)
{
	return error_set(k->e, "%s:%u: no %s '%.80s' in %s", k->b->path, l->line, what, l->name,
		k->p->tally->path);
}

/* peak: as measured, which is what report says; the sum over buckets differs by FORMAT.md's bound. */
static double of_run(const struct profile *p, unsigned key)
{
	double rss = 0;

	if (key == METRIC_PEAK)
		return (double)p->tally->header.peak_bytes;
	if (key < METRIC_N)
		return (double)totals_metric(&p->total, (enum profile_metric)key);
	for (uint32_t i = 0; i < p->tally->n_points; i++)
		if ((double)p->tally->points[i].rss_bytes > rss)
			rss = (double)p->tally->points[i].rss_bytes;
	return rss;
}

static int of_module(const struct checker *k, const struct budget_limit *l, double *value)
{
	uint64_t modules = k->b->modules ? k->b->modules : k->v->modules;

	if (!modules)
		return refuse(k, l,
			"how many modules? Give modules = N on top, or mark the build with a "
			"number 'modules'");
	*value = of_run(k->p, l->key) / (double)modules;
	return 0;
}

static int of_crate(const struct checker *k, const struct budget_limit *l, double *value)
{
	for (uint32_t i = 0; i < k->p->n_crates; i++)
		if (!strcmp(k->p->crates[i].name, l->name)) {
			*value = (double)totals_metric(
				&k->p->crates[i].totals, (enum profile_metric)l->key);
			return 0;
		}
	return refuse_name(k, l, "crate");
}

static int of_category(const struct checker *k, const struct budget_limit *l, double *value)
{
	bool known = false;

	for (uint32_t i = 0; i < k->c->n_categories; i++)
		known |= !strcmp(k->c->categories[i].name, l->name);
	if (!known)
		return error_set(k->e, "%s:%u: no category '%.80s' in the catalog", k->b->path,
			l->line, l->name);
	for (uint32_t i = 0; i < k->v->n_groups; i++) {
		const struct catalog_category *row =
			inventory_category(k->v, k->c, &k->v->groups[i]);
		if (row && !strcmp(row->name, l->name))
			*value += (double)totals_metric(
				&k->v->groups[i].totals, (enum profile_metric)l->key);
	}
	return 0;
}

/* Phases of one name are added up, their peaks are not. */
static int of_phase(const struct checker *k, const struct budget_limit *l, double *value)
{
	const struct phases *phases = &k->v->phases;
	bool known = false;

	for (uint32_t i = 0; i < phases->n; i++) {
		const struct phase *ph = &phases->all[i];
		if (strcmp(ph->name, l->name))
			continue;
		known = true;
		if (l->key == METRIC_PEAK)
			*value = (double)ph->peak_bytes > *value ? (double)ph->peak_bytes : *value;
		else
			*value += (double)(l->key == METRIC_BYTES ? ph->alloc_bytes : ph->allocs);
	}
	return known ? 0 : refuse_name(k, l, "phase");
}

static int of_finding(struct checker *k, const struct budget_limit *l, double *value)
{
	if (!pattern_named(l->name))
		return error_set(k->e, "%s:%u: no pattern '%.80s'; heaptally-advise(1) lists them",
			k->b->path, l->line, l->name);
	if (!k->found && patterns_find(&k->findings, k->v, k->c, NULL, 0, k->e))
		return -1;
	k->found = true;
	for (uint32_t i = 0; i < k->findings.n; i++) {
		const struct finding *f = k->findings.rows[i];
		if (strcmp(f->pattern->name, l->name))
			continue;
		*value += l->key == BUDGET_FINDINGS       ? 1
			  : l->key == BUDGET_SAVES_PEAK   ? (double)f->saving.peak_bytes
			  : l->key == BUDGET_SAVES_ALLOCS ? (double)f->saving.allocs
							  : (double)f->saving.copied_bytes;
	}
	return 0;
}

static int check_one(struct checker *k, const struct budget_limit *l, struct budget_result *r)
{
	int ret = 0;

	*r = (struct budget_result){.limit = l, .allowed = l->limit};
	switch (l->scope) {
	case BUDGET_RUN:
		r->value = of_run(k->p, l->key);
		break;
	case BUDGET_PER_MODULE:
		ret = of_module(k, l, &r->value);
		break;
	case BUDGET_CRATE:
		ret = of_crate(k, l, &r->value);
		break;
	case BUDGET_CATEGORY:
		ret = of_category(k, l, &r->value);
		break;
	case BUDGET_PHASE:
		ret = of_phase(k, l, &r->value);
		break;
	case BUDGET_FINDING:
		ret = of_finding(k, l, &r->value);
		break;
	case BUDGET_BASELINE:
		r->value = of_run(k->p, l->key);
		r->allowed = of_run(k->baseline, l->key) * (1 + l->limit);
		break;
	}
	if (!ret && l->key == BUDGET_RSS &&
		(!k->p->tally->n_points || (k->baseline && !k->baseline->tally->n_points)))
		ret = refuse(k, l, "RSS was not recorded: the process was too short");
	r->exceeded = r->value > r->allowed;
	return ret;
}

int budget_check(struct budget_result *results, const struct budget *b, const struct evidence *v,
	const struct profile *baseline, const struct catalog *c, struct error *e)
{
	struct checker k = {.b = b, .v = v, .p = v->profile, .baseline = baseline, .c = c, .e = e};
	int ret = 0;

	for (uint32_t i = 0; i < b->n_limits && !ret; i++)
		ret = check_one(&k, &b->limits[i], &results[i]);
	if (k.found)
		findings_release(&k.findings);
	return ret;
}
