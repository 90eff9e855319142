/* SPDX-License-Identifier: MIT */
/*
 * Says where its work is, and keeps its own counts at every mark. Modes: "threads" (five threads that wait for each
 * other at the marks, blocks freed by others and in later phases), "single" (one thread: the peak of each phase),
 * "many" (more marks than there is room for), "fork" (a child with marks of its own), "odd" (paths that are no marks,
 * addresses that are no paths).
 */
#include <pthread.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "../../include/heaptally.h"
#include "victim.h"

#define THREADS 4
#define BLOCKS  500
#define PHASES  6
#define FIELDS  5

static const char *const names[PHASES] = {"make", "seal", "seal", "emit", "close", "end"};
static struct ledger *own, *passed, *regrown, *alone;
static void *blocks[THREADS + 1][BLOCKS];
static size_t sizes[THREADS + 1][BLOCKS];
static pthread_barrier_t barrier;
static struct snapshot {
	struct ledger *of;
	unsigned long mark, fields[FIELDS];
} snapshots[64];
static unsigned n_snapshots;

static void snap(struct ledger *l, unsigned long mark)
{
	snapshots[n_snapshots++] = (struct snapshot){
		l, mark, {l->allocs, l->alloc_bytes, l->frees, l->live_count, l->live_bytes}};
}

static void write_snapshots(void)
{
	static const char *const keys[FIELDS] = {
		"allocs", "alloc_bytes", "frees", "live_count", "live_bytes"};
	char key[80];

	for (unsigned i = 0; i < n_snapshots; i++) {
		led_write("section ", 8);
		led_write(snapshots[i].of->name, strlen(snapshots[i].of->name));
		led_write("\n", 1);
		for (int k = 0; k < FIELDS; k++) {
			/* no stdio: the victim allocates nothing that it does not count */
			key[0] = (char)('0' + snapshots[i].mark);
			key[1] = '.';
			strcpy(key + 2, keys[k]);
			led_line(key, snapshots[i].fields[k]);
		}
	}
}

/* Different in each phase, and nothing in some of them. */
VICTIM void victim_own(size_t me, int phase)
{
	for (size_t i = 0; i < (size_t)(phase % 3) * 100; i++) {
		void *p = led_malloc(own, 24 + me);
		if (i % 3)
			led_free(own, p, 24 + me);
	}
}

VICTIM void victim_passed(size_t me, int phase)
{
	for (size_t i = 0; i < BLOCKS; i++)
		if (!blocks[me][i] && i % (size_t)(phase + 2) == 0) {
			sizes[me][i] = i + 1;
			blocks[me][i] = led_malloc(passed, i + 1);
		}
}

static void take_over(size_t from, int phase)
{
	for (size_t i = 0; i < BLOCKS; i++)
		if (blocks[from][i] && i % (size_t)(phase + 1) == 0) {
			led_free(passed, blocks[from][i], sizes[from][i]);
			blocks[from][i] = NULL;
		}
}

VICTIM void victim_regrown(int phase)
{
	for (int i = 0; i < 10 * phase; i++) {
		void *p = led_malloc(regrown, 100);
		p = led_realloc(regrown, p, 100, 300);
		if (phase != 2)
			led_free(regrown, p, 300);
	}
}

static void *thread(void *arg)
{
	size_t me = (size_t)arg;

	for (int phase = 0; phase <= PHASES; phase++) {
		victim_own(me, phase);
		victim_passed(me, phase);
		pthread_barrier_wait(&barrier);
		take_over((me + 1) % THREADS, phase);
		victim_regrown(phase);
		pthread_barrier_wait(&barrier);
		/* the marks come from different threads */
		if (phase < PHASES && me == (size_t)phase % THREADS) {
			heaptally_mark_numbers(
				names[phase], phase == 1 ? "modules=5&chunks=2" : NULL);
			snap(own, (unsigned long)phase + 1);
			snap(passed, (unsigned long)phase + 1);
			snap(regrown, (unsigned long)phase + 1);
		}
		pthread_barrier_wait(&barrier);
	}
	return NULL;
}

