/* SPDX-License-Identifier: MIT */
/*
 * The tally format in C: what FORMAT.md says in words, as structs that are laid out the same in memory and in the
 * file. This is the only header the analyzer takes from the shim. All integers are little-endian, every struct is
 * naturally aligned and has no hidden padding; sizes are checked at the end of this file.
 */
#ifndef HEAPTALLY_FORMAT_H
#define HEAPTALLY_FORMAT_H

#include <stddef.h>
#include <stdint.h>

#define HT_MAGIC "heaptlly" /* eight bytes, no terminator */
#define HT_VERSION 5u
#define HT_MAX_EXTENTS 8192u
#define HT_EXTENTS_OFFSET 4096u /* the extent table follows the header page */
#define HT_TIMELINE_POINTS 508u /* capacity; coarsened to half when full */
#define HT_LIFETIME_BINS 12u
#define HT_LIFETIME_FIRST 12u /* log2 of the ticks where bin 1 begins */
#define HT_CHAIN_BINS 8u
#define HT_SIZE_CLASSES 473u
#define HT_MAX_MARKS 1024u
#define HT_CONTENT_BYTES 256u
#define HT_BUCKET_CONTENTS 64u /* hashes kept of one bucket */
#define HT_PAGE_BYTES 4096u
#define HT_NO_ROW 0u /* history row 0 means: none */

/* enum ht_section: the types of extents. */
enum ht_section {
	HT_SEC_FREE = 0,      /* unused descriptor */
	HT_SEC_STRINGS = 1,   /* bytes; NUL-terminated strings by offset; offset 0 is "" */
	HT_SEC_MODULES = 2,   /* struct ht_module; index 0 is the pseudo module */
	HT_SEC_SITES = 3,     /* struct ht_site; index 0 is the root */
	HT_SEC_BUCKETS = 4,   /* struct ht_bucket; index 0 is the overflow bucket */
	HT_SEC_OWNERS = 5,    /* struct ht_owner: whose counters lie at that place of HT_SEC_COUNTERS */
	HT_SEC_COUNTERS = 6,  /* struct ht_counters */
	HT_SEC_REGROWS = 7,   /* struct ht_regrow: realloc steps from bucket to bucket */
	HT_SEC_CHAINS = 8,    /* struct ht_chain: where chains end, by origin */
	HT_SEC_THREADS = 9,   /* struct ht_thread */
	HT_SEC_TIMELINE = 10, /* struct ht_point */
	HT_SEC_HISTORY = 11,  /* struct ht_history; index 0 is not used */
	/* only in a finished tally: */
	HT_SEC_FUNCTIONS = 12, /* struct ht_function */
	HT_SEC_FRAMES = 13,    /* struct ht_frame */
	HT_SEC_LOCATIONS = 14, /* struct ht_location, sorted by (module, offset) */
	HT_SEC_NAMES = 15,     /* bytes, as HT_SEC_STRINGS, for functions and source files */
	/* in both: */
	HT_SEC_MARKS = 16,    /* struct ht_mark; index 0 is the start of the process */
	HT_SEC_PHASES = 17,   /* struct ht_phase; index 0 is not used */
	HT_SEC_CONTENTS = 18, /* struct ht_content; index 0 is not used */
	HT_SEC_SNAPSHOTS = 19, /* struct ht_snapshot */
	HT_SEC_LOCALITY = 20,  /* struct ht_locality: rows of the snapshots */
	HT_SEC_LIGHT = 21,     /* struct ht_light; not in a finished tally */
	HT_SEC_COUNT = 22
};

enum ht_codec {
	HT_CODEC_RAW = 0,
	HT_CODEC_ZSTD = 1, /* one zstd frame per extent */
};

struct ht_extent {
	uint32_t section; /* enum ht_section; written last (release), so that a descriptor is whole or absent */
	uint32_t codec;
	uint64_t offset;       /* bytes from the start of the file */
	uint64_t stored_bytes; /* bytes in the file */
	uint64_t raw_bytes;    /* bytes after decoding; equals stored_bytes when raw */
};

/* Bits. */
enum ht_state {
	HT_STATE_RECORDING = 0, /* none: also what a killed process leaves */
	HT_STATE_EXITED = 1,	/* the process went through exit; later events may still have been added */
	HT_STATE_FINISHED = 2,	/* written by the analyzer: merged, named, compressed */
	HT_STATE_ALL = 3,
};

