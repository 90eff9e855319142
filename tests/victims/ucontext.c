/* SPDX-License-Identifier: MIT */
/* Coroutines by swapcontext on stacks of their own, taking turns at every allocation. */
#include <sys/mman.h>
#include <ucontext.h>

#include "victim.h"

#define COROUTINES 5
#define TURNS      400

static ucontext_t back, coroutines[COROUTINES];
static struct ledger *ledgers[COROUTINES];
static int turn;

#define COROUTINE(n)                                                                               \
	VICTIM void victim_coroutine_##n(unsigned depth)                                           \
	{                                                                                          \
		if (depth > 0) {                                                                   \
			victim_coroutine_##n(depth - 1);                                           \
		} else {                                                                           \
			void *p = led_malloc(ledgers[n], 30 + n);                                  \
			swapcontext(&coroutines[n], &back);                                        \
			if (turn % 2)                                                              \
				led_free(ledgers[n], p, 30 + n);                                   \
		}                                                                                  \
		LED_BARRIER();                                                                     \
	}
COROUTINE(0)
COROUTINE(1)
COROUTINE(2)
COROUTINE(3)
COROUTINE(4)

static void (*const bodies[COROUTINES])(unsigned) = {victim_coroutine_0, victim_coroutine_1,
	victim_coroutine_2, victim_coroutine_3, victim_coroutine_4};

static void body(int n)
{
	for (;;)
		bodies[n]((unsigned)turn % 7);
}

int main(void)
{
	static const char *const names[COROUTINES] = {"victim_coroutine_0", "victim_coroutine_1",
		"victim_coroutine_2", "victim_coroutine_3", "victim_coroutine_4"};

	for (int i = 0; i < COROUTINES; i++) {
		ledgers[i] = led_section(names[i]);
		getcontext(&coroutines[i]);
		coroutines[i].uc_stack.ss_size = 1 << 16;
		coroutines[i].uc_stack.ss_sp = mmap(NULL, 1 << 16, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
		coroutines[i].uc_link = &back;
		makecontext(&coroutines[i], (void (*)(void))body, 1, i);
	}
	for (turn = 0; turn < TURNS; turn++)
		for (int i = 0; i < COROUTINES; i++)
			swapcontext(&back, &coroutines[i]);
	led_report();
	return 0;
}
