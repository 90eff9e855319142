/* SPDX-License-Identifier: MIT */
/* Memory asked of the kernel by the program itself: no heap, but part of RSS. */
#include <sys/mman.h>

#include "victim.h"

VICTIM void victim_maps(void)
{
	unsigned long calls = 0, bytes = 0, unmaps = 0, unmapped = 0, advised = 0, advices = 0;

	for (size_t i = 1; i <= 50; i++) {
		size_t size = i * 8192;
		char *p = mmap(
			NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		LED_REQUIRE(p != MAP_FAILED);
		calls++;
		bytes += size;
		p[size - 1] = 1;
		LED_REQUIRE(madvise(p, size, MADV_DONTNEED) == 0);
		advices++;
		advised += size;
		LED_REQUIRE(p[size - 1] == 0);
		if (i % 2) {
			LED_REQUIRE(munmap(p, size) == 0);
			unmaps++;
			unmapped += size;
		}
	}
	/* refused: not counted */
	LED_REQUIRE(mmap(NULL, 0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED);
	LED_REQUIRE(errno == EINVAL);
	led_note("map_calls", calls);
	led_note("map_bytes", bytes);
	led_note("unmap_calls", unmaps);
	led_note("unmap_bytes", unmapped);
	led_note("madvise_calls", advices);
	led_note("madvise_bytes", advised);
}

int main(void)
{
	victim_maps();
	led_report();
	return 0;
}