static void threads(void)
{
	pthread_t t[THREADS];

	pthread_barrier_init(&barrier, NULL, THREADS);
	for (size_t i = 1; i < THREADS; i++)
		LED_REQUIRE(pthread_create(&t[i], NULL, thread, (void *)i) == 0);
	thread((void *)0);
	for (size_t i = 1; i < THREADS; i++)
		pthread_join(t[i], NULL);
}

/* Up and down within a phase, so that its highest is at neither end. */
VICTIM void victim_single(void)
{
	for (int phase = 0; phase < PHASES; phase++) {
		void *p[20];
		unsigned long highest = led_all[0].live_bytes;
		for (int i = 0; i < 20; i++) {
			p[i] = led_malloc(alone, (size_t)(1000 * (PHASES - phase) + i));
			if (led_all[0].live_bytes > highest)
				highest = led_all[0].live_bytes;
		}
		for (int i = phase; i < 20; i++)
			led_free(alone, p[i], (size_t)(1000 * (PHASES - phase) + i));
		heaptally_mark(names[phase]);
		snap(alone, (unsigned long)phase + 1);
		static char keys[PHASES][8];
		strcpy(keys[phase], "0.peak");
		keys[phase][0] = (char)('1' + phase);
		led_note(keys[phase], highest);
	}
}

static void many(void)
{
	for (int i = 0; i < 1100; i++) {
		led_malloc(own, 16);
		heaptally_mark("again");
	}
	led_note("marks", 1100);
}

static void forked(void)
{
	led_free(own, led_malloc(own, 77), 77);
	heaptally_mark("before");
	pid_t child = fork();
	if (child == 0) {
		led_reset();
		own = led_section("victim_own");
		heaptally_mark("child");
		victim_own(0, 2);
		led_report_as(".child");
		_exit(0);
	}
	LED_REQUIRE(waitpid(child, NULL, 0) == child);
	heaptally_mark("after");
}

static void odd(void)
{
	/* a page and a path that ends at its edge */
	char *page = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char long_name[4096];

	LED_REQUIRE(page != MAP_FAILED);
	munmap(page + 4096, 4096);
	errno = 1234;
	heaptally_mark("kept");
	LED_REQUIRE(errno == 1234);
	errno = 0;
	LED_REQUIRE(access("/heaptally/mark/plain", F_OK) == -1 && errno == ENOENT);
	LED_REQUIRE(access("/", F_OK) == 0);
	strcpy(page + 4096 - 8, "/heapta");
	LED_REQUIRE(access(page + 4096 - 8, F_OK) == -1 && errno == ENOENT);
	memcpy(page + 4096 - 8, "/heaptal", 8); /* no end: the kernel faults */
	LED_REQUIRE(access(page + 4096 - 8, F_OK) == -1 && errno == EFAULT);
	LED_REQUIRE(access((char *)16, F_OK) == -1 && errno == EFAULT);
	LED_REQUIRE(access((char *)16, 0x7f0) == -1 && errno == EINVAL);
	LED_REQUIRE(access("/heaptally/marks", F_OK) == -1);
	memset(long_name, 'x', sizeof(long_name) - 1);
	long_name[sizeof(long_name) - 1] = '\0';
	heaptally_mark_numbers(long_name, long_name);
	LED_REQUIRE(access("/heaptally/mark/a\tb?n=1?2", F_OK) == -1);
	LED_REQUIRE(access("/heaptally/mark/", F_OK) == -1);
}

int main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "threads";

	own = led_section("victim_own");
	passed = led_section("victim_passed");
	regrown = led_section("victim_regrown");
	alone = led_section("victim_single");
	if (strcmp(mode, "threads") == 0)
		threads();
	else if (strcmp(mode, "single") == 0)
		victim_single();
	else if (strcmp(mode, "many") == 0)
		many();
	else if (strcmp(mode, "fork") == 0)
		forked();
	else
		odd();
	led_report();
	if (led_fd >= 0)
		write_snapshots();
	return 0;
}