/* Why an event is not in the buckets. */
enum ht_drop {
	HT_DROP_REENTERED = 0,	/* a signal handler allocated while its thread was recording */
	HT_DROP_NO_THREAD = 1,	/* no memory for a thread's state */
	HT_DROP_SITES_FULL = 2,	/* site table full: tallied at the parent site */
	HT_DROP_BUCKETS_FULL = 3, /* bucket table full: tallied in bucket 0 */
	HT_DROP_LEDGER_FULL = 4, /* no memory for the ledger: the allocation is counted, its free will be unknown */
	HT_DROP_NO_SPACE = 5,	/* the file could not grow (disk full) */
	HT_DROP_CHAINS_FULL = 6, /* regrow or chain table full */
	HT_DROP_PHASES_FULL = 7, /* phase table full: a change is told in a phase before its own */
	HT_DROP_COUNT = 8
};

struct ht_header {
	char magic[8];
	uint32_t version;
	uint32_t header_bytes; /* sizeof(struct ht_header) */
	uint32_t state;	       /* enum ht_state */
	uint32_t pid;
	uint32_t parent_pid;
	uint32_t generation; /* 0 for a new image, 1 after one fork without exec, and so on */

	/* clock: ticks are CPU time-stamp cycles; two points give the rate */
	uint64_t start_ticks;
	uint64_t start_ns; /* CLOCK_MONOTONIC */
	uint64_t last_ticks;
	uint64_t last_ns;
	uint64_t start_unix_ns; /* CLOCK_REALTIME */
	uint64_t cpu_ns;	/* user + system time of the process when last seen */

	/* published record counts: readers look at no record beyond them */
	uint32_t n_modules;
	uint32_t n_sites;
	uint32_t n_buckets;
	uint32_t n_counters;
	uint32_t n_regrows;
	uint32_t n_chains;
	uint32_t n_threads;
	uint32_t n_history; /* rows, row 0 included */
	uint64_t strings_bytes;

	/* strings */
	uint32_t program; /* base name of the executable */
	uint32_t exe;	  /* its path */
	uint32_t command; /* arguments joined by spaces */
	uint32_t cwd;

	uint32_t stack_depth; /* most frames kept of a stack */
	uint32_t reserved_before[13];

	/* live bytes and the peak, see FORMAT.md, "Peak": a cache line that all threads write */
	uint64_t live_bytes; /* as last flushed: within the bound of the sum over buckets */
	uint64_t peak_bytes;
	uint64_t peak_ticks;
	uint32_t rising; /* 1 while live bytes stand at their highest */
	uint32_t reserved_between[9];

	/* stamps: a cache line that every event reads and few write */
	uint64_t stamp;	     /* moves on at every passed peak, every mark and every tick of the timeline */
	uint64_t peak_stamp; /* the stamp given out when the last peak was passed */
	uint64_t mark_stamp; /* the stamp given out by the last mark; 0: there is none but the start */
	uint64_t reserved_after[5];

	/* timeline */
	uint32_t n_points;
	uint32_t point_generation; /* how often the timeline was coarsened */
	uint64_t point_ticks;	   /* time between two points now */

	/* events outside the buckets */
	uint64_t unknown_frees;	   /* free or realloc of a pointer the ledger does not know */
	uint64_t inherited_frees;  /* the same in a forked child: may be the parent's */
	uint64_t zero_sizes;	   /* requests of 0 bytes (they are in the buckets too) */
	uint64_t failures;	   /* requests the allocator refused (they are in no bucket); with
				      sampling not all of those below 128 KiB */
	uint64_t failed_bytes;
	uint64_t lost_frees;	   /* an address was handed out again without a free seen */
	uint64_t bootstrap_allocs; /* served before the real allocator was known */
	uint64_t bootstrap_bytes;
	uint64_t walks;		   /* stacks taken */
	uint64_t slow_walks;	   /* of those, taken by libunwind */
	uint64_t cut_stacks;	   /* 0 in the file; readers put the sum over threads here */
	uint64_t deep_stacks;	   /* stacks deeper than stack_depth */
	uint64_t dropped[HT_DROP_COUNT];

