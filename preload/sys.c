/* SPDX-License-Identifier: MIT */
/* The only place that talks to the kernel: raw system calls, so that errno and interposed functions stay out of it. */
#include "sys.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#define FILE_MODE 0644

static inline long call6(long n, long a, long b, long c, long d, long e, long f)
{
	long result;
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return result;
}

#define call(n, ...) call_n(n, ##__VA_ARGS__, 0, 0, 0, 0, 0, 0)
#define call_n(n, a, b, c, d, e, f, ...)                                                           \
	call6(n, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec t = {0};

	call(SYS_clock_gettime, clock, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void *map_anonymous(size_t bytes, int prot, int flags)
{
#ifdef __SANITIZE_THREAD__ /* it learns from the library's function only that memory is new, whoever had it before */
	long p = (long)mmap(NULL, bytes, prot, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
#else
	long p = call(SYS_mmap, 0, bytes, prot, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
#endif

	if (p < 0 && p > -4096)
		return NULL;
	call(SYS_madvise, p, bytes, MADV_DONTFORK);
	return (void *)p;
}

void *sys_map_shared(size_t bytes)
{
	long p =
		call(SYS_mmap, 0, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return p < 0 && p > -4096 ? NULL : (void *)p;
}

void *sys_map_near(uintptr_t address, size_t bytes)
{
	const uintptr_t reach = 1ul << 30, stride = 1ul << 20;

	/* Below the module first, then above: the kernel takes a hint when the place is free. */
	for (uintptr_t away = stride; away < reach; away += stride)
		for (int above = 0; above < 2; above++) {
			uintptr_t hint =
				(above ? address + away : address - away) & ~(SYS_PAGE_BYTES - 1);
			long p = call(SYS_mmap, hint, bytes, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
			if (p == (long)hint)
				return (void *)p;
			if (p > 0)
				call(SYS_munmap, p, bytes);
		}
	return NULL;
}

int sys_protect(uintptr_t start, size_t bytes, int prot)
{
	uintptr_t page = start & ~(SYS_PAGE_BYTES - 1);
	uintptr_t end = (start + bytes + SYS_PAGE_BYTES - 1) & ~(SYS_PAGE_BYTES - 1);

	return (int)call(SYS_mprotect, page, end - page, prot);
}

int sys_fork_quietly(void)
{
	/* No exit signal: the host gets no SIGCHLD, and its wait calls without __WCLONE pass this child over. */
	int child = (int)call(SYS_clone, 0, 0, 0, 0, 0);

	if (child != 0)
		return child;
	/* What goes wrong in it must not be heard either: no descriptors, no core, no handlers of the host. */
	static const int faults[] = {SIGABRT, SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGSYS};
	const struct {
		void *handler;
		unsigned long flags;
		void *restorer;
		uint64_t mask;
	} by_default = {0};

	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
		call(SYS_rt_sigaction, faults[i], &by_default, 0, sizeof(by_default.mask));
	call(SYS_prctl, PR_SET_DUMPABLE, 0, 0, 0, 0);
	if (call(SYS_close_range, 0, ~0u, 0) < 0)
		for (int fd = 0; fd < 1024; fd++)
			call(SYS_close, fd);
	return 0;
}

void sys_exit(int code)
{
	for (;;)
		call(SYS_exit_group, code);
}

static void sleep_millisecond(void)
{
	const struct timespec millisecond = {0, 1000000};

	call(SYS_nanosleep, &millisecond, 0);
}

bool sys_wait_for(int child, unsigned milliseconds)
{
	int status;

	for (unsigned i = 0; i <= milliseconds; i++) {
		long r = call(SYS_wait4, child, &status, WNOHANG | __WCLONE, 0);
		if (r == child || r == -ECHILD)
			return true;
		sleep_millisecond();
	}
	return false;
}

void sys_kill_and_wait(int child)
{
	int status;

	call(SYS_kill, child, SIGKILL);
	while (call(SYS_wait4, child, &status, __WCLONE, 0) == -EINTR)
		;
}

uint64_t sys_monotonic_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

uint64_t sys_realtime_ns(void)
{
	return clock_ns(CLOCK_REALTIME);
}

uint32_t sys_pid(void)
{
	return (uint32_t)call(SYS_getpid);
}

uint32_t sys_parent_pid(void)
{
	return (uint32_t)call(SYS_getppid);
}

uint32_t sys_tid(void)
{
	return (uint32_t)call(SYS_gettid);
}

void sys_yield(void)
{
	call(SYS_sched_yield);
}

void sys_thread_name(char name[16])
{
	memset(name, 0, 16);
	call(SYS_prctl, PR_GET_NAME, name);
}

void *sys_map(size_t bytes)
{
	return map_anonymous(bytes, PROT_READ | PROT_WRITE, 0);
}

void *sys_reserve(size_t bytes)
{
	return map_anonymous(bytes, PROT_READ | PROT_WRITE, MAP_NORESERVE);
}

void *sys_map_huge(size_t bytes)
{
	char *p = map_anonymous(bytes + SYS_HUGE_BYTES, PROT_READ | PROT_WRITE, MAP_NORESERVE);

	if (!p)
		return NULL;
	size_t before = -(uintptr_t)p & (SYS_HUGE_BYTES - 1);
	if (before)
		call(SYS_munmap, p, before);
	if (before < SYS_HUGE_BYTES)
		call(SYS_munmap, p + before + bytes, SYS_HUGE_BYTES - before);
	call(SYS_madvise, p + before, bytes, MADV_HUGEPAGE);
	return p + before;
}

void *sys_map_dense(size_t bytes)
{
	if (bytes < SYS_HUGE_BYTES)
		return map_anonymous(bytes, PROT_READ | PROT_WRITE, MAP_POPULATE);
	return sys_map_huge((bytes + SYS_PAGE_BYTES - 1) & ~(SYS_PAGE_BYTES - 1));
}

void sys_discard(void *start, size_t bytes)
{
	call(SYS_madvise, start, bytes, MADV_DONTNEED);
}

void sys_unmap(void *start, size_t bytes)
{
	call(SYS_munmap, start, bytes);
}

void *sys_map_wiped_on_fork(void)
{
	long p = call(SYS_mmap, 0, SYS_PAGE_BYTES, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p < 0 && p > -4096)
		return NULL;
	if (call(SYS_madvise, p, SYS_PAGE_BYTES, MADV_WIPEONFORK) < 0) {
		call(SYS_munmap, p, SYS_PAGE_BYTES);
		return NULL;
	}
	return (void *)p;
}

int sys_map_file(void *at, size_t bytes, int fd, uint64_t offset)
{
	long p = call(
		SYS_mmap, at, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, offset);

	if (p < 0 && p > -4096)
		return (int)p;
	call(SYS_madvise, at, bytes, MADV_DONTFORK);
	return 0;
}

int sys_file_unnamed(const char *directory)
{
	return (int)call(
		SYS_openat, AT_FDCWD, directory, O_TMPFILE | O_RDWR | O_CLOEXEC, FILE_MODE);
}

int sys_file_link(int fd, const char *path)
{
	char source[32] = "/proc/self/fd/";
	char digits[12];
	size_t n = 0, at = strlen(source);

	do
		digits[n++] = (char)('0' + fd % 10);
	while ((fd /= 10) > 0);
	while (n > 0)
		source[at++] = digits[--n];
	source[at] = '\0';
	return (int)call(SYS_linkat, AT_FDCWD, source, AT_FDCWD, path, AT_SYMLINK_FOLLOW);
}

int sys_file_create(const char *path)
{
	return (int)call(
		SYS_openat, AT_FDCWD, path, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, FILE_MODE);
}

int sys_file_allocate(int fd, uint64_t offset, uint64_t bytes)
{
	struct rlimit limit;

	/* Growing past RLIMIT_FSIZE would not only fail, it would send the host a deadly SIGXFSZ. */
	if (call(SYS_prlimit64, 0, RLIMIT_FSIZE, 0, &limit) == 0 && offset + bytes > limit.rlim_cur)
		return -EFBIG;
	int r = (int)call(SYS_fallocate, fd, 0, offset, bytes);

	if (r != -EOPNOTSUPP && r != -ENOSYS)
		return r;
	/* Filesystems without fallocate: written zeros take the space as well. */
	static const char zeros[SYS_PAGE_BYTES];

	for (uint64_t done = 0; done < bytes;) {
		uint64_t left = bytes - done;
		long w = call(SYS_pwrite64, fd, zeros, left < sizeof(zeros) ? left : sizeof(zeros),
			offset + done);
		if (w == -EINTR)
			continue;
		if (w <= 0)
			return w < 0 ? (int)w : -ENOSPC;
		done += (uint64_t)w;
	}
	return 0;
}

int sys_file_open(const char *path)
{
	return (int)call(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0);
}

int sys_file_stat(int fd, struct stat *st)
{
	return (int)call(SYS_fstat, fd, st);
}

int sys_file_move_high(int fd, int least)
{
	int high = (int)call(SYS_fcntl, fd, F_DUPFD_CLOEXEC, least);

	if (high < 0)
		return fd;
	call(SYS_close, fd);
	return high;
}

int sys_file_open_to_read(const char *path)
{
	return (int)call(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
}

void sys_file_write_whole(const char *part, const char *path, const void *data, size_t bytes)
{
	struct rlimit limit;
	int fd;

	if (call(SYS_prlimit64, 0, RLIMIT_FSIZE, 0, &limit) == 0 && bytes > limit.rlim_cur)
		return;
	fd = (int)call(
		SYS_openat, AT_FDCWD, part, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, FILE_MODE);
	if (fd < 0)
		return;
	long written = call(SYS_write, fd, data, bytes);
	call(SYS_close, fd);
	if (written != (long)bytes || call(SYS_rename, part, path) < 0)
		call(SYS_unlink, part);
}

void sys_make_directory(const char *path)
{
	call(SYS_mkdir, path, 0755);
}

void sys_file_close(int fd)
{
	call(SYS_close, fd);
}

void sys_file_remove(const char *path)
{
	call(SYS_unlink, path);
}

int sys_read_all(const char *path, char *buffer, size_t bytes)
{
	int fd = (int)call(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
	size_t n = 0;

	if (fd < 0)
		return fd;
	while (n < bytes - 1) {
		long r = call(SYS_read, fd, buffer + n, bytes - 1 - n);
		if (r == -EINTR)
			continue;
		if (r <= 0)
			break;
		n += (size_t)r;
	}
	call(SYS_close, fd);
	buffer[n] = '\0';
	return (int)n;
}

int sys_read_link(const char *path, char *buffer, size_t bytes)
{
	long n = call(SYS_readlink, path, buffer, bytes - 1);

	buffer[n > 0 ? n : 0] = '\0';
	return (int)n;
}

int sys_current_directory(char *buffer, size_t bytes)
{
	long n = call(SYS_getcwd, buffer, bytes);

	if (n <= 0)
		buffer[0] = '\0';
	return (int)n;
}

bool sys_readable(uintptr_t address)
{
	/* The kernel copies the new mask in before it looks at `how`: EFAULT or EINVAL, and nothing changes. */
	return call(SYS_rt_sigprocmask, ~0, address & ~7ul, 0, 8) != -EFAULT;
}

void sys_usage(struct sys_usage *out)
{
	struct rusage u;

	memset(&u, 0, sizeof(u));
	call(SYS_getrusage, RUSAGE_SELF, &u);
	out->cpu_ns = (uint64_t)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000000u +
		      (uint64_t)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1000u;
	out->sys_ns =
		(uint64_t)u.ru_stime.tv_sec * 1000000000u + (uint64_t)u.ru_stime.tv_usec * 1000u;
	out->minor_faults = (uint64_t)u.ru_minflt;
	out->major_faults = (uint64_t)u.ru_majflt;
}

void sys_memory(struct sys_memory *out)
{
	char text[128];
	uint64_t fields[6] = {0};

	memset(out, 0, sizeof(*out));
	/* Opened anew each time: a descriptor kept open might be closed by the host and then be somebody else's. */
	if (sys_read_all("/proc/self/statm", text, sizeof(text)) <= 0)
		return;
	const char *s = text;
	for (int i = 0; i < 6; i++) {
		while (*s == ' ')
			s++;
		while (*s >= '0' && *s <= '9')
			fields[i] = fields[i] * 10 + (uint64_t)(*s++ - '0');
	}
	out->vm_bytes = fields[0] * SYS_PAGE_BYTES;
	out->rss_bytes = fields[1] * SYS_PAGE_BYTES;
	out->data_bytes = fields[5] * SYS_PAGE_BYTES;
}

uint64_t sys_thread_cpu_ns(void)
{
	return clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

bool sys_trylock(struct sys_lock *lock)
{
	int free = 0;

	/* acquire: what the holder before us wrote is visible */
	return __atomic_compare_exchange_n(
		&lock->state, &free, 1, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

bool sys_lock_within(struct sys_lock *lock, unsigned milliseconds)
{
	for (unsigned i = 0; !sys_trylock(lock); i++) {
		if (i == milliseconds)
			return false;
		sleep_millisecond();
	}
	return true;
}

void sys_lock(struct sys_lock *lock)
{
	for (int i = 0; i < 100; i++) {
		if (sys_trylock(lock))
			return;
		__builtin_ia32_pause();
	}
	while (__atomic_exchange_n(&lock->state, 2, __ATOMIC_ACQUIRE) != 0)
		call(SYS_futex, &lock->state, FUTEX_WAIT_PRIVATE, 2, 0);
}

void sys_unlock(struct sys_lock *lock)
{
	/* release: the next holder sees what we wrote */
	if (__atomic_exchange_n(&lock->state, 0, __ATOMIC_RELEASE) == 2)
		call(SYS_futex, &lock->state, FUTEX_WAKE_PRIVATE, 1);
}
