/* SPDX-License-Identifier: MIT */
/*
 * The judge of the unwinder: linked with the shim's own objects into a second shim, for tests only. Every Nth stack that
 * unwind_stack finds is walked once more by libunwind, which knows nothing of the thread's last stack, and compared
 * frame by frame; through JIT code it is led by frame pointers. The judge stands between by the linker's --wrap, so
 * that what is judged is what ships. Environment:
 *   HEAPTALLY_JUDGE=FILE         where the verdict is appended at exit, "KEY VALUE" lines and examples
 *   HEAPTALLY_JUDGE_EVERY=N      8 unless said; 1: every event
 *   HEAPTALLY_JUDGE_MISTAKES=N   in every Nth judged stack a frame is left out, to see that it is noticed
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define UNW_LOCAL_ONLY
#include <libunwind.h>

#include "../../preload/record.h"
#include "../../preload/tallyfile.h"
#include "../../preload/unwind_slow.h"

#define STRING_OF(x) #x
#define NAME_OF(x)   STRING_OF(x)
#define MAX_FRAMES   (UNWIND_MAX_DEPTH + 64)
/* Of libunwind: its own 128 are few for a binding with 200,000 functions. */
#define CACHE_ENTRIES (1u << 18)
#define MAX_JIT_FRAME (16u << 20)
#define EXAMPLES      3 /* of each kind */
#define EXAMPLE_BYTES 4096

/* Frames outside all modules are one, whatever their addresses, as in tallies. */
#define JIT 0u

/* The first of these is agreement, the next ones are agreement as far as can be judged; from DISAGREE on it is none. */
#define KINDS(X)                                                                                   \
	X(SAME, same, "the same to the outermost frame")                                           \
	X(CUT_NO_TABLES, cut_no_tables, "the same until the tally says: a module without tables")  \
	X(CUT_DEEP, cut_deep, "the same until the tally says: deeper than its limit")              \
	X(CUT_BY_BOTH, cut_by_both,                                                                \
		"the same until the tally says: unwinding failed; libunwind ends too")             \
	X(CUT_BROKEN, cut_broken,                                                                  \
		"the same until the tally says: unwinding failed; libunwind goes on")              \
	X(JUDGE_LOST, judge_lost, "the same until libunwind gives up with an error")               \
	X(DIFFERS, differs, "another frame")                                                       \
	X(TOO_SHORT, too_short, "libunwind goes on")                                               \
	X(TOO_LONG, too_long, "libunwind says that the stack ended before")                        \
	X(OTHER_MODULE, other_module, "the same address, of another module")
enum kind {
#define X(name, key, text) name,
	KINDS(X)
#undef X
		KIND_COUNT,
	DISAGREE = DIFFERS,
};
static const char *const kind_keys[] = {
#define X(name, key, text) #key,
	KINDS(X)
#undef X
};
static const char *const kind_texts[] = {
#define X(name, key, text) text,
	KINDS(X)
#undef X
};

struct frames {
	uint32_t n;
	uintptr_t at[MAX_FRAMES];
	uint16_t modules[MAX_FRAMES]; /* of the tally; unused for libunwind's */
	uint32_t base;                /* enum ht_pseudo; unused likewise */
	bool lost;                    /* libunwind's: ended by an error */
};

/* A thread's own. Mapped, as its stack may be a small one. */
struct desk {
	struct frames shim, judge;
	unw_context_t context;
	unw_cursor_t cursor;
};

static struct {
	int (*getcontext)(unw_tdep_context_t *);
	int (*init_local)(unw_cursor_t *, unw_context_t *);
	int (*step)(unw_cursor_t *);
	int (*get_reg)(unw_cursor_t *, int, unw_word_t *);
	int (*is_signal_frame)(unw_cursor_t *);
	void (*flush_cache)(unw_addr_space_t, unw_word_t, unw_word_t);
	int (*set_cache_size)(unw_addr_space_t, size_t, int);
	unw_addr_space_t *local;
} lib;

static bool ready;
static uint64_t every = 8, mistakes;
static uint64_t events, judged, frames_compared, by_libunwind, through_jit, not_found,
	counts[KIND_COUNT];
