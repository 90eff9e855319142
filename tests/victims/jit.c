/* SPDX-License-Identifier: MIT */
/*
 * Allocations through code that no module holds, as a JIT makes it: with frame pointers, one such frame or several
 * around compiled ones, the code replaced at its place between events, and without frame pointers, where no walk can
 * go on. Sections: victim_through_one, victim_through_many, victim_replaced; victim_no_frames stands for the last.
 */
#include <sys/mman.h>

#include "victim.h"

#define CODE_BYTES 4096

typedef void code_fn(void (*)(size_t), size_t);

static struct ledger *one, *many, *replaced, *no_frames;
static unsigned char *code;

/* void f(void (*g)(size_t), size_t n) { g(n); } with a frame of room_bytes beyond rbp, which is a multiple of 16 */
static code_fn *make(size_t at, unsigned char room_bytes)
{
	const unsigned char body[] = {
		0x55,                         /* push %rbp */
		0x48, 0x89, 0xe5,             /* mov %rsp,%rbp */
		0x48, 0x83, 0xec, room_bytes, /* sub $room_bytes,%rsp */
		0x48, 0x89, 0xf8,             /* mov %rdi,%rax */
		0x48, 0x89, 0xf7,             /* mov %rsi,%rdi */
		0xff, 0xd0,                   /* call *%rax */
		0xc9,                         /* leave */
		0xc3,                         /* ret */
	};

	memcpy(code + at, body, sizeof(body));
	return (code_fn *)(uintptr_t)(code + at);
}

/* The same, and rbp is only a register that holds something else. */
static code_fn *make_frameless(size_t at)
{
	const unsigned char body[] = {
		0x55,                         /* push %rbp */
		0xbd, 0x01, 0x00, 0x00, 0x00, /* mov $1,%ebp */
		0x48, 0x89, 0xf8,             /* mov %rdi,%rax */
		0x48, 0x89, 0xf7,             /* mov %rsi,%rdi */
		0xff, 0xd0,                   /* call *%rax */
		0x5d,                         /* pop %rbp */
		0xc3,                         /* ret */
	};

	memcpy(code + at, body, sizeof(body));
	return (code_fn *)(uintptr_t)(code + at);
}

/* Functions that JIT code calls: n counts down the frames still to come. */
VICTIM void victim_through_one(size_t n)
{
	led_free(one, led_malloc(one, n + 1), n + 1);
}

VICTIM void victim_replaced(size_t n)
{
	led_malloc(replaced, n + 1);
	LED_BARRIER();
}

VICTIM void victim_no_frames(size_t n)
{
	led_malloc(no_frames, n + 1);
	LED_BARRIER();
}

static code_fn *turns[2];

VICTIM void victim_through_many(size_t n)
{
	if (n > 0) {
		turns[n % 2](victim_through_many, n - 1);
		LED_BARRIER();
	} else {
		led_malloc(many, 33);
		LED_BARRIER();
	}
}

int main(void)
{
	code = mmap(NULL, CODE_BYTES, PROT_READ | PROT_WRITE | PROT_EXEC,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (code == MAP_FAILED)
		return 77; /* a system that forbids such pages */
	one = led_section("victim_through_one");
	many = led_section("victim_through_many");
	replaced = led_section("victim_replaced");
	no_frames = led_section("victim_no_frames");
	turns[0] = make(0, 0);
	turns[1] = make(64, 48);
	for (size_t i = 0; i < 2000; i++) {
		turns[i % 2](victim_through_one, i % 50);
		victim_through_many(i % 40);
		make(128, (unsigned char)(16 * (i % 8)))(victim_replaced, i % 50);
		make_frameless(192)(victim_no_frames, i % 50);
	}
	led_report();
	return 0;
}
