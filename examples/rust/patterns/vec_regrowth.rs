// SPDX-License-Identifier: MIT
//! A list per module that starts empty and is filled one by one.
//!   problem   Vec::new and push
//!   fix       Vec::with_capacity of what nine modules in ten need at most
//!   decoy     lists of at most four: the first allocation is the last
use std::mem::size_of;

use ledger::{figure, hide, percentiles, row, Counted, Random};

const MODULES: usize = 4000;
const USUAL: usize = 64;

pub struct Dependency {
    id: u32,
    parent: u32,
    request: u64,
    flags: [u64; 3],
}

/// Another allocation between two growths, so that buffers cannot grow where they are.
#[inline(never)]
fn read_name(names: &mut Vec<String>, i: usize) {
    let _counted = Counted::bundle();
    names.push(String::from(&"localIdentifierName"[..hide(8 + i % 8)]));
}

#[inline(never)]
fn collect_dependencies(count: usize, hint: usize, names: &mut Vec<String>) -> Vec<Dependency> {
    let _counted = Counted::culprit();
    let mut all_dependencies = Vec::with_capacity(hint);
    for i in 0..count {
        if i % 4 == 3 {
            read_name(names, i);
        }
        all_dependencies.push(Dependency {
            id: i as u32,
            parent: count as u32,
            request: hide(i as u64),
            flags: [1; 3],
        });
    }
    all_dependencies
}

/// Half of the modules have up to 32 dependencies, a tenth more than 64.
fn count(random: &mut Random) -> usize {
    match random.between(0, 99) {
        0..=9 => random.between(5, 8),
        10..=24 => random.between(9, 16),
        25..=49 => random.between(17, 32),
        50..=89 => random.between(33, 64),
        _ => random.between(65, 128),
    }
}

#[inline(never)]
fn bundle(variant: &str) {
    let mut random = Random::new(3);
    let mut lists = Vec::with_capacity(MODULES);
    let mut names = Vec::with_capacity(MODULES * 32);
    for _ in 0..MODULES {
        lists.push(match variant {
            "problem" => {
                let n = count(&mut random);
                collect_dependencies(n, 0, &mut names)
            }
            "fix" => {
                let n = count(&mut random);
                collect_dependencies(n, USUAL, &mut names)
            }
            "decoy" => collect_dependencies(random.between(1, 4), 0, &mut names),
            _ => ledger::no_variant(variant),
        });
    }
    let first = if variant == "fix" { USUAL } else { 4 };
    let grown = lists.iter().filter(|l| l.capacity() > first).count();
    ledger::outside(|| figure("grown", grown));
    percentiles("length_p{}", lists.iter().map(Vec::len));
    percentiles(
        "figure.final_p{}_bytes",
        lists.iter().map(|l| l.capacity() * size_of::<Dependency>()),
    );
    let all = lists.iter().flatten();
    let sum: u64 = all
        .map(|d| d.request ^ d.flags[1] ^ u64::from(d.id ^ d.parent))
        .sum();
    hide((sum, lists, names));
}

fn main() {
    ledger::run(
        "vec_regrowth",
        "collect_dependencies",
        "Vec",
        "Dependency",
        bundle,
    );
    row("except", "vec_regrowth::read_name");
    figure("buffers", MODULES);
    figure("grows", ledger::culprit("reallocs"));
    figure("copied_bytes", ledger::culprit("copied_bytes"));
    figure("element_bytes", std::mem::size_of::<Dependency>());
    ledger::saves(&["copied_bytes", "allocs"]);
}
