/* SPDX-License-Identifier: MIT */
/* Sampling by bytes: when the next sample is due, and what it stands for. */
#include "sample.h"

#include <string.h>

uint64_t sample_mean;
uint64_t sample_filter[SAMPLE_FILTER_WORDS], sample_second[SAMPLE_FILTER_WORDS];
_Thread_local int64_t sample_left __attribute__((tls_model("initial-exec")));
_Thread_local int64_t sample_rest __attribute__((tls_model("initial-exec")));

static struct sys_lock filter_lock;
/* sampled live pointers by place of each filter; 255 stays */
static uint8_t falling[SAMPLE_PLACES], second_falling[SAMPLE_PLACES];
static _Thread_local uint64_t state
	__attribute__((tls_model("initial-exec"))); /* 0: nothing drawn yet */

uint64_t sample_draw(void)
{
	if (unlikely(!state))
		state = (sys_ticks() ^ (uint64_t)(uintptr_t)&state * 0x9e3779b97f4a7c15u) | 1;
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return state * 0x2545f4914f6cdd1du;
}

/* Natural logarithm of n / 2^64, n > 0: the exponent, and for the rest the series of the inverse hyperbolic tangent. */
static double log_of_fraction(uint64_t n)
{
	int zeros = __builtin_clzll(n);
	double m = (double)(n << zeros) * 0x1p-63, z, zz, sum = 0;

	/* m is in [1, 2); z is at most a third */
	z = (m - 1) / (m + 1);
	zz = z * z;
	for (int k = 13; k >= 1; k -= 2)
		sum = sum * zz + 1.0 / k;
	return 2 * z * sum - (zeros + 1) * 0.693147180559945309;
}

static int64_t distance(void)
{
	uint64_t n = sample_draw();

	return (int64_t)(-log_of_fraction(n ? n : 1) * (double)sample_mean) + 1;
}

bool sample_renew(void)
{
	static _Thread_local bool begun __attribute__((tls_model("initial-exec")));
	int64_t left = sample_position();

	if (!begun)
		left += distance();
	begun = true;
	bool skips = left > 0;
	if (!skips)
		left = distance();
	sample_left = left < SAMPLE_UNSEEN_BYTES ? left : SAMPLE_UNSEEN_BYTES;
	sample_rest = left - sample_left;
	return skips;
}

/* 1 / (1 - exp(-x)): below a half by its Laurent series, above by exp from a sixteenth. */
static double inverse_chance(double x)
{
	double y, e = 1;

	if (x < 0.5)
		return 1 / x + 0.5 + x / 12 - x * x * x / 720;
	if (x > 40)
		return 1;
	y = -x / 16;
	for (int k = 12; k >= 1; k--)
		e = 1 + y * e / k;
	for (int k = 0; k < 4; k++)
		e *= e;
	return 1 / (1 - e);
}

uint64_t sample_weigh(const void *p, uint64_t bytes)
{
	double exact = inverse_chance((double)(bytes + 16) / (double)sample_mean);
	uint64_t hash = ((uintptr_t)p ^ bytes << 48) * 0x9e3779b97f4a7c15u;

	hash = (hash ^ hash >> 29) * 0xbf58476d1ce4e5b9u;
	return (uint64_t)(exact + (double)(hash >> 11) * 0x1p-53);
}

/* Relaxed throughout: the free of p comes after its malloc by the host's own ordering. */
static void change(uint64_t *filter, uint8_t *counts, uint32_t place, int by)
{
	uint64_t *word = &filter[place / 64], bit = 1ull << place % 64;

	if (counts[place] != UINT8_MAX)
		counts[place] = (uint8_t)(counts[place] + by);
	__atomic_store_n(word, counts[place] ? *word | bit : *word & ~bit, __ATOMIC_RELAXED);
}

static void change_both(const void *p, int by)
{
	sys_lock(&filter_lock);
	change(sample_filter, falling, sample_place(p), by);
	change(sample_second, second_falling, sample_second_place(p), by);
	sys_unlock(&filter_lock);
}

void sample_enter(const void *p)
{
	change_both(p, 1);
}

void sample_leave(const void *p)
{
	change_both(p, -1);
}

void sample_init(uint64_t mean_bytes)
{
	memset(&filter_lock, 0, sizeof(filter_lock));
	if (sample_mean) { /* in a forked child */
		memset(sample_filter, 0, sizeof(sample_filter));
		memset(sample_second, 0, sizeof(sample_second));
		memset(falling, 0, sizeof(falling));
		memset(second_falling, 0, sizeof(second_falling));
	}
	sample_mean = mean_bytes;
}