	/* mmap, munmap, mremap, brk, madvise called through the dynamic linker */
	uint64_t map_calls;
	uint64_t map_bytes;
	uint64_t unmap_calls;
	uint64_t unmap_bytes;
	uint64_t madvise_calls;
	uint64_t madvise_bytes;
	uint64_t sample_bytes; /* mean bytes between samples; 0: every event is recorded */
	uint64_t run;	       /* HEAPTALLY_RUN: tells which `heaptally run` this belongs to; 0: none */

	uint32_t n_marks;
	uint32_t n_phases;
	uint32_t n_contents;
	uint32_t lost_marks; /* made when HT_MAX_MARKS were there */
	uint32_t n_light;
	uint32_t reserved_end;
};

/* The pseudo module: sites with module 0 are no addresses; their offset is one of these. */
enum ht_pseudo {
	HT_PSEUDO_ROOT = 0,
	HT_PSEUDO_JIT = 1,	 /* code outside all modules; neighbours are folded into one */
	HT_PSEUDO_NO_TABLES = 2, /* outward of here the stack is unknown: the module has no unwind tables */
	HT_PSEUDO_TRUNCATED = 3, /* outward of here the stack was deeper than stack_depth */
	HT_PSEUDO_BROKEN = 4,	 /* outward of here unwinding failed */
	HT_PSEUDO_COUNT = 5
};

enum ht_module_flags {
	HT_MODULE_MAIN = 1,	 /* the executable */
	HT_MODULE_SHIM = 2,	 /* libheaptally itself */
	HT_MODULE_NO_TABLES = 4, /* no unwind tables worth the name */
	HT_MODULE_GONE = 8,	 /* unloaded since */
	HT_MODULE_ADOPTED = 16,	 /* its static allocator is hooked */
};

/* Why an allocator that was found in a module was left alone. */
enum ht_refusal {
	HT_REFUSED_NOTHING = 0, /* adopted, or none was found */
	HT_REFUSED_ROUND = 1,	/* calls go round the entry points */
	HT_REFUSED_UNPROVEN = 2, /* an entry point did not behave as its role says */
	HT_REFUSED_SHORT = 3,	/* an entry point is too short or branched into */
	HT_REFUSED_PARTLY = 4,	/* no dealloc, or patching failed */
};

struct ht_module {
	uint64_t bias;	/* what the loader added to the file's addresses */
	uint64_t start; /* first mapped address */
	uint64_t end;	/* one past the last */
	uint64_t loaded_ticks;
	uint64_t unloaded_ticks; /* 0 while loaded */
	uint64_t map_bytes;	 /* asked of mmap by code of this module */
	uint64_t unmap_bytes;
	uint32_t path; /* string */
	uint32_t flags;
	uint8_t build_id[20];
	uint8_t build_id_bytes; /* 0 when the file has none */
	uint8_t adopted;	/* bit per adopted role: alloc, dealloc, realloc, alloc_zeroed */
	uint16_t refused;	/* enum ht_refusal */
};

/* A site: a stack, outermost frame first, as a path in a tree. Parents have smaller indices than children. */
struct ht_site {
	uint32_t parent;
	uint16_t module;
	uint16_t reserved;
	uint64_t offset; /* return address minus the module's bias (an interrupted instruction's own address plus one,
			    so that one less is always inside the calling or interrupted code), or enum ht_pseudo */
};

enum ht_source {
	HT_SOURCE_LIBC = 0,    /* through the exported malloc family */
	HT_SOURCE_ADOPTED = 1, /* through an adopted allocator */
};

struct ht_bucket {
	uint32_t site;
	uint16_t size_class;
	uint8_t align;	/* 0: not told; else 1 + log2(alignment in bytes) */
	uint8_t source; /* enum ht_source */
	uint64_t first_ticks; /* time of its first event */
};

struct ht_owner {
	uint32_t bucket;
	uint32_t thread; /* index of the recording thread; a bucket may have several records: add them up */
};

/* Counters of one bucket as seen by one thread. Sums over threads are exact; a single record's live values can be
 * negative, where one thread allocates and another frees. */
