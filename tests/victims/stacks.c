/* SPDX-License-Identifier: MIT */
/*
 * Allocations from frames that are hard to walk, each with the return addresses that glibc's backtrace() finds at the
 * same spot. Built several times, with other compiler flags. The ledger's lines are
 *   stack FUNCTION MODULE+0xOFFSET …     innermost first; the first one is not that of the allocation's own call
 * The frame that a signal interrupted is given as the address after the interrupted instruction's start, as tallies have
 * it: like a return address, it is looked up one byte before.
 */
#include <alloca.h>
#include <execinfo.h>
#include <link.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>

#include "victim.h"

#define MAX_FRAMES 200

static char text[1 << 20];
static size_t text_bytes;
static volatile size_t one = 1;
void *victim_kept;

static void put(const char *s)
{
	while (*s && text_bytes < sizeof(text))
		text[text_bytes++] = *s++;
}

struct place {
	uintptr_t address;
	const char *module;
	uintptr_t offset;
};

static int find(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct place *place = arg;

	(void)size;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &info->dlpi_phdr[i];
		if (p->p_type == PT_LOAD &&
			place->address - info->dlpi_addr - p->p_vaddr < p->p_memsz) {
			const char *slash = strrchr(info->dlpi_name, '/');
			place->module = slash              ? slash + 1
					: *info->dlpi_name ? info->dlpi_name
							   : program_invocation_short_name;
			place->offset = place->address - info->dlpi_addr;
			return 1;
		}
	}
	return 0;
}

__attribute__((noinline)) static void write_stack(
	const char *function, void **frames, int n, int interrupted)
{
	char digits[20];

	put("stack ");
	put(function);
	for (int i = 0; i < n; i++) {
		struct place place = {(uintptr_t)frames[i], "?", 0};
		int at = sizeof(digits);
		dl_iterate_phdr(find, &place);
		place.offset += i == interrupted;
		put(" ");
		put(place.module);
		put("+0x");
		digits[--at] = 0;
		do {
			digits[--at] = "0123456789abcdef"[place.offset % 16];
			place.offset /= 16;
		} while (place.offset);
		put(&digits[at]);
	}
	put("\n");
}

/* The stack here, and one allocation that stays. */
#define ALLOCATE_HERE() ALLOCATE(malloc(one * 48), -1)
/* The same in a signal handler: which frame is the interrupted one. */
#define ALLOCATE_ABOVE(interrupted) ALLOCATE(malloc(one * 48), interrupted)
#define ALLOCATE(call, interrupted)                                                                \
	do {                                                                                       \
		void *frames[MAX_FRAMES];                                                          \
		int n = backtrace(frames, MAX_FRAMES);                                             \
		write_stack(__func__, frames, n, interrupted);                                     \
		victim_kept = call;                                                                \
		LED_BARRIER();                                                                     \
	} while (0)

VICTIM void victim_simple(void)
{
	ALLOCATE_HERE();
}

VICTIM void victim_alloca(size_t n)
{
	volatile char *room = alloca(n);

	room[0] = room[n - 1] = 1;
	ALLOCATE_HERE();
	room[n / 2] = room[0];
}

/* Its caller's frame hangs on rbp, and realloc is a hook with more below it than malloc. */
VICTIM void victim_realloc_alloca(size_t n)
{
	volatile char *room = alloca(n);

	room[0] = room[n - 1] = 1;
	ALLOCATE(realloc(NULL, one * 48), -1);
	room[n / 2] = room[0];
}

VICTIM void victim_below_alloca(size_t n)
{
	volatile char *room = alloca(n);

	room[0] = 1;
	victim_alloca(n / 2);
	room[n - 1] = room[0];
}

VICTIM void victim_aligned_frame(void)
{
	volatile char room[512] __attribute__((aligned(256)));

	room[0] = 1;
	LED_REQUIRE((uintptr_t)room % 256 == 0);
	ALLOCATE_HERE();
	room[511] = room[0];
}

