/* SPDX-License-Identifier: MIT */
/*
 * Destructors of thread-specific data allocate, free, and put new data in place, so that they are called again, up to
 * the last round that POSIX allows. Other libraries' destructors, and so maybe the shim's, have run by then.
 */
#include <limits.h>
#include <pthread.h>

#include "victim.h"

static pthread_key_t keys[8];
static struct ledger *rounds;

VICTIM void victim_destructor(void *arg)
{
	unsigned char *data = arg, *next;
	unsigned key = data[0], round = data[1];

	led_free(rounds, led_malloc(rounds, 200), 200);
	if (round + 1 < PTHREAD_DESTRUCTOR_ITERATIONS) {
		next = led_malloc(rounds, 24);
		next[0] = (unsigned char)key;
		next[1] = (unsigned char)(round + 1);
		pthread_setspecific(keys[key], next);
	} else {
		led_malloc(rounds, 77); /* left */
	}
	led_free(rounds, data, round ? 24 : 16);
}

VICTIM void *victim_destructor_first(unsigned key)
{
	unsigned char *data = led_malloc(rounds, 16);

	data[0] = (unsigned char)key;
	data[1] = 0;
	return data;
}

static void *thread(void *arg)
{
	(void)arg;
	for (unsigned k = 0; k < 8; k++)
		pthread_setspecific(keys[k], victim_destructor_first(k));
	return NULL;
}

int main(void)
{
	pthread_t t;

	rounds = led_section("victim_destructor*");
	for (unsigned k = 0; k < 8; k++)
		LED_REQUIRE(pthread_key_create(&keys[k], victim_destructor) == 0);
	for (int i = 0; i < 200; i++) {
		LED_REQUIRE(pthread_create(&t, NULL, thread, NULL) == 0);
		pthread_join(t, NULL);
	}
	led_report();
	return 0;
}
