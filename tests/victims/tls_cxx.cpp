/* SPDX-License-Identifier: MIT */
/* thread_local objects (__cxa_thread_atexit) whose constructors and destructors allocate and free. */
#include <pthread.h>

#include "victim.h"

static struct ledger *made, *unmade;

VICTIM void *victim_made(size_t size)
{
	return led_got(made, ::operator new(size), size);
}

VICTIM void victim_unmade(void *p, size_t size)
{
	void *q = led_malloc(unmade, 64);

	led_gone(made, size);
	::operator delete(p);
	led_free(unmade, q, 64);
	led_malloc(unmade, 3);
}

struct object {
	void *p;
	size_t size;
	explicit object(size_t bytes) : p(victim_made(bytes)), size(bytes)
	{
	}
	~object()
	{
		victim_unmade(p, size);
	}
};

static thread_local object one(100);
static thread_local object two(200);
static thread_local object three(300);

static void *thread(void *)
{
	__asm__ volatile("" : : "r"(one.p), "r"(two.p), "r"(three.p));
	return NULL;
}

int main()
{
	pthread_t t;

	made = led_section("victim_made*");
	unmade = led_section("victim_unmade*");
	for (int i = 0; i < 300; i++) {
		LED_REQUIRE(pthread_create(&t, NULL, thread, NULL) == 0);
		pthread_join(t, NULL);
	}
	led_report();
	return 0;
}