static char examples[KIND_COUNT][EXAMPLES][EXAMPLE_BYTES];
static _Thread_local struct desk *desk __attribute__((tls_model("initial-exec")));
static _Thread_local uint64_t own_events __attribute__((tls_model("initial-exec")));
static _Thread_local bool was_slow __attribute__((tls_model("initial-exec")));

uint64_t __real_unwind_stack(struct thread *t, const uintptr_t *caller);
uint64_t __wrap_unwind_stack(struct thread *t, const uintptr_t *caller);
uint32_t __real_unwind_slow(uintptr_t sp, uintptr_t *ips, uint32_t max);
uint32_t __wrap_unwind_slow(uintptr_t sp, uintptr_t *ips, uint32_t max);
void __real_unwind_forget(uintptr_t start, uintptr_t end);
void __wrap_unwind_forget(uintptr_t start, uintptr_t end);

static uint64_t add(uint64_t *counter, uint64_t n)
{
	return __atomic_fetch_add(counter, n, __ATOMIC_RELAXED);
}

/* The stack that a site says. */
static void shim_frames(uint32_t site, struct frames *out)
{
	out->n = 0;
	out->base = HT_PSEUDO_ROOT;
	for (; site != 0; site = tally.sites[site].parent) {
		const struct ht_site *s = &tally.sites[site];
		if (s->module == 0 && s->offset != HT_PSEUDO_JIT) {
			out->base = (uint32_t)s->offset;
			return;
		}
		out->modules[out->n] = s->module;
		out->at[out->n++] =
			s->module ? (uintptr_t)(tally.modules[s->module].bias + s->offset) : JIT;
	}
}

/*
 * libunwind only guesses its way out of code without tables, and then has a stack pointer that is none. So it is led
 * out of JIT code by the frame pointer, as the ABI has it, and starts anew. False: the chain of frames is lost.
 */
static bool leave_jit(struct desk *d, unw_word_t sp)
{
	unw_word_t bp;
	greg_t *registers = d->context.uc_mcontext.gregs;

	if (lib.get_reg(&d->cursor, UNW_X86_64_RBP, &bp) < 0 || bp < sp ||
		bp - sp > MAX_JIT_FRAME || bp % 8 || !sys_readable(bp) || !sys_readable(bp + 8))
		return false;
	registers[REG_RSP] = (greg_t)bp + 16;
	registers[REG_RIP] = ((greg_t *)bp)[1];
	registers[REG_RBP] = ((greg_t *)bp)[0];
	return sys_readable((uintptr_t)registers[REG_RIP]) &&
	       lib.init_local(&d->cursor, &d->context) == 0;
}

