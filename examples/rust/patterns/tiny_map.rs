// SPDX-License-Identifier: MIT
//! Maps for one or two entries, thousands of them.
//!   problem   a HashMap per export, with one re-export target: a table of the smallest size
//!   fix       SmallVec with room for one
//!   decoy     a HashMap per module with 40 entries, made at that size
//!   problem-tree  a BTreeMap per module with one or two exports in a node for eleven
//!   fix-tree      a sorted Vec of exact capacity
//!   decoy-tree    one BTreeMap for all
use hashbrown::HashMap;
use ledger::{figure, hide, row, Counted, Random};
use rustc_hash::FxHasher;
use smallvec::SmallVec;
use std::collections::BTreeMap;
use std::hash::BuildHasherDefault;

const EXPORTS: usize = 30_000;
const MODULES: usize = 3000;

#[derive(Clone, Copy)]
pub struct ExportTarget {
    connection: u64,
    priority: u64,
}

type Targets = HashMap<u64, ExportTarget, BuildHasherDefault<FxHasher>>;

#[inline(never)]
fn set_target(targets: &mut Targets, key: u64) {
    let _counted = Counted::culprit();
    targets.insert(
        hide(key),
        ExportTarget {
            connection: key,
            priority: 1,
        },
    );
}

#[inline(never)]
fn push_target(targets: &mut SmallVec<[(u64, ExportTarget); 1]>, key: u64) {
    targets.push((
        hide(key),
        ExportTarget {
            connection: key,
            priority: 1,
        },
    ));
}

#[derive(Clone, Copy)]
pub struct ExportInfo {
    state: [u64; 14],
}

impl ExportInfo {
    fn new(i: usize) -> ExportInfo {
        ExportInfo {
            state: [i as u64; 14],
        }
    }
}

#[inline(never)]
fn add_export(exports: &mut BTreeMap<u64, ExportInfo>, name: u64) {
    let _counted = Counted::culprit();
    exports.insert(hide(name), ExportInfo::new(name as usize));
}

/// Between the maps, as in a real build.
fn name(names: &mut Vec<String>, i: usize) {
    names.push(format!("exportedName{}", i));
}

#[inline(never)]
fn bundle(variant: &str) {
    let mut random = Random::new(6);
    let mut names = Vec::with_capacity(EXPORTS);
    let mut sum = 0u64;
    match variant {
        "problem" => {
            let mut exports = Vec::with_capacity(EXPORTS);
            for i in 0..EXPORTS {
                name(&mut names, i);
                let mut targets = Targets::default();
                set_target(&mut targets, i as u64);
                exports.push(targets);
            }
            let all = exports.iter().flat_map(|t| t.values());
            sum += all.map(|t| t.connection + t.priority).sum::<u64>();
            hide(exports);
        }
        "fix" => {
            let mut exports = Vec::with_capacity(EXPORTS);
            for i in 0..EXPORTS {
                name(&mut names, i);
                let mut targets = SmallVec::new();
                push_target(&mut targets, i as u64);
                exports.push(targets);
            }
            let all = exports.iter().flatten();
            sum += all
                .map(|(key, t)| key + t.connection + t.priority)
                .sum::<u64>();
            hide(exports);
        }
        "decoy" => {
            let mut modules = Vec::with_capacity(MODULES);
            for i in 0..MODULES {
                name(&mut names, i);
                let mut targets = Targets::with_capacity_and_hasher(40, Default::default());
                for key in 0..40 {
                    set_target(&mut targets, key);
                }
                modules.push(targets);
            }
            let all = modules.iter().flat_map(|t| t.values());
            sum += all.map(|t| t.connection + t.priority).sum::<u64>();
            hide(modules);
        }
        "problem-tree" => {
            let mut modules = Vec::with_capacity(MODULES);
            for i in 0..MODULES {
                name(&mut names, i);
                let mut exports = BTreeMap::new();
                for export in 0..random.between(1, 2) {
                    add_export(&mut exports, export as u64);
                }
                modules.push(exports);
            }
            sum += modules
                .iter()
                .flat_map(|m| m.values())
                .map(|e| e.state[3])
                .sum::<u64>();
            hide(modules);
        }
        "fix-tree" => {
            let mut modules = Vec::with_capacity(MODULES);
            for i in 0..MODULES {
                name(&mut names, i);
                let count = random.between(1, 2);
                let mut exports = Vec::with_capacity(count);
                for export in 0..count {
                    exports.push((hide(export as u64), ExportInfo::new(export)));
                }
                modules.push(exports);
            }
            sum += modules
                .iter()
                .flatten()
                .map(|(key, e)| key + e.state[3])
                .sum::<u64>();
            hide(modules);
        }
        "decoy-tree" => {
            let mut all = BTreeMap::new();
            for i in 0..EXPORTS {
                name(&mut names, i);
                add_export(&mut all, random.next());
            }
            sum += all.values().map(|e| e.state[3]).sum::<u64>();
            hide(all);
        }
        _ => ledger::no_variant(variant),
    }
    hide((sum, names));
}

fn main() {
    let tree = std::env::args()
        .nth(1)
        .map_or(false, |variant| variant.ends_with("-tree"));
    if tree {
        ledger::run("tiny_map", "add_export", "BTreeMap", "ExportInfo", bundle);
        figure("maps", MODULES);
        figure(
            "node_bytes",
            ledger::culprit("alloc_bytes") / MODULES as u64,
        );
        row("entry_bytes", std::mem::size_of::<(u64, ExportInfo)>());
    } else {
        ledger::run("tiny_map", "set_target", "HashMap", "ExportTarget", bundle);
        figure("maps", EXPORTS);
        figure(
            "table_bytes",
            ledger::culprit("alloc_bytes") / EXPORTS as u64,
        );
        row("entry_bytes", std::mem::size_of::<(u64, ExportTarget)>());
    }
    if tree {
        // a sorted Vec is one allocation too
        ledger::saves(&["peak_bytes"]);
    } else {
        ledger::saves(&["peak_bytes", "allocs"]);
    }
}
