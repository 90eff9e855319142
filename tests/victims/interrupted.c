/* SPDX-License-Identifier: MIT */
/*
 * Signals at random moments of functions that never allocate, leaf functions and recursive ones of all shapes; only the
 * handler allocates, so that any allocator stands it. The interrupted instruction may be the first of a function, the
 * last, or one between a push and the change of the frame pointer. Argument: milliseconds.
 */
#include <alloca.h>
#include <signal.h>
#include <sys/time.h>
#include <time.h>

#include "victim.h"

static struct ledger *handled;
static volatile size_t sink = 1;

VICTIM void victim_handler(int number)
{
	(void)number;
	led_free(handled, led_malloc(handled, 24), 24);
}

VICTIM size_t victim_leaf(size_t a, size_t b)
{
	return a * 31 + b / (a | 1);
}

VICTIM size_t victim_leaf_with_room(size_t n)
{
	volatile size_t room[12];

	for (size_t i = 0; i < 12; i++)
		room[i] = n + i;
	return room[n % 12];
}

VICTIM size_t victim_aligned(size_t n)
{
	volatile size_t room[16] __attribute__((aligned(128)));

	for (size_t i = 0; i < 16; i++)
		room[i] = victim_leaf(n, i);
	return room[n % 16];
}

VICTIM size_t victim_alloca(size_t n)
{
	volatile char *room = alloca(n % 500 + 1);

	room[0] = 1;
	room[n % 500] = (char)victim_leaf(n, 3);
	return (size_t)room[0];
}

VICTIM size_t victim_recursive(size_t n)
{
	size_t a = sink * n, b = a + sink, c = b * sink, d = c ^ a, e = d + b;

	if (n == 0)
		return victim_aligned(sink) + victim_alloca(sink);
	a += victim_recursive(n - 1);
	return a + b + c + d + e + victim_leaf_with_room(n);
}

/* A frame whose rules need more than rsp and rbp: its CFA is an expression, 0(rsp) + 16. */
size_t victim_expression(size_t n, size_t (*f)(size_t));
__asm__(".text\n"
	".type victim_expression,@function\n"
	"victim_expression:\n"
	"	.cfi_startproc\n"
	"	push %rbp\n"
	"	.cfi_def_cfa_offset 16\n"
	"	.cfi_offset 6,-16\n"
	"	mov %rsp,%rbp\n"
	"	sub $32,%rsp\n"
	"	.cfi_def_cfa_offset 48\n"
	"	mov %rbp,(%rsp)\n"
	"	.cfi_escape 0x0f,5,0x77,0,0x06,0x23,16\n" /* breg7 0; deref; plus_uconst 16 */
	"	call *%rsi\n"
	"	mov %rbp,%rsp\n"
	"	.cfi_def_cfa 7,16\n"
	"	pop %rbp\n"
	"	.cfi_def_cfa_offset 8\n"
	"	ret\n"
	"	.cfi_endproc\n"
	".size victim_expression,.-victim_expression\n");

int main(int argc, char **argv)
{
	struct sigaction action = {.sa_handler = victim_handler, .sa_flags = SA_RESTART};
	struct itimerval often = {{0, 50}, {0, 50}}, never = {0};
	long milliseconds = argc > 1 ? atol(argv[1]) : 500;
	struct timespec start, now;

	handled = led_section("victim_handler");
	sigaction(SIGALRM, &action, NULL);
	clock_gettime(CLOCK_MONOTONIC, &start);
	setitimer(ITIMER_REAL, &often, NULL);
	do {
		for (size_t i = 0; i < 200; i++) {
			sink = victim_recursive(i % 30) | 1;
			sink = victim_expression(i % 10, victim_recursive) | 1;
		}
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while ((now.tv_sec - start.tv_sec) * 1000 + (now.tv_nsec - start.tv_nsec) / 1000000 <
		 milliseconds);
	setitimer(ITIMER_REAL, &never, NULL);
	LED_REQUIRE(handled->allocs > 100);
	led_report();
	return 0;
}
