/* SPDX-License-Identifier: MIT */
/*
 * Fuzzes tally_read: whatever it accepts must keep the promises of analyzer/tally.h and survive being written and
 * read again. With clang: -fsanitize=fuzzer,address,undefined. With gcc: -DFUZZ_STANDALONE, which adds a driver that
 * mutates synthetic tallies, the same way for the same seed:
 *	fuzz_tally RUNS [SEED]	run i uses SEED + i; a failing run says its number: repeat it with `1 NUMBER`
 *	fuzz_tally --seeds DIR	writes the unmutated inputs, as a corpus for libFuzzer
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../analyzer/tally.h"
#ifdef FUZZ_STANDALONE
#include "../unit/synth.h"
#endif

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

#define check(condition)                                                                           \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "fuzz_tally: broken promise: %s\n", #condition);           \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

static void check_promises(const struct tally *t)
{
	check(t->n_modules > 0 && t->n_sites > 0 && t->n_buckets > 0);
	check(t->strings_bytes > 0 && !t->strings[t->strings_bytes - 1]);
	check(t->header.program < t->strings_bytes && t->header.exe < t->strings_bytes);
	check(t->header.command < t->strings_bytes && t->header.cwd < t->strings_bytes);
	for (uint32_t i = 0; i < t->n_modules; i++)
		check(t->modules[i].path < t->strings_bytes);
	for (uint32_t i = 0; i < t->n_sites; i++)
		check(t->sites[i].module < t->n_modules && t->sites[i].parent < i + !i);
	for (uint32_t i = 0; i < t->n_buckets; i++)
		check(t->buckets[i].site < t->n_sites &&
			t->buckets[i].size_class < HT_SIZE_CLASSES &&
			t->counters[i].stamp_row == 0);
	for (uint32_t i = 0; i < t->n_regrows; i++)
		check(t->regrows[i].from < t->n_buckets && t->regrows[i].to < t->n_buckets);
	for (uint32_t i = 0; i < t->n_chains; i++)
		check(t->chains[i].origin < t->n_buckets &&
			t->chains[i].size_class < HT_SIZE_CLASSES);
	for (uint32_t i = 0; i < t->n_threads; i++)
		check(strlen(t->threads[i].name) < sizeof(t->threads[i].name));
	check(t->n_points <= HT_TIMELINE_POINTS && t->n_points == t->header.n_points);
	for (uint32_t i = 0; i < t->n_points; i++) {
		check(i == 0 || t->points[i].ticks >= t->points[i - 1].ticks);
		tally_ns(t, t->points[i].ticks);
	}
	for (uint32_t i = 0; i < t->n_curves; i++) {
		volatile int64_t sum = 0;
		check(t->curves[i].bucket < t->n_buckets);
		for (uint32_t k = 0; k < t->n_points; k++)
			sum = sum ^ t->curves[i].live_bytes[k];
	}
	check(t->n_marks > 0 && t->n_marks <= HT_MAX_MARKS);
	for (uint32_t i = 0; i < t->n_marks; i++)
		check(t->marks[i].name < t->strings_bytes &&
			t->marks[i].numbers < t->strings_bytes);
	for (uint32_t i = 0; i < t->n_phases; i++) {
		const struct ht_phase *p = &t->phases[i];
		struct ht_phase value;
		check(p->counters < t->n_buckets && p->mark > 0 && p->mark < t->n_marks);
		check(i == 0 || p[-1].counters < p->counters ||
			(p[-1].counters == p->counters && p[-1].mark < p->mark));
		tally_at_mark(t, p->counters, p->mark, &value);
		check(memcmp(&value, p, sizeof(value)) == 0);
	}
	for (uint32_t i = 0; i < t->n_contents; i++) {
		const struct ht_content *c = &t->contents[i];
		check(c->bucket < t->n_buckets && c->count > 0);
		check(i == 0 || c[-1].bucket < c->bucket ||
			(c[-1].bucket == c->bucket && c[-1].hash < c->hash));
	}
	for (uint32_t i = 0; i < t->n_locality; i++) {
		const struct ht_locality *l = &t->locality[i];
		check(t->snapshot.number && t->snapshot.every);
		check(l->bucket < t->n_buckets && l->page < t->snapshot.pages);
		check(i == 0 || l[-1].page <= l->page);
	}
	check(!t->names == !t->names_bytes && (!t->names || !t->names[t->names_bytes - 1]));
	for (uint32_t i = 0; i < t->n_functions; i++)
		check(t->functions[i].name < t->names_bytes &&
			t->functions[i].file < t->names_bytes);
	for (uint32_t i = 0; i < t->n_frames; i++)
		check(t->frames[i].function < t->n_functions);
	for (uint32_t i = 0; i < t->n_locations; i++) {
		const struct ht_location *l = &t->locations[i];
		check((uint64_t)l->first_frame + l->n_frames <= t->n_frames);
		check(tally_location(t, l->module, l->offset) == l);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	static int fd = -1;
	static char path[64], written[64];
	struct tally t, again;
	struct error e = {""};

	if (fd < 0) {
		fd = memfd_create("fuzz", MFD_CLOEXEC);
		check(fd >= 0);
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		snprintf(written, sizeof(written), "/tmp/fuzz_tally.%ld", (long)getpid());
	}
	check(ftruncate(fd, 0) == 0);
	check(pwrite(fd, data, bytes, 0) == (ssize_t)bytes);
	if (tally_read(&t, path, &e) < 0) {
		check(strstr(e.text, path) && !strchr(e.text, '\n'));
		return 0;
	}
	check_promises(&t);
	check(tally_write(&t, written, &e) == 0);
	check(tally_read(&again, written, &e) == 0);
	check_promises(&again);
	check(again.n_sites == t.n_sites && again.n_buckets == t.n_buckets &&
		again.n_curves == t.n_curves && again.n_phases == t.n_phases &&
		again.n_contents == t.n_contents && again.n_locality == t.n_locality);
	check(memcmp(again.locality, t.locality, t.n_locality * sizeof(*t.locality)) == 0);
	check(memcmp(again.phases, t.phases, t.n_phases * sizeof(*t.phases)) == 0);
	check(memcmp(again.counters, t.counters, t.n_buckets * sizeof(*t.counters)) == 0);
	unlink(written);
	tally_release(&again);
	tally_release(&t);
	return 0;
}

#ifdef FUZZ_STANDALONE
#define MAX_SEEDS 4

struct input {
	uint8_t *data;
	size_t bytes;
};

static uint64_t run;
static uint64_t state;

static uint64_t next_random(uint64_t below)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (state >> 11) % below;
}

/* Moves the extents of a raw image together, so that most bytes of the input mean something. */
static void compact(struct input *in)
{
	struct ht_extent *x = (void *)(in->data + HT_EXTENTS_OFFSET);
	size_t n = 0, end;

	while (x[n].section != HT_SEC_FREE)
		n++;
	end = HT_EXTENTS_OFFSET + n * sizeof(*x);
	for (size_t i = 0; i < n; i++) {
		memmove(in->data + end, in->data + x[i].offset, x[i].stored_bytes);
		x[i].offset = end;
		end += x[i].stored_bytes;
	}
	in->bytes = end;
}