struct ht_counters {
	/* touched by every allocation and free */
	uint64_t allocs;      /* malloc, calloc, new ...; not realloc of a live pointer */
	uint64_t alloc_bytes; /* requested by those */
	uint64_t frees;
	int64_t live_count;
	int64_t live_bytes; /* requested */
	uint64_t min_bytes; /* smallest and largest request; min > max: none yet */
	uint64_t max_bytes;
	uint64_t stamp_row; /* stamp << 24 | history row */
	/* touched by every allocation, or by few */
	uint64_t usable_bytes;	 /* malloc_usable_size, allocations and reallocs */
	uint64_t lifetime_ticks; /* summed over timed lives; a chain lives from its first allocation */
	/* lifetime histogram: bin b counts timed lives of [2^(12+2(b-1)), 2^(12+2b)) ticks; bin 0 from 0, the last one
	 * without end. Saturates at 2^32 - 1. */
	uint32_t lifetimes[HT_LIFETIME_BINS];
	/* touched now and then */
	int64_t peak_count; /* live at the peak, when stamp >= header.peak_stamp; otherwise live_count is */
	int64_t peak_bytes;
	uint64_t temporary;	  /* freed before the same thread's next allocation */
	uint64_t foreign_frees;	  /* freed by another thread than the one that allocated */
	uint32_t timed_calls;	  /* samples: calls of the allocator that were timed, of every kind; saturates */
	float timed_squares;	  /* squares of the ticks that each of those took, added up: for standard errors */
	uint64_t timed_ticks;	  /* what those took */
	uint64_t filled_bytes;	  /* samples: fresh bytes that were given a pattern, and seen again at free */
	uint64_t unwritten_bytes; /* of those, at the block's end and with the pattern still in them */
};

/* How many lives are timed. */
static inline uint64_t ht_lives(const struct ht_counters *c)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < HT_LIFETIME_BINS; i++)
		n += c->lifetimes[i];
	return n;
}

/*
 * Counters of one bucket as seen by one thread, as long as there are few of them: as struct ht_counters and its owner, but
 * narrow, and without samples and history. Its thread has no record in HT_SEC_COUNTERS for that bucket.
 */
struct ht_light {
	uint32_t bucket; /* written last; 0: the record is unused */
	uint32_t thread;
	uint64_t stamp;
	uint64_t lifetime_ticks;
	uint32_t alloc_bytes;
	uint32_t usable_bytes;
	int32_t live_bytes;
	int32_t peak_bytes;
	uint32_t min_bytes; /* greater than max_bytes: there was no request */
	uint32_t max_bytes;
	uint8_t events; /* arrivals and departures, reallocs included */
	uint8_t allocs;
	uint8_t frees;
	int8_t live_count;
	int8_t peak_count;
	uint8_t temporary;
	uint8_t foreign_frees;
	uint8_t reserved[3];
	uint8_t lifetimes[HT_LIFETIME_BINS / 2]; /* bin b: 4 bits from bit 4 * (b % 2) of byte b / 2 */
};

/* realloc of live pointers from one bucket to another (or the same); of one thread, as counters are */
struct ht_regrow {
	uint32_t from;
	uint32_t to;
	uint64_t count;
	uint64_t from_bytes; /* requested before */
	uint64_t to_bytes;   /* requested after */
	uint64_t moved;	     /* the address changed */
	uint64_t copied_bytes; /* min(before, after) of the moved ones */
};

/* Chains that started in bucket `origin` and whose buffer has this size class, as seen by one thread: sums over threads
 * are exact. A chain enters when its second allocation is made; a buffer that was never reallocated is no chain. */
struct ht_chain {
	uint32_t origin;
	uint16_t size_class;
	uint16_t reserved;
	uint64_t now;	/* alive with this size */
	uint64_t ended; /* freed with this size */
	uint64_t regrows; /* reallocs made by the ended ones in all */
	uint64_t copied_bytes; /* copied by reallocs that arrived here */
	/* lengths of ended chains, counted in reallocs: 1, 2, 3-4, 5-8, ... 65 and more. Saturates. */
	uint32_t lengths[HT_CHAIN_BINS];
};

/* Threads of one name that have ended are one record. */
struct ht_thread {
	char name[16]; /* NUL-padded */
	uint32_t tid;  /* of the live thread; 0 when the record is a sum of ended ones */
	uint32_t threads; /* how many threads the record stands for; 0: free slot */
	uint64_t allocs;
	uint64_t alloc_bytes; /* reallocs included, with their new size */
	uint64_t frees;
	uint64_t freed_bytes;
	uint64_t reallocs;
	uint64_t temporary;
	uint64_t cut_stacks; /* stacks that end early, because unwind data is missing */
};