/* Over-aligned and of variable size: the caller's frame is found by way of a saved pointer. */
VICTIM void victim_aligned_alloca(size_t n)
{
	volatile char room[128] __attribute__((aligned(128)));
	volatile char *more = alloca(n);

	room[0] = more[n - 1] = 1;
	ALLOCATE_HERE();
	more[0] = room[0];
}

VICTIM void victim_large_frame(void)
{
	volatile char room[100000];

	room[0] = 1;
	ALLOCATE_HERE();
	room[99999] = room[0];
}

/* Every callee-saved register in use, rbp too where it is no frame pointer. */
VICTIM size_t victim_registers(size_t a, size_t b, size_t c, size_t d, size_t e, size_t f, size_t g)
{
	size_t h = a * b, i = b * c, j = c * d, k = d * e, m = e * f;

	ALLOCATE_HERE();
	return a + b + c + d + e + f + g + h + i + j + k + m;
}

VICTIM void victim_tail_callee(size_t n)
{
	ALLOCATE_HERE();
	one = n;
}

VICTIM void victim_tail_jump(size_t n)
{
	one = n;
	victim_tail_callee(n);
}

VICTIM void victim_above_tail(size_t n)
{
	victim_tail_jump(n);
	LED_BARRIER();
}

/* malloc itself is jumped to: the innermost frame is the caller's. */
VICTIM void *victim_malloc_jump(size_t n)
{
	return malloc(n * 48);
}

VICTIM void victim_tail_malloc(size_t n)
{
	void *frames[MAX_FRAMES];
	int count = backtrace(frames, MAX_FRAMES);

	write_stack(__func__, frames, count, -1);
	victim_kept = victim_malloc_jump(n);
	LED_BARRIER();
}

/* Through the C library. */
static int compare(const void *a, const void *b)
{
	(void)a;
	(void)b;
	return 0;
}

VICTIM int victim_callback(const void *key, const void *member)
{
	ALLOCATE_HERE();
	return compare(key, member);
}

VICTIM void victim_once(void)
{
	ALLOCATE_HERE();
}

VICTIM void victim_in_handler(int number)
{
	(void)number;
	ALLOCATE_ABOVE(2);
}

VICTIM void victim_in_handler_elsewhere(int number)
{
	(void)number;
	ALLOCATE_ABOVE(2);
}

VICTIM void victim_in_thread(void)
{
	ALLOCATE_HERE();
}

static void *thread(void *arg)
{
	victim_in_thread();
	LED_BARRIER();
	return arg;
}

VICTIM void victim_recursive(unsigned depth)
{
	if (depth > 0)
		victim_recursive(depth - 1);
	else
		ALLOCATE_HERE();
	LED_BARRIER();
}

int main(void)
{
	static char other_stack[1 << 16];
	stack_t elsewhere = {.ss_sp = other_stack, .ss_size = sizeof(other_stack)};
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct sigaction action = {0};
	void *warm[4];
	int key = 1;
	pthread_t t;

	backtrace(warm, 4);
	victim_simple();
	victim_realloc_alloca(one * 500);
	victim_below_alloca(one * 1000);
	victim_aligned_frame();
	victim_aligned_alloca(one * 777);
	victim_large_frame();
	victim_registers(one, one, one, one, one, one, one);
	victim_above_tail(one);
	victim_tail_malloc(one);
	bsearch(&key, &key, 1, sizeof(key), victim_callback);
	pthread_once(&once, victim_once);
	action.sa_handler = victim_in_handler;
	sigaction(SIGUSR1, &action, NULL);
	raise(SIGUSR1);
	sigaltstack(&elsewhere, NULL);
	action.sa_handler = victim_in_handler_elsewhere;
	action.sa_flags = SA_ONSTACK;
	sigaction(SIGUSR2, &action, NULL);
	raise(SIGUSR2);
	LED_REQUIRE(pthread_create(&t, NULL, thread, NULL) == 0);
	pthread_join(t, NULL);
	victim_recursive(100);
	/* shallow again, after deep */
	victim_above_tail(one);
	led_open("");
	if (led_fd >= 0)
		led_write(text, text_bytes);
	return 0;
}
