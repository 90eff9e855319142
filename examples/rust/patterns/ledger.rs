// SPDX-License-Identifier: MIT
//! What the pattern programs count themselves with: a global allocator that adds up what is asked of it, for the
//! whole of `bundle` and for the one function that is the culprit. It knows nothing of heaptally.
//!
//! Frees carry no site, so only `bundle` has live bytes and a peak. Keys are those of tests/dump.c.
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

#[derive(Clone, Copy, PartialEq)]
enum Scope {
    Outside,
    Bundle,
    Culprit,
}

thread_local!(static SCOPE: Cell<Scope> = const { Cell::new(Scope::Outside) });

const KEYS: [&str; 11] = [
    "allocs",
    "alloc_bytes",
    "frees",
    "freed_bytes",
    "reallocs",
    "realloc_from_bytes",
    "realloc_to_bytes",
    "moved",
    "copied_bytes",
    "usable_bytes",
    "zeroed",
];
const ALLOCS: usize = 0;
const FREES: usize = 2;
const REALLOCS: usize = 4;
const MOVED: usize = 7;
const USABLE: usize = 9;
const ZEROED: usize = 10;

struct Counts([AtomicU64; KEYS.len()]);

impl Counts {
    const fn new() -> Counts {
        #[allow(clippy::declare_interior_mutable_const)]
        const ZERO: AtomicU64 = AtomicU64::new(0);
        Counts([ZERO; KEYS.len()])
    }
    fn add(&self, key: usize, values: &[usize]) {
        for (counter, value) in self.0[key..].iter().zip(values) {
            counter.fetch_add(*value as u64, Relaxed);
        }
    }
}

/// A sum that goes up and down, and the highest it was.
struct Level {
    now: AtomicU64,
    peak: AtomicU64,
}

impl Level {
    const fn new() -> Level {
        Level {
            now: AtomicU64::new(0),
            peak: AtomicU64::new(0),
        }
    }
    fn step(&self, less: usize, more: usize) {
        let now =
            (self.now.fetch_add(more as u64, Relaxed) + more as u64).wrapping_sub(less as u64);
        self.now.fetch_sub(less as u64, Relaxed);
        self.peak.fetch_max(now, Relaxed);
    }
}

static BUNDLE: Counts = Counts::new();
static CULPRIT: Counts = Counts::new();
static LIVE: Level = Level::new();
static LIVE_HEAP: Level = Level::new();
/// What glibc puts in front of a block.
const HEADER_BYTES: usize = 8;

extern "C" {
    fn malloc_usable_size(ptr: *mut u8) -> usize;
}

/// The counts that an event goes to.
fn each(add: impl Fn(&Counts)) -> bool {
    let scope = SCOPE.with(Cell::get);
    if scope != Scope::Outside {
        add(&BUNDLE);
    }
    if scope == Scope::Culprit {
        add(&CULPRIT);
    }
    scope != Scope::Outside
}

pub struct Counting;

unsafe fn allocated(ptr: *mut u8, size: usize) -> *mut u8 {
    let usable = malloc_usable_size(ptr);
    if each(|counts| {
        counts.add(ALLOCS, &[1, size]);
        counts.add(USABLE, &[usable]);
    }) {
        LIVE.step(0, size);
        LIVE_HEAP.step(0, usable + HEADER_BYTES);
    }
    ptr
}

unsafe impl GlobalAlloc for Counting {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        allocated(System.alloc(layout), layout.size())
    }
    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        each(|counts| counts.add(ZEROED, &[1]));
        allocated(System.alloc_zeroed(layout), layout.size())
    }
    #[inline]
    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        if each(|counts| counts.add(FREES, &[1, layout.size()])) {
            LIVE.step(layout.size(), 0);
            LIVE_HEAP.step(malloc_usable_size(ptr) + HEADER_BYTES, 0);
        }
        System.dealloc(ptr, layout)
    }
    #[inline]
    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        let (from, before) = (layout.size(), malloc_usable_size(ptr));
        let now = System.realloc(ptr, layout, new_size);
        let usable = malloc_usable_size(now);
        if each(|counts| {
            counts.add(REALLOCS, &[1, from, new_size]);
            counts.add(USABLE, &[usable]);
            if now != ptr {
                counts.add(MOVED, &[1, from.min(new_size)]);
            }
        }) {
            LIVE.step(from, new_size);
            LIVE_HEAP.step(before, usable);
        }
        now
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Until it is dropped, this thread's events count where it says.
pub struct Counted(Scope);

impl Counted {
    fn enter(scope: Scope) -> Counted {
        Counted(SCOPE.with(|s| s.replace(scope)))
    }
    pub fn bundle() -> Counted {
        Counted::enter(Scope::Bundle)
    }
    pub fn culprit() -> Counted {
        Counted::enter(Scope::Culprit)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        SCOPE.with(|s| s.set(self.0))
    }
}