struct ht_point {
	uint64_t ticks;
	uint64_t live_bytes;
	uint64_t live_max_bytes; /* highest since the point before */
	uint64_t allocs;	 /* since the start, reallocs included */
	uint64_t alloc_bytes;
	uint64_t rss_bytes;
	uint64_t vm_bytes; /* mapped in all */
	uint64_t map_bytes;   /* header's map_bytes at that time, and so on */
	uint64_t unmap_bytes;
	uint64_t madvise_bytes;
	uint64_t data_bytes;  /* private writable mappings: heap, stacks, anonymous memory (statm "data") */
	uint64_t cpu_ns;
	uint64_t minor_faults;
	uint64_t major_faults;
	uint64_t sys_ns; /* of cpu_ns, what the kernel took */
	uint64_t reserved;
};

/* Live bytes of one counters record along the timeline. */
struct ht_history {
	uint32_t bucket;
	uint32_t counters; /* the record: index in HT_SEC_COUNTERS. In a finished tally: the bucket */
	uint32_t generation; /* of the timeline when last written; bring it forward by keeping every second value */
	uint32_t first;	     /* first point known */
	uint32_t next;	     /* first point not written; from there on it is the record's live_bytes */
	uint32_t reserved[3];
	int64_t live_bytes[HT_TIMELINE_POINTS];
};

/*
 * A mark: the host said where its work is. A phase lasts from its mark to the next one, the last phase to the end.
 */
struct ht_mark {
	uint64_t ticks;
	uint32_t name;	  /* string */
	uint32_t numbers; /* string: "modules=5&chunks=2"; 0: none */
	uint64_t live_bytes; /* at the mark */
	uint64_t peak_bytes; /* highest live bytes since the mark before; 0 at the first */
	uint64_t rss_bytes;
	uint64_t cpu_ns;
	uint64_t reserved[2];
};

/*
 * What a counters record held at the start of a phase in which it changed. Between the phase of the same record's
 * row before and this one it did not change; after the last row it is what the record holds now.
 */
struct ht_phase {
	uint32_t counters; /* the record: index in HT_SEC_COUNTERS. In a finished tally: the bucket */
	uint32_t mark;	   /* the phase that was beginning, or had begun */
	uint64_t allocs;
	uint64_t alloc_bytes;
	uint64_t frees;
	int64_t live_count;
	int64_t live_bytes;
};

/* Samples: how often blocks of a bucket were freed with a content. */
struct ht_content {
	uint32_t bucket;
	uint32_t count;
	uint64_t hash; /* of the first HT_CONTENT_BYTES of the content and its size; 0: all that found no room */
};

/* A look at a sample of the heap's pages: whose blocks lie on which. */
struct ht_snapshot {
	uint64_t number; /* of two, the higher is newer; 0: none, or being written */
	uint64_t ticks;
	uint64_t live_bytes; /* at that time */
	uint32_t n_rows;
	uint32_t first; /* row i is record first + i * step of HT_SEC_LOCALITY */
	uint32_t step;
	uint32_t pages; /* in the sample, with a block on them */
	uint32_t every; /* one page in so many was looked at */
	uint32_t reserved[5];
};

/* What a bucket has on a page of a snapshot. Blocks of HT_PAGE_BYTES and more are left out: they fill their own. */
struct ht_locality {
	uint32_t page; /* from 0 on, ascending */
	uint32_t bucket;
	uint32_t blocks; /* that begin on the page */
	uint32_t bytes;  /* of blocks, as far as they lie on the page */
};

enum ht_function_flags {
	HT_FUNCTION_UNNAMED = 1, /* name is made up: module+0xoffset */
	HT_FUNCTION_NO_LINES = 2,
	HT_FUNCTION_BY_SOURCE = 4, /* besides UNNAMED: crate::module::file:line+0xoffset, by what the code refers to */
};

struct ht_function {
	uint32_t name; /* names: demangled in full, disambiguators dropped */
	uint32_t file; /* names: source file, or 0 */
	uint16_t module;
	uint16_t flags;
	uint32_t crate; /* names: whose impl it is of, by its linker name; 0: the name tells */
};

struct ht_frame {
	uint32_t function;
	uint32_t line; /* of the call; 0 unknown */
};

/* Frames of a return address, innermost (inlined) first. */
struct ht_location {
	uint64_t offset;
	uint32_t first_frame;
	uint16_t n_frames;
	uint16_t module;
};

