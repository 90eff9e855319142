/* SPDX-License-Identifier: MIT */
/* libunwind, opened privately. */
#include "unwind_slow.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>

#define UNW_LOCAL_ONLY
#include <libunwind.h>

#define STRING_OF(x) #x
#define NAME_OF(x)   STRING_OF(x)

static struct {
	int (*getcontext)(unw_tdep_context_t *);
	int (*init_local)(unw_cursor_t *, unw_context_t *);
	int (*step)(unw_cursor_t *);
	int (*get_reg)(unw_cursor_t *, int, unw_word_t *);
	int (*is_signal_frame)(unw_cursor_t *);
	bool loaded;
} lib;

void unwind_slow_load(void)
{
	void *handle = dlopen("libunwind.so.8", RTLD_NOW | RTLD_LOCAL);

	if (!handle)
		return;
	/* The headers map the plain names to those of the machine; unw_getcontext has a fixed one. */
	lib.getcontext = dlsym(handle, "_Ux86_64_getcontext");
	lib.init_local = dlsym(handle, NAME_OF(unw_init_local));
	lib.step = dlsym(handle, NAME_OF(unw_step));
	lib.get_reg = dlsym(handle, NAME_OF(unw_get_reg));
	lib.is_signal_frame = dlsym(handle, NAME_OF(unw_is_signal_frame));
	lib.loaded =
		lib.getcontext && lib.init_local && lib.step && lib.get_reg && lib.is_signal_frame;
}

uint32_t unwind_slow(uintptr_t from_sp, uintptr_t *ips, uint32_t max)
{
	unw_context_t context;
	unw_cursor_t cursor;
	unw_word_t ip, sp;
	bool reached = false;
	int saved_errno = errno;
	uint32_t n = 0;

	if (!lib.loaded)
		return 0;
	lib.getcontext(&context);
	if (lib.init_local(&cursor, &context) == 0) {
		do {
			if (lib.get_reg(&cursor, UNW_REG_IP, &ip) < 0 ||
				lib.get_reg(&cursor, UNW_REG_SP, &sp) < 0 || ip == 0)
				break;
			reached = reached || sp == from_sp;
			if (reached)
				/* true of the interrupted frame, not of the trampoline */
				ips[n++] = ip + (lib.is_signal_frame(&cursor) > 0 ? 1 : 0);
		} while (n < max && lib.step(&cursor) > 0);
	}
	errno = saved_errno;
	return n;
}