/* libunwind's, from the frame with these registers outwards. False: it does not come by there. */
static bool judge_frames(struct desk *d, struct unwind_regs from, struct frames *out)
{
	struct dl_find_object found;
	unw_word_t ip, sp;
	bool reached = false;

	out->n = 0;
	out->lost = false;
	lib.getcontext(&d->context);
	if (lib.init_local(&d->cursor, &d->context) != 0)
		return false;
	for (int more = 1; more > 0 && out->n < MAX_FRAMES;) {
		if (lib.get_reg(&d->cursor, UNW_REG_IP, &ip) < 0 ||
			lib.get_reg(&d->cursor, UNW_REG_SP, &sp) < 0 || ip == 0)
			break;
		reached = reached || (sp == from.sp && ip == from.ip);
		/* true of the interrupted frame, not of the trampoline: of it, address plus one */
		uintptr_t address = ip + (lib.is_signal_frame(&d->cursor) > 0 ? 1 : 0);
		bool jit = _dl_find_object((void *)(address - 1), &found) != 0;
		if (reached && !(jit && out->n > 0 && out->at[out->n - 1] == JIT))
			out->at[out->n++] = jit ? JIT : address;
		more = jit ? (leave_jit(d, sp) ? 1 : -1) : lib.step(&d->cursor);
		out->lost = more < 0;
	}
	return reached;
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static bool same_module(uint16_t module, uintptr_t address)
{
	const struct ht_module *m = &tally.modules[module];
	struct dl_find_object found;

	if (_dl_find_object((void *)(address - 1), &found) != 0)
		return false;
	if (found.dlfo_link_map->l_name[0] == '\0')
		return m->flags & HT_MODULE_MAIN;
	return strcmp(base_name(tally.strings + m->path), base_name(found.dlfo_link_map->l_name)) ==
	       0;
}

/* at: the frame where they part. */
static enum kind compare(const struct frames *shim, const struct frames *judge, uint32_t *at)
{
	bool jit = false;
	uint32_t i;

	for (i = 0; i < shim->n && i < judge->n && shim->at[i] == judge->at[i]; i++) {
		jit = jit || shim->at[i] == JIT;
		if (shim->at[i] != JIT && !same_module(shim->modules[i], shim->at[i])) {
			*at = i;
			return OTHER_MODULE;
		}
	}
	*at = i;
	if (i == shim->n) {
		switch (shim->base) {
		case HT_PSEUDO_NO_TABLES:
			return CUT_NO_TABLES;
		case HT_PSEUDO_TRUNCATED:
			return CUT_DEEP;
		case HT_PSEUDO_BROKEN:
			return i == judge->n ? CUT_BY_BOTH : CUT_BROKEN;
		default:
			if (i == judge->n) {
				add(&through_jit, jit);
				return SAME;
			}
			return TOO_SHORT;
		}
	}
	if (i == judge->n)
		return judge->lost ? JUDGE_LOST : TOO_LONG;
	return DIFFERS;
}

/* Examples */

static size_t say(char *text, size_t at, const char *format, ...)
{
	va_list ap;

	if (at >= EXAMPLE_BYTES)
		return at;
	va_start(ap, format);
	int n = vsnprintf(text + at, EXAMPLE_BYTES - at, format, ap);
	va_end(ap);
	return n > 0 ? at + (size_t)n : at;
}

static size_t say_frames(
	char *text, size_t at, const char *who, const struct frames *f, uint32_t from)
{
	struct dl_find_object found;

	at = say(text, at, "    %s:", who);
	for (uint32_t i = from > 2 ? from - 2 : 0; i < f->n && i < from + 4; i++) {
		at = say(text, at, i == from ? " >" : " ");
		if (f->at[i] == JIT)
			at = say(text, at, "JIT");
		else if (_dl_find_object((void *)(f->at[i] - 1), &found) != 0)
			at = say(text, at, "?");
		else
			at = say(text, at, "%s+0x%lx", base_name(found.dlfo_link_map->l_name),
				f->at[i] - found.dlfo_link_map->l_addr);
	}
	return say(text, at, "\n");
}

static COLD void keep_example(char *text, const struct desk *d, enum kind kind, uint32_t at)
{
	size_t n = say(text, 0, "example: %s at frame %u of %u and %u, base %u, libunwind's %s\n",
		kind_keys[kind], at, d->shim.n, d->judge.n, d->shim.base,
		d->judge.lost ? "ends with an error" : "ends well");

	n = say_frames(text, n, "shim     ", &d->shim, at);
	say_frames(text, n, "libunwind", &d->judge, at);
}

static void judge(struct unwind_regs regs, uint32_t site)
{
	struct desk *d = desk;
	uint32_t at;

	if (!d)
		d = desk = sys_map(sizeof(*d));
	if (!d)
		return;
	shim_frames(site, &d->shim);
	if (!judge_frames(d, regs, &d->judge)) {
		add(&not_found, 1);
		return;
	}
	uint64_t n = add(&judged, 1);
	if (mistakes && n % mistakes == mistakes - 1 && d->shim.n > 2) {
		d->shim.n--;
		memmove(&d->shim.at[1], &d->shim.at[2], (d->shim.n - 1) * sizeof(d->shim.at[0]));
		memmove(&d->shim.modules[1], &d->shim.modules[2],
			(d->shim.n - 1) * sizeof(d->shim.modules[0]));
	}
	enum kind kind = compare(&d->shim, &d->judge, &at);
	uint64_t before = add(&counts[kind], 1);
	add(&frames_compared, at);
	if (unlikely(kind != SAME && before < EXAMPLES))
		keep_example(examples[kind][before], d, kind, at);
}

uint64_t __wrap_unwind_stack(struct thread *t, const uintptr_t *caller)
{
	was_slow = false;
	uint64_t stack = __real_unwind_stack(t, caller);

	add(&events, 1);
	if (!__atomic_load_n(&ready, __ATOMIC_ACQUIRE) || ++own_events % every != 0)
		return stack;
	if (was_slow)
		add(&by_libunwind, 1);
	int saved_errno = errno;
	judge(unwind_regs(caller), unwind_site(t));
	errno = saved_errno;
	return stack;
}

uint32_t __wrap_unwind_slow(uintptr_t sp, uintptr_t *ips, uint32_t max)
{
	was_slow = true;
	return __real_unwind_slow(sp, ips, max);
}

/* libunwind does not notice that another module came to an address it knows. */
void __wrap_unwind_forget(uintptr_t start, uintptr_t end)
{
	__real_unwind_forget(start, end);
	if (__atomic_load_n(&ready, __ATOMIC_ACQUIRE))
		lib.flush_cache(*lib.local, 0, 0);
}

static uint64_t number(const char *name, uint64_t otherwise)
{
	const char *s = getenv(name);

	return s && *s ? strtoull(s, NULL, 10) : otherwise;
}

__attribute__((constructor)) static void start(void)
{
	uint64_t before = record_mute();
	void *handle = dlopen("libunwind.so.8", RTLD_NOW | RTLD_LOCAL);

	every = number("HEAPTALLY_JUDGE_EVERY", every);
	mistakes = number("HEAPTALLY_JUDGE_MISTAKES", 0);
	if (handle && every) {
		lib.getcontext = dlsym(handle, "_Ux86_64_getcontext");
		lib.init_local = dlsym(handle, NAME_OF(unw_init_local));
		lib.step = dlsym(handle, NAME_OF(unw_step));
		lib.get_reg = dlsym(handle, NAME_OF(unw_get_reg));
		lib.is_signal_frame = dlsym(handle, NAME_OF(unw_is_signal_frame));
		lib.flush_cache = dlsym(handle, NAME_OF(unw_flush_cache));
		lib.set_cache_size = dlsym(handle, NAME_OF(unw_set_cache_size));
		lib.local = dlsym(handle, NAME_OF(unw_local_addr_space));
	}
	if (lib.getcontext && lib.init_local && lib.step && lib.get_reg && lib.is_signal_frame &&
		lib.flush_cache && lib.set_cache_size && lib.local) {
		lib.set_cache_size(*lib.local, CACHE_ENTRIES, 0);
		/* release: the table is whole for whoever sees the flag */
		__atomic_store_n(&ready, true, __ATOMIC_RELEASE);
	}
	record_unmute(before);
}

__attribute__((destructor)) static void stop(void)
{
	const char *path = getenv("HEAPTALLY_JUDGE");
	int fd = path ? open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644) : -1;
	uint64_t disagreed = 0;

	if (fd < 0)
		return;
	record_mute();
	__atomic_store_n(&ready, false, __ATOMIC_RELEASE);
	for (int k = DISAGREE; k < KIND_COUNT; k++)
		disagreed += counts[k];
	dprintf(fd, "events %lu\njudged %lu\nframes %lu\ndisagreed %lu\n", events, judged,
		frames_compared, disagreed);
	dprintf(fd, "by_libunwind %lu  # of judged, where the shim itself asked it\n",
		by_libunwind);
	dprintf(fd, "through_jit %lu  # of the same, those with JIT code in them\n", through_jit);
	dprintf(fd, "not_found %lu  # libunwind did not come by the hook's caller\n", not_found);
	for (int k = 0; k < KIND_COUNT; k++)
		dprintf(fd, "%s %lu  # %s\n", kind_keys[k], counts[k], kind_texts[k]);
	for (int k = 0; k < KIND_COUNT; k++)
		for (int i = 0; i < EXAMPLES && examples[k][i][0]; i++)
			dprintf(fd, "%s", examples[k][i]);
	close(fd);
}
