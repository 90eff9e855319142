/* SPDX-License-Identifier: MIT */
/* Growth laws by least squares. */
#include <math.h>
#include <string.h>

#include "scale.h"

/* A series that moves by less than this share is constant. */
#define FLAT 0.05
/* From what on a better law is looked for, and how much better it must be. */
#define GOOD_ENOUGH    0.01
#define N_LOG_N_BETTER 4.0
#define N_LOG_N_ERROR  0.005 /* it differs so little from a line that steps and noise pass for it */
#define SQUARE_BETTER  3.0
#define SQUARE_SHARE   0.15 /* of the greatest value, that the square must have */
#define SQUARE_SIZES   4u   /* three parameters want one more */

/* Steps of doubling stay below 2 of a line; a law that is off by more than this must go beyond that. */
#define SURE   0.02
#define SPREAD 2.5

static const char *const names[GROWTH_N] = {"constant", "linear", "n log n", "quadratic"};

const char *growth_name(enum growth g)
{
	return names[g];
}

static double law(enum growth g, double size)
{
	return g == GROWTH_N_LOG_N ? size * log2(size > 1 ? size : 1) : size;
}

/* not below 0 */
static double fit_at(const struct fit *f, double size)
{
	double x = law(f->growth, size), y = f->a + f->b * x + f->c * x * x;

	return y > 0 ? y : 0;
}

/* Solves up to three normal equations; false: singular. */
static bool solve(double m[3][4], int n)
{
	for (int i = 0; i < n; i++) {
		int best = i;
		for (int k = i + 1; k < n; k++)
			if (fabs(m[k][i]) > fabs(m[best][i]))
				best = k;
		if (fabs(m[best][i]) < 1e-12)
			return false;
		for (int k = 0; k < 4; k++) {
			double swap = m[i][k];
			m[i][k] = m[best][k];
			m[best][k] = swap;
		}
		for (int r = 0; r < n; r++) {
			double times = r == i ? 0 : m[r][i] / m[i][i];
			for (int k = i; k < 4; k++)
				m[r][k] -= times * m[i][k];
		}
	}
	for (int i = 0; i < n; i++)
		m[i][3] /= m[i][i];
	return true;
}

/*
 * Least squares with 1, 2 or 3 terms of 1, x, x^2. Residuals weigh less where values are great, since errors of memory
 * are in proportion. x and y are scaled to 1, so that the equations are well conditioned.
 */
static bool fit_law(
	struct fit *f, enum growth g, const double *sizes, const double *values, unsigned n)
{
	double m[3][4] = {{0}}, x_most = law(g, sizes[n - 1]), most = 0, squares = 0;
	int terms = g == GROWTH_CONSTANT ? 1 : g == GROWTH_QUADRATIC ? 3 : 2;

	*f = (struct fit){.growth = g};
	for (unsigned i = 0; i < n; i++)
		most = values[i] > most ? values[i] : most;
	if (most <= 0 || x_most <= 0)
		return g == GROWTH_CONSTANT;
	for (unsigned i = 0; i < n; i++) {
		double x = law(g, sizes[i]) / x_most, y = values[i] / most;
		double weight = 1 / (y + 0.1), power[3] = {1, x, x * x};
		for (int r = 0; r < terms; r++) {
			for (int k = 0; k < terms; k++)
				m[r][k] += weight * power[r] * power[k];
			m[r][3] += weight * power[r] * y;
		}
	}
	if (!solve(m, terms))
		return false;
	f->a = m[0][3] * most;
	f->b = terms > 1 ? m[1][3] * most / x_most : 0;
	f->c = terms > 2 ? m[2][3] * most / x_most / x_most : 0;
	for (unsigned i = 0; i < n; i++) {
		double x = law(g, sizes[i]), off = f->a + f->b * x + f->c * x * x - values[i];
		squares += off * off;
	}
	f->error = sqrt(squares / n) / most;
	return true;
}