/* A raw tally with a little of everything, in so many extents a section. */
static struct input raw_seed(unsigned extents)
{
	struct input in;
	struct synth s;
	struct ht_chain chain = {.origin = 1, .size_class = 4, .ended = 5};
	struct ht_content content = {.bucket = 1, .count = 3, .hash = 77};
	struct ht_snapshot shot = {.number = 1, .n_rows = 2, .first = 0, .step = 2, .pages = 2, .every = 4};
	struct ht_locality row = {.bucket = 1, .blocks = 3, .bytes = 100};

	synth_init(&s);
	s.extents = extents;
	uint32_t f = synth_call(&s, synth_call(&s, 0, "main"), "app::run");
	uint32_t a = synth_bucket(&s, f, 24), b = synth_bucket(&s, f, 4096);
	synth_thread(&s, "main");
	synth_follow(&s, a, 1);
	for (int i = 0; i < 4; i++) {
		synth_alloc(&s, a, 0, 10, 24);
		synth_realloc(&s, a, b, 1, 24, 4096);
		synth_point(&s, 1000 * i);
		synth_mark(&s, "mark", "modules=5", 1000 * i + 1);
		synth_free(&s, a, 1, 4, 24);
		synth_add(&s, HT_SEC_CONTENTS, &content);
	}
	synth_coarsen(&s);
	for (uint32_t i = 0; i < 4; i++) {
		row.page = i / 2;
		synth_add(&s, HT_SEC_LOCALITY, &row);
	}
	synth_add(&s, HT_SEC_SNAPSHOTS, &shot);
	shot.number = shot.first = 1;
	synth_add(&s, HT_SEC_SNAPSHOTS, &shot);
	synth_add(&s, HT_SEC_CHAINS, &chain);
	in.data = synth_image(&s, &in.bytes);
	compact(&in);
	synth_release(&s);
	return in;
}

