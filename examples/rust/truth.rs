// SPDX-License-Identifier: MIT
//! A program that knows what it allocates: each section is one function, never inlined, whose allocations all stay in
//! it or are leaked from it. Built with `--cfg counting` it counts itself through the global allocator and writes
//! what it saw; built without, it does the same work on Rust's default allocator and says nothing.
//!
//! The ledger goes to the file named by VICTIM_LEDGER, as `section NAME` and `key value` lines.
#![allow(unexpected_cfgs)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

const SECTIONS: usize = 10;
static SECTION: AtomicUsize = AtomicUsize::new(0);

#[allow(clippy::declare_interior_mutable_const)]
const ZERO: AtomicU64 = AtomicU64::new(0);
/// allocs, alloc_bytes, frees, freed_bytes, reallocs, realloc_to_bytes
static COUNTS: [[AtomicU64; 6]; SECTIONS] = {
    #[allow(clippy::declare_interior_mutable_const)]
    const NONE: [AtomicU64; 6] = [ZERO; 6];
    [NONE; SECTIONS]
};

fn count(what: usize, size: usize) {
    let counts = &COUNTS[SECTION.load(Relaxed)];
    counts[what].fetch_add(1, Relaxed);
    counts[what + 1].fetch_add(size as u64, Relaxed);
}

struct Counting;

unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(0, layout.size());
        System.alloc(layout)
    }
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(0, layout.size());
        System.alloc_zeroed(layout)
    }
    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        count(2, layout.size());
        System.dealloc(ptr, layout)
    }
    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        count(4, new_size);
        System.realloc(ptr, layout, new_size)
    }
}

#[cfg(counting)]
#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What std::hint::black_box does since Rust 1.66: hides a value from the optimiser.
fn black_box<T>(value: T) -> T {
    unsafe {
        let copy = std::ptr::read_volatile(&value);
        std::mem::forget(value);
        copy
    }
}

/// Ends the section: nothing of it is freed later.
fn keep<T>(value: T) {
    std::mem::forget(black_box(value));
}

trait Shape {
    fn area(&self) -> u64;
}

struct Square {
    side: u64,
    _padding: [u64; 4],
}

struct Circle {
    radius: u64,
    _padding: [u64; 12],
}

impl Shape for Square {
    fn area(&self) -> u64 {
        self.side * self.side
    }
}

impl Shape for Circle {
    fn area(&self) -> u64 {
        3 * self.radius * self.radius
    }
}

/// 3000 objects of 40 and 104 bytes, and nothing else: the list is on the stack.
#[inline(never)]
fn truth_boxed_objects() {
    for i in 0..3000u64 {
        let shape: Box<dyn Shape> = if i % 3 == 0 {
            Box::new(Circle {
                radius: i,
                _padding: [i; 12],
            })
        } else {
            Box::new(Square {
                side: i,
                _padding: [i; 4],
            })
        };
        black_box(shape.area());
        keep(shape);
    }
}

/// From empty by push, which doubles: 4, 8, 16 ... elements.
#[inline(never)]
fn truth_vec_pushes() {
    for length in [1usize, 4, 5, 100, 1000, 4096, 10_000] {
        let mut v: Vec<u64> = Vec::new();
        for i in 0..length as u64 {
            v.push(black_box(i));
        }
        keep(v);
    }
}

#[inline(never)]
fn truth_vec_reserved() {
    for length in 1..500usize {
        let mut v: Vec<u32> = Vec::with_capacity(length);
        for i in 0..length as u32 {
            v.push(black_box(i));
        }
        keep(v);
    }
}

/// A table grows by a new one, the old one is freed.
#[inline(never)]
fn truth_map_inserts() {
    for length in [1u64, 3, 4, 28, 29, 1000, 20_000] {
        let mut map: HashMap<u64, [u64; 3]> = HashMap::new();
        for i in 0..length {
            map.insert(black_box(i), [i; 3]);
        }
        keep(map);
    }
}

#[inline(never)]
fn truth_tree_inserts() {
    let mut map: BTreeMap<u64, u64> = BTreeMap::new();
    for i in 0..5000u64 {
        map.insert(black_box(i * 7919 % 5003), i);
    }
    keep(map);
}

#[inline(never)]
fn truth_strings() {
    for length in 1..1000usize {
        keep(String::from(black_box(&TEXT[..length])));
    }
}

#[inline(never)]
fn truth_string_pushes() {
    let mut s = String::new();
    for i in 0..5000usize {
        s.push(black_box((b'a' + (i % 26) as u8) as char));
    }
    keep(s);
}

#[inline(never)]
fn truth_zeroed() {
    for length in 1..200usize {
        keep(vec![0u8; black_box(length * 50)]);
    }
}

/// Made and dropped at once.
#[inline(never)]
fn truth_dropped() {
    for length in 1..2000usize {
        let mut v: Vec<u8> = Vec::with_capacity(black_box(length));
        v.push(1);
        v.shrink_to_fit();
        drop(black_box(v));
    }
}

const TEXT: &str = {
    const BYTES: [u8; 1000] = [b'x'; 1000];
    match std::str::from_utf8(&BYTES) {
        Ok(text) => text,
        Err(_) => "",
    }
};

type Section = (&'static str, fn());
const ALL: [Section; SECTIONS - 1] = [
    ("truth_boxed_objects", truth_boxed_objects),
    ("truth_vec_pushes", truth_vec_pushes),
    ("truth_vec_reserved", truth_vec_reserved),
    ("truth_map_inserts", truth_map_inserts),
    ("truth_tree_inserts", truth_tree_inserts),
    ("truth_strings", truth_strings),
    ("truth_string_pushes", truth_string_pushes),
    ("truth_zeroed", truth_zeroed),
    ("truth_dropped", truth_dropped),
];

fn main() {
    for (i, (_, section)) in ALL.iter().enumerate() {
        SECTION.store(i + 1, Relaxed);
        section();
        SECTION.store(0, Relaxed);
    }
    black_box(&Counting);
    if cfg!(counting) {
        if let Ok(path) = std::env::var("VICTIM_LEDGER") {
            let mut text = String::new();
            for (i, (name, _)) in ALL.iter().enumerate() {
                let n: Vec<u64> = COUNTS[i + 1].iter().map(|c| c.load(Relaxed)).collect();
                text += &format!(
                    "section *{}\nallocs {}\nalloc_bytes {}\nfrees {}\nfreed_bytes {}\nreallocs {}\n\
                     realloc_to_bytes {}\nlive_count {}\n",
                    name, n[0], n[1], n[2], n[3], n[4], n[5], n[0] - n[2]
                );
            }
            std::fs::write(&path, text).expect("the ledger can be written");
        }
    }
}
