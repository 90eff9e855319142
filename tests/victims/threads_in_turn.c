/* SPDX-License-Identifier: MIT */
/* 100,000 threads, one after the other. Nothing may grow with their number but the figures. */
#include <pthread.h>

#include "victim.h"

static struct ledger *brief;

VICTIM void *victim_brief(void *arg)
{
	void *p = led_malloc(brief, 40), *q = led_malloc(brief, 50);

	led_free(brief, p, 40);
	if ((size_t)arg % 100)
		led_free(brief, q, 50);
	return NULL;
}

static void *thread(void *arg)
{
	void *result = victim_brief(arg);
	LED_BARRIER();
	return result;
}

int main(void)
{
	pthread_attr_t attr;
	pthread_t t;

	brief = led_section("victim_brief");
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 64 << 10);
	for (size_t i = 0; i < 100000; i++) {
		LED_REQUIRE(pthread_create(&t, &attr, thread, (void *)i) == 0);
		pthread_join(t, NULL);
	}
	led_report();
	return 0;
}