/* Each value some doublings of the one before, and no more in all than a line makes of them. */
static bool doubles(const double *sizes, const double *values, unsigned n)
{
	for (unsigned i = 1; i < n; i++) {
		double times = values[i - 1] > 0 ? log2(values[i] / values[i - 1]) : 0.5;
		if (fabs(times - round(times)) > 0.03)
			return false;
	}
	return values[n - 1] / values[0] < 2.05 * sizes[n - 1] / sizes[0];
}

static bool convincing(
	const struct fit *f, const double *sizes, const double *values, unsigned n, bool buffers)
{
	double least = values[0] / sizes[0], most = least;

	for (unsigned i = 1; i < n; i++) {
		double each = values[i] / sizes[i];
		least = each < least ? each : least;
		most = each > most ? each : most;
	}
	return (f->error <= SURE && !buffers) || most > SPREAD * least;
}

void fit_init(struct fit *f, const double *sizes, const double *values, unsigned n, bool buffers)
{
	double least = values[0], most = values[0], largest = sizes[n - 1];
	struct fit other;

	for (unsigned i = 1; i < n; i++) {
		least = values[i] < least ? values[i] : least;
		most = values[i] > most ? values[i] : most;
	}
	if (most - least <= FLAT * most || !fit_law(f, GROWTH_LINEAR, sizes, values, n) ||
		f->b <= 0) {
		fit_law(f, GROWTH_CONSTANT, sizes, values, n);
		return;
	}
	if (f->error <= GOOD_ENOUGH || doubles(sizes, values, n))
		return;
	struct fit linear = *f;
	if (fit_law(&other, GROWTH_N_LOG_N, sizes, values, n) && other.b > 0 &&
		other.error * N_LOG_N_BETTER < linear.error &&
		convincing(&other, sizes, values, n, buffers))
		*f = other;
	if (n >= SQUARE_SIZES && fit_law(&other, GROWTH_QUADRATIC, sizes, values, n) &&
		other.c > 0 && other.c * largest * largest >= SQUARE_SHARE * most &&
		other.error * SQUARE_BETTER < linear.error && other.error < f->error &&
		convincing(&other, sizes, values, n, buffers))
		*f = other;
}

void projection_init(struct projection *p, const double *sizes, const double *values, unsigned n,
	bool buffers, double at)
{
	double x[FIT_MAX_SIZES], y[FIT_MAX_SIZES];

	fit_init(&p->fit, sizes, values, n, buffers);
	p->value = p->low = p->high = fit_at(&p->fit, at);
	for (unsigned out = 0; out < n && n > FIT_MIN_SIZES; out++) {
		struct fit f;
		unsigned k = 0;
		for (unsigned i = 0; i < n; i++)
			if (i != out) {
				x[k] = sizes[i];
				y[k++] = values[i];
			}
		if (!fit_law(&f, p->fit.growth, x, y, k))
			continue;
		double other = fit_at(&f, at);
		p->low = other < p->low ? other : p->low;
		p->high = other > p->high ? other : p->high;
	}
	double share = 2 * p->fit.error * p->value;
	p->low = p->low < p->value - share ? p->low : p->value - share;
	p->high = p->high > p->value + share ? p->high : p->value + share;
	p->low = p->low > 0 ? p->low : 0;
}

/* Room y for n things of k bytes: y / 2 < k n <= y in every run. */
void projection_doubles(
	struct projection *p, const double *sizes, const double *values, unsigned n, double at)
{
	double least = 0, most = values[0] / sizes[0];

	for (unsigned i = 0; i < n; i++) {
		double each = values[i] / sizes[i];
		least = each / 2 > least ? each / 2 : least;
		most = each < most ? each : most;
	}
	if (least > most) /* not the only thing in there, or not in proportion */
		return;
	p->low = least * at < p->low ? least * at : p->low;
	p->high = 2 * most * at > p->high ? 2 * most * at : p->high;
}
