/* SPDX-License-Identifier: MIT */
/*
 * Exported functions that look at a call first and pass it on by a jump, so that whom it reaches sees the host as its
 * caller: to the hook that records it, to the real function when sampling passes it over, which it does with nearly all,
 * or to the loader. Compiled with sibling calls, see the Makefile.
 */
#include <stdlib.h>
#include <string.h>

#include "bootstrap.h"
#include "hooks.h"
#include "sample.h"

#define EXPORT __attribute__((visibility("default")))

EXPORT void *malloc(size_t bytes)
{
	return sample_passes(bytes) ? hooks_real.malloc(bytes) : hooks_malloc(bytes);
}

EXPORT void free(void *p)
{
	if (sample_unknown(p) && likely(!bootstrap_owns(p)))
		hooks_real.free(p);
	else
		hooks_free(p);
}

EXPORT void *realloc(void *p, size_t bytes)
{
	return sample_unknown(p) && likely(!bootstrap_owns(p)) && sample_passes(bytes)
		       ? hooks_real.realloc(p, bytes)
		       : hooks_realloc(p, bytes);
}

#define DEFINE_NEW(name, parameters, arguments, ...)                                               \
	EXPORT void *name parameters;                                                              \
	EXPORT void *name parameters                                                               \
	{                                                                                          \
		return likely(hooks_operators.name) ? hooks_operators.name arguments               \
						    : hooks_##name arguments;                      \
	}
HOOKS_NEW(DEFINE_NEW)

#define DEFINE_DELETE(name, parameters, arguments)                                                 \
	EXPORT void name parameters;                                                               \
	EXPORT void name parameters                                                                \
	{                                                                                          \
		if (likely(hooks_operators.name))                                                  \
			hooks_operators.name arguments;                                            \
		else                                                                               \
			hooks_##name arguments;                                                    \
	}
HOOKS_DELETE(DEFINE_DELETE)

/*
 * The loader asks its caller for $ORIGIN, and for the run path along which a bare name is to be searched. What such calls
 * load is noticed by the first of its addresses that turns up. A plain path, which is what Node passes for an add-on,
 * means the same from anywhere.
 */
static bool depends_on_caller(const char *file)
{
	return !file || !strchr(file, '/') || strchr(file, '$');
}

EXPORT void *dlopen(const char *file, int mode)
{
	if (depends_on_caller(file) && hooks_ready() && hooks_real.dlopen)
		return hooks_real.dlopen(file, mode);
	return hooks_dlopen(file, mode);
}

EXPORT void *dlmopen(Lmid_t where, const char *file, int mode)
{
	if (depends_on_caller(file) && hooks_ready() && hooks_real.dlmopen)
		return hooks_real.dlmopen(where, file, mode);
	return hooks_dlmopen(where, file, mode);
}
