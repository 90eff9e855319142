// SPDX-License-Identifier: MIT
//! A cdylib whose global allocator is linked in, and that counts what it asks for. --cfg jemalloc: mallocx and the like.
use std::alloc::{GlobalAlloc, Layout};
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

extern "C" {
    #[cfg(not(jemalloc))]
    fn mi_malloc_aligned(size: usize, align: usize) -> *mut u8;
    #[cfg(not(jemalloc))]
    fn mi_zalloc_aligned(size: usize, align: usize) -> *mut u8;
    #[cfg(not(jemalloc))]
    fn mi_realloc_aligned(at: *mut u8, size: usize, align: usize) -> *mut u8;
    #[cfg(not(jemalloc))]
    fn mi_free(at: *mut u8);
    #[cfg(jemalloc)]
    fn mallocx(size: usize, flags: i32) -> *mut u8;
    #[cfg(jemalloc)]
    fn rallocx(at: *mut u8, size: usize, flags: i32) -> *mut u8;
    #[cfg(jemalloc)]
    fn sdallocx(at: *mut u8, size: usize, flags: i32);
}

struct Inside;
static ALLOCS: AtomicU64 = AtomicU64::new(0);
static ZEROED: AtomicU64 = AtomicU64::new(0);
static REALLOCS: AtomicU64 = AtomicU64::new(0);
static DEALLOCS: AtomicU64 = AtomicU64::new(0);
static BYTES: AtomicU64 = AtomicU64::new(0);

fn count(what: &AtomicU64, bytes: usize) {
    what.fetch_add(1, Relaxed);
    BYTES.fetch_add(bytes as u64, Relaxed);
}

#[cfg(not(jemalloc))]
unsafe impl GlobalAlloc for Inside {
    unsafe fn alloc(&self, l: Layout) -> *mut u8 {
        count(&ALLOCS, l.size());
        mi_malloc_aligned(l.size(), l.align())
    }
    unsafe fn alloc_zeroed(&self, l: Layout) -> *mut u8 {
        count(&ZEROED, l.size());
        mi_zalloc_aligned(l.size(), l.align())
    }
    unsafe fn realloc(&self, at: *mut u8, l: Layout, new: usize) -> *mut u8 {
        count(&REALLOCS, new);
        mi_realloc_aligned(at, new, l.align())
    }
    unsafe fn dealloc(&self, at: *mut u8, _: Layout) {
        count(&DEALLOCS, 0);
        mi_free(at)
    }
}

#[cfg(jemalloc)]
fn flags(l: Layout) -> i32 {
    l.align().trailing_zeros() as i32
}

#[cfg(jemalloc)]
unsafe impl GlobalAlloc for Inside {
    unsafe fn alloc(&self, l: Layout) -> *mut u8 {
        count(&ALLOCS, l.size());
        mallocx(l.size(), flags(l))
    }
    unsafe fn alloc_zeroed(&self, l: Layout) -> *mut u8 {
        count(&ZEROED, l.size());
        mallocx(l.size(), flags(l) | 0x40)
    }
    unsafe fn realloc(&self, at: *mut u8, l: Layout, new: usize) -> *mut u8 {
        count(&REALLOCS, new);
        rallocx(at, new, flags(l))
    }
    unsafe fn dealloc(&self, at: *mut u8, l: Layout) {
        count(&DEALLOCS, 0);
        sdallocx(at, l.size(), flags(l))
    }
}

#[global_allocator]
static GLOBAL: Inside = Inside;

#[repr(C)]
pub struct Ledger {
    allocs: u64,
    zeroed: u64,
    reallocs: u64,
    deallocs: u64,
    bytes: u64,
}

fn work() -> usize {
    let mut names = Vec::new();
    let mut by_name = HashMap::new();
    let mut sorted = BTreeMap::new();
    for i in 0..2000usize {
        let name = format!("module {i}");
        by_name.insert(name.clone(), Box::new([i; 7]));
        sorted.insert(i, vec![i as u16; 9]);
        names.push(name);
    }
    let zeros = vec![0u64; 5000];
    let joined = names.join("\n");
    let boxed: Vec<Box<dyn Fn() -> usize>> = (0..50usize)
        .map(|i| Box::new(move || i) as Box<dyn Fn() -> usize>)
        .collect();
    joined.len() + by_name.len() + sorted.len() + zeros.len() + boxed.iter().map(|f| f()).sum::<usize>()
}

/// # Safety
/// `ledger` is valid.
#[no_mangle]
pub unsafe extern "C" fn adopt_work(ledger: *mut Ledger) -> i32 {
    let all = [&ALLOCS, &ZEROED, &REALLOCS, &DEALLOCS, &BYTES];
    let before = all.map(|a| a.load(Relaxed));
    let ok = work() > 0;
    let did = |i: usize| all[i].load(Relaxed) - before[i];
    let l = &mut *ledger;
    l.allocs += did(0);
    l.zeroed += did(1);
    l.reallocs += did(2);
    l.deallocs += did(3);
    l.bytes += did(4);
    i32::from(!ok)
}
