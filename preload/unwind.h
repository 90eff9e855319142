/* SPDX-License-Identifier: MIT */
/*
 * Stacks, fast. Each thread remembers its last stack with the words that a walk read from memory. A new walk starts at
 * the innermost frame and stops at the first frame whose registers equal those of a remembered one; if, going
 * outwards from there, every word the walk would read is unchanged, the rest is the remembered stack. Nothing is read
 * that a full walk would not read, so stacks may switch, unwind and be unmapped at will between two events.
 */
#ifndef HEAPTALLY_UNWIND_H
#define HEAPTALLY_UNWIND_H

#include <stdbool.h>
#include <stdint.h>

#include "format.h"

#define UNWIND_MAX_DEPTH 4096u

/* Registers at a frame, just after what it called returns. */
struct unwind_regs {
	uintptr_t ip; /* a return address; of an interrupted instruction: its address + 1 */
	uintptr_t sp;
	uintptr_t bp;
};

/* In a hook: where its stack starts. There lie the caller's rbp and the return address, above them is the caller's frame. */
#define UNWIND_CALLER ((const uintptr_t *)__builtin_frame_address(0))

static inline struct unwind_regs unwind_regs(const uintptr_t *caller)
{
	return (struct unwind_regs){
		.ip = caller[1], .sp = (uintptr_t)(caller + 2), .bp = caller[0]};
}

/* A word of the stack that led from one frame to the next. */
struct unwind_word {
	const uintptr_t *slot;
	uintptr_t value;
};
#define UNWIND_FRAME_WORDS 3u /* at most */

struct unwind_frame {
	uintptr_t ip;
	uintptr_t bp;
	uintptr_t bp_mask; /* all ones where a walk from here outwards depends on rbp, else 0 */
	uint64_t rule;
	uint64_t identity; /* of the stack that ends here */
	uint32_t n_words;  /* words that lead from here to the outermost frame */
	uint32_t site;     /* of that stack, or UNWIND_NO_SITE: nobody asked yet */
};

/* A frame while walking. */
struct unwind_fresh {
	struct unwind_regs regs;
	uint64_t rule;
	uintptr_t bp_slot; /* where the caller's rbp was read; 0: nowhere */
};

#define UNWIND_NO_SITE UINT32_MAX

/*
 * One thread's memory of its last stack: frames 1 to depth, the outermost first. Frame 0 is what it hangs on. Zeroed memory
 * is a valid start.
 */
struct unwinder {
	uintptr_t stack_low, stack_high; /* known to be readable */
	uint32_t depth;                  /* remembered frames */
	uint32_t walked;                 /* frames of the stack that was walked last */
	bool cut;                        /* that one ends early, for want of unwind data */
	uintptr_t sps[UNWIND_MAX_DEPTH + 1];
	struct unwind_frame frames[UNWIND_MAX_DEPTH + 1];
	struct unwind_word
		words[UNWIND_MAX_DEPTH * UNWIND_FRAME_WORDS + 1]; /* the outermost's from 1 */
	struct unwind_fresh fresh[UNWIND_MAX_DEPTH];              /* innermost first */
};

/* For a fresh process image or a forked child; depth: most frames to keep of a stack. */
bool unwind_init(uint32_t depth);

struct thread;
/*
 * Walks the stack of a hook's caller, see UNWIND_CALLER. Gives its identity: 64 bits of hash over what its site is made of, equal for
 * equal sites. Of a million stacks, two are taken for one with a probability of 3e-8.
 */
uint64_t unwind_stack(struct thread *t, const uintptr_t *caller);
/* The site of the stack walked last. */
uint32_t unwind_site(struct thread *t);

/* Forget all rules for this address range: its module is gone. */
void unwind_forget(uintptr_t start, uintptr_t end);

#endif
