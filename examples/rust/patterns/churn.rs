// SPDX-License-Identifier: MIT
//! A buffer is made and dropped in every call.
//!   problem   Vec::with_capacity in the call
//!   fix       the caller's buffer, cleared
//!   decoy     the same call, but its result is kept
use ledger::{digest, figure, hide, Counted};

const CALLS: usize = 120_000;
const KEPT: usize = 20_000;

fn render(buffer: &mut Vec<u8>, export: usize) {
    for _ in 0..4 {
        buffer.extend_from_slice(b"Object.defineProperty(exports, ");
        buffer.extend_from_slice(&hide(export as u64).to_le_bytes());
    }
}

#[inline(never)]
fn hash_export(export: usize) -> u64 {
    let _counted = Counted::culprit();
    let mut buffer = Vec::with_capacity(hide(256));
    render(&mut buffer, export);
    digest(&buffer)
}

#[inline(never)]
fn hash_export_in(buffer: &mut Vec<u8>, export: usize) -> u64 {
    buffer.clear();
    render(buffer, export);
    digest(buffer)
}

#[inline(never)]
fn render_export(export: usize) -> Vec<u8> {
    let _counted = Counted::culprit();
    let mut buffer = Vec::with_capacity(hide(256));
    render(&mut buffer, export);
    buffer
}

#[inline(never)]
fn bundle(variant: &str) {
    let mut buffer = Vec::with_capacity(256);
    let mut kept = Vec::with_capacity(KEPT);
    let mut sum = 0u64;
    match variant {
        "problem" => (0..CALLS).for_each(|i| sum = sum.wrapping_add(hash_export(i))),
        "fix" => (0..CALLS).for_each(|i| sum = sum.wrapping_add(hash_export_in(&mut buffer, i))),
        "decoy" => (0..KEPT).for_each(|i| kept.push(render_export(i))),
        _ => ledger::no_variant(variant),
    }
    hide((sum, buffer, kept));
}

fn main() {
    let decoy = std::env::args()
        .nth(1)
        .map_or(false, |variant| variant == "decoy");
    let culprit = if decoy {
        "render_export"
    } else {
        "hash_export"
    };
    ledger::run("churn", culprit, "Vec", "", bundle);
    figure("temporary", CALLS);
    ledger::saves(&["allocs"]);
}