/// Does something that is not part of the work. Whoever compares leaves out what goes through this function.
#[inline(never)]
pub fn outside<R>(f: impl FnOnce() -> R) -> R {
    let _counted = Counted::enter(Scope::Outside);
    f()
}

/// Says how high live bytes have been so far.
pub fn peak_so_far(key: &str) {
    outside(|| row(key, LIVE.peak.load(Relaxed)));
}

/// What std::hint::black_box does since Rust 1.66: hides a value from the optimiser.
pub fn hide<T>(value: T) -> T {
    unsafe {
        let copy = std::ptr::read_volatile(&value);
        std::mem::forget(value);
        copy
    }
}

pub fn row(key: &str, value: impl std::fmt::Display) {
    println!("{} {}", key, value);
}

/// What a finding of the problem has to say under the same key.
pub fn figure(key: &str, value: impl std::fmt::Display) {
    row(&format!("figure.{}", key), value);
}

/// A sum of the culprit's, by its key.
pub fn culprit(key: &str) -> u64 {
    let at = KEYS
        .iter()
        .position(|k| *k == key)
        .expect("there is such a key");
    CULPRIT.0[at].load(Relaxed)
}

/// Rows for 50, 90 and 99 in place of the key's {}: the smallest value that so many percent do not exceed.
pub fn percentiles(key: &str, values: impl Iterator<Item = usize>) {
    outside(|| {
        let mut sorted: Vec<usize> = values.collect();
        sorted.sort_unstable();
        for p in [50, 90, 99] {
            row(
                &key.replace("{}", &p.to_string()),
                sorted[(sorted.len() * p + 99) / 100 - 1],
            );
        }
    });
}

/// Runs `bundle` with the variant that the program's argument names and prints what was counted.
/// `element` is T, or one of several; "" where it has no name of its own.
pub fn run(
    program: &str,
    culprit: &str,
    container: &str,
    element: &str,
    bundle: impl FnOnce(&str),
) {
    let variant = std::env::args().nth(1).unwrap_or_default();
    {
        let _counted = Counted::bundle();
        bundle(&variant);
    }
    row("culprit", format!("{}::{}", program, culprit));
    row("container", container);
    if !element.is_empty() {
        row("element", format!("{}::{}", program, element));
    }
    for (scope, counts) in [("bundle", &BUNDLE), ("culprit", &CULPRIT)] {
        for (key, count) in KEYS.iter().zip(&counts.0) {
            row(&format!("{}.{}", scope, key), count.load(Relaxed));
        }
    }
    row("bundle.peak_bytes", LIVE.peak.load(Relaxed));
    row("heap.peak_bytes", LIVE_HEAP.peak.load(Relaxed));
    row("bundle.live_bytes", LIVE.now.load(Relaxed));
}

/// What the fix is to make less: the sum of it in this variant. "peak_bytes", "allocs" (reallocs too), "copied_bytes"
/// (by reallocs), or "heap_bytes": peak_bytes with what malloc adds to each block.
pub fn saves(what: &[&str]) {
    let get = |key: usize| BUNDLE.0[key].load(Relaxed);
    for what in what {
        match *what {
            "peak_bytes" => row("saves.peak_bytes", LIVE.peak.load(Relaxed)),
            "heap_bytes" => row("saves.peak_bytes", LIVE_HEAP.peak.load(Relaxed)),
            "allocs" => row("saves.allocs", get(ALLOCS) + get(REALLOCS)),
            "copied_bytes" => row("saves.copied_bytes", get(MOVED + 1)),
            _ => panic!("what is {}?", what),
        }
    }
}

/// Says that there is no such variant. Exits with 2.
pub fn no_variant(variant: &str) -> ! {
    eprintln!("no variant {:?}", variant);
    std::process::exit(2)
}

/// Numbers that are the same in every run.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }
    pub fn next(&mut self) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }
    /// From low to high, both included.
    pub fn between(&mut self, low: usize, high: usize) -> usize {
        low + self.next() as usize % (high - low + 1)
    }
}

/// A module's source: so many bytes, in one exact allocation, unlike any other module's.
#[inline(never)]
pub fn source_text(module: usize, bytes: usize) -> String {
    const WORDS: [&str; 8] = [
        "export ",
        "const ",
        "import ",
        "from './",
        "function ",
        "return ",
        "() => ",
        "value",
    ];
    let mut random = Random::new(module as u64 + 1);
    let mut text = String::with_capacity(bytes);
    while text.len() < bytes {
        let word = WORDS[random.next() as usize % WORDS.len()];
        let room = bytes - text.len();
        text.push_str(&word[..word.len().min(room)]);
        if text.len() < bytes {
            text.push((b'a' + (random.next() % 26) as u8) as char);
        }
    }
    text
}

/// Work on a text that the optimiser cannot leave out.
#[inline(never)]
pub fn digest(text: &[u8]) -> u64 {
    text.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
