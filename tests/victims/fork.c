/* SPDX-License-Identifier: MIT */
/*
 * A child frees what it inherited and works on; a grandchild does so again; the parent notices nothing. Each process
 * has a ledger of its own: .child, .grandchild.
 */
#include <sys/wait.h>

#include "victim.h"

static void *held[1000];
static size_t inherited;

VICTIM void victim_before(void)
{
	struct ledger *l = led_section(__func__);

	for (size_t i = 0; i < 1000; i++)
		held[i] = led_malloc(l, i + 1);
}

VICTIM void victim_after(void)
{
	struct ledger *l = led_section(__func__);

	for (size_t i = 0; i < 1000; i += 2)
		led_free(led_section("victim_before"), held[i], i + 1);
	for (size_t i = 0; i < 300; i++)
		led_malloc(l, 64);
}

VICTIM void victim_child(size_t from, size_t to)
{
	struct ledger *l = led_section(__func__);

	for (size_t i = from; i < to; i++) {
		free(held[i]);
		inherited++;
		void *p = led_malloc(l, 100);
		if (i % 4)
			led_free(l, p, 100);
	}
	led_free(l, led_realloc(l, led_malloc(l, 10), 10, 4000), 4000);
	led_note("inherited", inherited);
}

static void await(pid_t child)
{
	int status;

	LED_REQUIRE(child > 0);
	LED_REQUIRE(waitpid(child, &status, 0) == child && status == 0);
}

int main(void)
{
	pid_t child;

	victim_before();
	child = fork();
	if (child == 0) {
		led_reset();
		victim_child(0, 500);
		child = fork();
		if (child == 0) {
			led_reset();
			inherited = 0;
			victim_child(500, 1000);
			led_report_as(".grandchild");
			exit(0);
		}
		await(child);
		led_report_as(".child");
		_exit(0);
	}
	await(child);
	victim_after();
	led_report();
	return 0;
}