/* The same, finished. */
static struct input finished_seed(const struct input *raw)
{
	char from[] = "/tmp/fuzz_tally.XXXXXX";
	int fd = mkstemp(from);
	struct input in = {malloc(1 << 20), 0};
	struct tally t;
	struct error e;

	check(fd >= 0 && in.data);
	close(fd);
	synth_save(raw->data, raw->bytes, from);
	check(tally_read(&t, from, &e) == 0);
	check(tally_write(&t, from, &e) == 0);
	tally_release(&t);
	FILE *file = fopen(from, "rb");
	check(file);
	in.bytes = fread(in.data, 1, 1 << 20, file);
	fclose(file);
	unlink(from);
	return in;
}

/* A number in the input, of 1 to 8 bytes, becomes one that hurts. Header and table are hit more often. */
static void mutate(struct input *in)
{
	static const uint64_t values[] = {0, 1, 2, 3, 15, 16, 17, 0x7f, 0xff, 512, 513, 4096,
		0x7fff, 0xffff, 0xffffff, 0x1000000, 0x7fffffff, 0x80000000, 0xffffffff,
		0x100000000, INT64_MAX, UINT64_MAX};
	size_t width = (size_t)1 << next_random(4);
	size_t part = next_random(3) == 0 ? sizeof(struct ht_header) : in->bytes;
	size_t from = part == in->bytes && in->bytes > HT_EXTENTS_OFFSET ? HT_EXTENTS_OFFSET : 0;

	if (in->bytes < 16)
		return;
	if (part > in->bytes)
		part = in->bytes;
	if (next_random(100) == 0) {
		in->bytes = next_random(in->bytes);
		return;
	}
	size_t at = from + next_random(part - from) / width * width;
	if (at + width > in->bytes)
		at = in->bytes - width;
	uint64_t value = 0;
	memcpy(&value, in->data + at, width);
	switch (next_random(4)) {
	case 0:
		value ^= UINT64_C(1) << next_random(8 * width);
		break;
	case 1:
		value += next_random(33) - 16;
		break;
	case 2:
		value = values[next_random(sizeof(values) / sizeof(values[0]))];
		break;
	case 3: /* what stands somewhere else */
		memcpy(&value, in->data + next_random(in->bytes - 8), width);
		break;
	}
	memcpy(in->data + at, &value, width);
}

/* Provided by the sanitizers, when built with one. */
void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

static void say_run(void)
{
	fprintf(stderr, "fuzz_tally: in run %llu\n", (unsigned long long)run);
}

int main(int argc, char **argv)
{
	struct input seeds[MAX_SEEDS], in;

	seeds[0] = raw_seed(1);
	seeds[1] = raw_seed(3);
	seeds[2] = finished_seed(&seeds[0]);
	seeds[3] = raw_seed(1);
	/* as after SIGKILL: rising, nothing counted yet of some tables */
	((struct ht_header *)seeds[3].data)->rising = 1;
	((struct ht_header *)seeds[3].data)->n_chains = 0;

	if (argc == 3 && strcmp(argv[1], "--seeds") == 0) {
		for (int i = 0; i < MAX_SEEDS; i++) {
			char path[4096];
			snprintf(path, sizeof(path), "%s/seed-%d", argv[2], i);
			synth_save(seeds[i].data, seeds[i].bytes, path);
			free(seeds[i].data);
		}
		return 0;
	}
	if (argc < 2 || argc > 3) {
		fprintf(stderr, "usage: fuzz_tally RUNS [SEED] | --seeds DIR\n");
		return 2;
	}
	if (__sanitizer_set_death_callback)
		__sanitizer_set_death_callback(say_run);
	uint64_t first = argc > 2 ? strtoull(argv[2], NULL, 10) : 1,
		 n = strtoull(argv[1], NULL, 10);
	for (run = first; run - first < n; run++) {
		state = (run + 1) * UINT64_C(0x9e3779b97f4a7c15);
		const struct input *seed = &seeds[next_random(MAX_SEEDS)];
		in.bytes = seed->bytes;
		in.data = malloc(in.bytes);
		check(in.data);
		memcpy(in.data, seed->data, in.bytes);
		for (uint64_t i = next_random(4); i < 4; i++)
			mutate(&in);
		LLVMFuzzerTestOneInput(in.data, in.bytes);
		free(in.data);
	}
	for (int i = 0; i < MAX_SEEDS; i++)
		free(seeds[i].data);
	printf("fuzz_tally: %llu runs\n", (unsigned long long)n);
	return 0;
}
#endif
