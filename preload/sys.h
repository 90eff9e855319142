/* SPDX-License-Identifier: MIT */
/*
 * Everything the shim asks of the kernel. The calls are made directly, not through libc: errno stays the host's, and
 * no hook of ours or anybody else's is in the way. All are async-signal-safe. Results below zero are -errno.
 */
#ifndef HEAPTALLY_SYS_H
#define HEAPTALLY_SYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#define SYS_PAGE_BYTES 4096ul
#define SYS_LINE_BYTES 64u /* of the cache */

#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#define NOINLINE    __attribute__((noinline))
#define COLD	    __attribute__((cold, noinline))

static inline uint64_t sys_ticks(void)
{
	return __builtin_ia32_rdtsc();
}

uint64_t sys_monotonic_ns(void);
uint64_t sys_realtime_ns(void);
uint32_t sys_pid(void);
uint32_t sys_parent_pid(void);
uint32_t sys_tid(void);
void sys_yield(void);

/* Name of the calling thread, NUL-padded. */
void sys_thread_name(char name[16]);

/*
 * Private zeroed memory that a forked child does not inherit; NULL when refused. Reserved memory is the same but
 * costs nothing until it is touched and does not count against overcommit.
 */
void *sys_map(size_t bytes);
void *sys_reserve(size_t bytes);
/* The same in huge pages where the kernel gives them: for what every event hits at random. A multiple of a page. */
#define SYS_HUGE_BYTES (2ul << 20)
void *sys_map_huge(size_t bytes);
/* For what is about to be written all over: in huge pages, or in others that are there at once. */
void *sys_map_dense(size_t bytes);
void sys_unmap(void *start, size_t bytes);
/* Gives memory of those above back but keeps its place: whoever still reads there reads zeros. */
void sys_discard(void *start, size_t bytes);
/* Zeroed memory that a forked child shares. */
void *sys_map_shared(size_t bytes);
/* Private memory within a 32-bit jump of an address. */
void *sys_map_near(uintptr_t address, size_t bytes);
/* prot: as for mprotect, of the pages that hold these bytes. 0 or -errno. */
int sys_protect(uintptr_t start, size_t bytes, int prot);

/* A child that no handler and no wait of the host hears of, without descriptors: pid, 0 in the child, or -errno. */
int sys_fork_quietly(void);
_Noreturn void sys_exit(int code);
/* True when the child has ended within that time. */
bool sys_wait_for(int child, unsigned milliseconds);
void sys_kill_and_wait(int child);

/* A page that the kernel zeroes in a forked child; NULL when the kernel cannot do that. */
void *sys_map_wiped_on_fork(void);

/* Maps a part of a file, shared and writable, at exactly `at` (inside a reservation). 0 or -errno. */
int sys_map_file(void *at, size_t bytes, int fd, uint64_t offset);

/* An unnamed file in `directory`, or -errno. sys_file_link gives it a name (never over an existing one). */
int sys_file_unnamed(const char *directory);
int sys_file_link(int fd, const char *path);
/* A new file, failing with -EEXIST when there is one. */
int sys_file_create(const char *path);
/* Gives the file real space from offset on, so that a full disk shows here and not as SIGBUS later. 0 or -errno. */
int sys_file_allocate(int fd, uint64_t offset, uint64_t bytes);
int sys_file_open(const char *path); /* an existing one, to read and write */
int sys_file_stat(int fd, struct stat *st);
/* The same file under a descriptor >= least; the old one is closed. Keeps the old one when that fails. */
int sys_file_move_high(int fd, int least);
int sys_file_open_to_read(const char *path);
/* Writes `part` and renames it to `path`; on any failure nothing is left but what was at `path`. */
void sys_file_write_whole(const char *part, const char *path, const void *data, size_t bytes);
void sys_make_directory(const char *path);
void sys_file_close(int fd);
void sys_file_remove(const char *path);

/* Reads a whole small file, at most bytes - 1 of it, and ends it with NUL. Bytes read or -errno. */
int sys_read_all(const char *path, char *buffer, size_t bytes);
int sys_read_link(const char *path, char *buffer, size_t bytes); /* likewise */
int sys_current_directory(char *buffer, size_t bytes);	      /* likewise */

/* Can this page be read? Asked of the kernel, so that it never faults. */
bool sys_readable(uintptr_t address);

struct sys_usage {
	uint64_t cpu_ns; /* user + system, all threads */
	uint64_t sys_ns; /* of that, system */
	uint64_t minor_faults, major_faults;
};
void sys_usage(struct sys_usage *out);

struct sys_memory {
	uint64_t vm_bytes, rss_bytes, data_bytes;
};
void sys_memory(struct sys_memory *out);

/* CPU time of the calling thread. */
uint64_t sys_thread_cpu_ns(void);

/*
 * A lock for the rare paths: short sections that never call out of the shim. A forked child starts with fresh ones,
 * because everything they protect is made anew there.
 */
struct sys_lock {
	int state; /* 0 free, 1 held, 2 held and waited for */
};
void sys_lock(struct sys_lock *lock);
bool sys_trylock(struct sys_lock *lock);
/* False: others had it for that long. */
bool sys_lock_within(struct sys_lock *lock, unsigned milliseconds);
void sys_unlock(struct sys_lock *lock);

#endif