/* A light record as one of COUNTERS. */
static inline struct ht_counters ht_light_counters(const struct ht_light *l)
{
	struct ht_counters c = {
		.allocs = l->allocs,
		.alloc_bytes = l->alloc_bytes,
		.usable_bytes = l->usable_bytes,
		.live_count = l->live_count,
		.live_bytes = l->live_bytes,
		.min_bytes = l->min_bytes <= l->max_bytes ? l->min_bytes : UINT64_MAX,
		.max_bytes = l->min_bytes <= l->max_bytes ? l->max_bytes : 0,
		.stamp_row = l->stamp << 24 | HT_NO_ROW,
		.frees = l->frees,
		.lifetime_ticks = l->lifetime_ticks,
		.peak_count = l->peak_count,
		.peak_bytes = l->peak_bytes,
		.temporary = l->temporary,
		.foreign_frees = l->foreign_frees,
	};

	for (uint32_t i = 0; i < HT_LIFETIME_BINS; i++)
		c.lifetimes[i] = l->lifetimes[i / 2] >> 4 * (i % 2) & 15u;
	return c;
}

_Static_assert(sizeof(struct ht_header) <= 4096, "header fits its page");
_Static_assert(offsetof(struct ht_header, live_bytes) == 192, "a cache line of its own");
_Static_assert(offsetof(struct ht_header, stamp) == 256, "a cache line of its own");
_Static_assert(offsetof(struct ht_header, n_points) == 320, "layout");
_Static_assert(sizeof(struct ht_extent) == 32, "layout");
_Static_assert(sizeof(struct ht_module) == 88, "layout");
_Static_assert(sizeof(struct ht_site) == 16, "layout");
_Static_assert(sizeof(struct ht_bucket) == 16, "layout");
_Static_assert(sizeof(struct ht_owner) == 8, "layout");
_Static_assert(sizeof(struct ht_counters) == 192, "layout");
_Static_assert(sizeof(struct ht_light) == 64, "layout");
_Static_assert(sizeof(struct ht_regrow) == 48, "layout");
_Static_assert(sizeof(struct ht_chain) == 72, "layout");
_Static_assert(sizeof(struct ht_thread) == 80, "layout");
_Static_assert(sizeof(struct ht_point) == 128, "layout");
_Static_assert(sizeof(struct ht_history) == 4096, "layout");
_Static_assert(sizeof(struct ht_mark) == 64, "layout");
_Static_assert(sizeof(struct ht_phase) == 48, "layout");
_Static_assert(sizeof(struct ht_content) == 16, "layout");
_Static_assert(sizeof(struct ht_snapshot) == 64, "layout");
_Static_assert(sizeof(struct ht_locality) == 16, "layout");
_Static_assert(sizeof(struct ht_function) == 16, "layout");
_Static_assert(sizeof(struct ht_frame) == 8, "layout");
_Static_assert(sizeof(struct ht_location) == 16, "layout");

/*
 * Size classes. Class 0 is size 0; classes 1 to 16 are 1-8, 9-16, ... 121-128 bytes; from there on eight classes
 * per doubling: 129-144, 145-160, ... 241-256, 257-288, ...
 */
static inline uint32_t ht_size_class(uint64_t bytes)
{
	if (bytes == 0)
		return 0;
	uint64_t s = bytes - 1;
	if (s < 128)
		return (uint32_t)(s >> 3) + 1;
	uint32_t k = 63u - (uint32_t)__builtin_clzll(s);
	return 17 + (k - 7) * 8 + (uint32_t)((s >> (k - 3)) & 7);
}

/* Smallest size in a class. */
static inline uint64_t ht_class_min_bytes(uint32_t size_class)
{
	if (size_class == 0)
		return 0;
	if (size_class <= 16)
		return (uint64_t)(size_class - 1) * 8 + 1;
	uint32_t k = (size_class - 17) / 8 + 7, step = (size_class - 17) % 8;
	return ((uint64_t)(8 + step) << (k - 3)) + 1;
}

/* Largest size in a class. */
static inline uint64_t ht_class_max_bytes(uint32_t size_class)
{
	if (size_class == 0)
		return 0;
	if (size_class >= HT_SIZE_CLASSES - 1)
		return UINT64_MAX;
	return ht_class_min_bytes(size_class + 1) - 1;
}

#endif
