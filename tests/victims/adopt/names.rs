// SPDX-License-Identifier: MIT
//! For host to load: names::boxes allocates 100 times, names::strings 300 times. --cfg longer: more code.

/// What the compiler knows nothing of.
fn opaque<T: Copy>(value: T) -> T {
    unsafe { std::ptr::read_volatile(&value) }
}

#[inline(never)]
fn boxes(n: usize) -> Vec<Box<[u64; 6]>> {
    let mut all = Vec::with_capacity(n);
    for i in 0..n - 1 {
        all.push(Box::new([i as u64; 6]));
    }
    all
}

#[inline(never)]
fn strings(n: usize) -> usize {
    let first = |v: Vec<u8>| unsafe { *opaque(v.as_ptr()) } as usize;
    (0..n).map(|i| first(vec![i as u8; 33 + i % 7])).sum()
}

/// # Safety
/// The ledger is not touched.
#[no_mangle]
pub unsafe extern "C" fn adopt_work(_: *mut u8) -> i32 {
    let n = opaque(100);
    #[cfg(longer)]
    let n = n + opaque(n) / 1000;
    let kept = boxes(n);
    i32::from(kept.len() + strings(300) == 0)
}
