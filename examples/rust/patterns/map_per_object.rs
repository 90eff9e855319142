// SPDX-License-Identifier: MIT
//! A concurrent map of 16 shards in every module, for a cache of at most two entries that most never fill.
//!   problem   DashMap in the module
//!   fix       an inline array of two
//!   decoy     one DashMap for all modules, as large as they need
use dashmap::DashMap;
use ledger::{figure, hide, Counted, Random};
use rustc_hash::FxHasher;
use std::hash::{BuildHasherDefault, Hash};

const MODULES: usize = 5000;
/// The default depends on the number of processors.
const SHARDS: usize = 16;

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub enum SourceType {
    JavaScript,
    Css,
}

type Sizes<K> = DashMap<K, f64, BuildHasherDefault<FxHasher>>;

pub struct NormalModule<C> {
    identifier: u64,
    cached_source_sizes: C,
}

#[inline(never)]
fn new_cache<K: Eq + Hash>(capacity: usize) -> Sizes<K> {
    let _counted = Counted::culprit();
    DashMap::with_capacity_and_hasher_and_shard_amount(capacity, Default::default(), SHARDS)
}

/// One module in eight is asked for its size.
fn is_asked(random: &mut Random) -> bool {
    random.between(0, 7) == 0
}

fn kind(module: usize) -> SourceType {
    [SourceType::JavaScript, SourceType::Css][hide(module) % 2]
}

fn total<C>(modules: &[NormalModule<C>], size: impl Fn(&C) -> f64) -> f64 {
    modules
        .iter()
        .map(|m| m.identifier as f64 + size(&m.cached_source_sizes))
        .sum()
}

#[inline(never)]
fn bundle(variant: &str) {
    let mut random = Random::new(5);
    let mut names = Vec::with_capacity(MODULES);
    let mut sum = 0.0;
    match variant {
        "problem" => {
            let mut modules = Vec::with_capacity(MODULES);
            for i in 0..MODULES {
                names.push(format!("./src/module-{}.js", i));
                let cached_source_sizes = new_cache(0);
                if is_asked(&mut random) {
                    cached_source_sizes.insert(kind(i), i as f64);
                }
                modules.push(NormalModule {
                    identifier: i as u64,
                    cached_source_sizes,
                });
            }
            sum += total(&hide(modules), |c| {
                c.get(&SourceType::Css).map_or(0.0, |v| *v)
            });
        }
        "fix" => {
            let mut modules = Vec::with_capacity(MODULES);
            for i in 0..MODULES {
                names.push(format!("./src/module-{}.js", i));
                let mut cached_source_sizes = [None; 2];
                if is_asked(&mut random) {
                    cached_source_sizes[0] = Some((kind(i), i as f64));
                }
                modules.push(NormalModule {
                    identifier: i as u64,
                    cached_source_sizes,
                });
            }
            sum += total(&hide(modules), |c| c[0].map_or(0.0, |v| v.1));
        }
        "decoy" => {
            let all = new_cache(MODULES * 2);
            for i in 0..MODULES {
                names.push(format!("./src/module-{}.js", i));
                all.insert((i as u64, kind(i)), i as f64);
            }
            sum += hide(all).iter().map(|e| *e.value()).sum::<f64>();
        }
        _ => ledger::no_variant(variant),
    }
    hide((sum, names));
}

fn main() {
    ledger::run(
        "map_per_object",
        "new_cache",
        "DashMap",
        "SourceType",
        bundle,
    );
    figure("maps", MODULES);
    figure("shards", SHARDS);
    figure("map_bytes", ledger::culprit("alloc_bytes") / MODULES as u64);
    ledger::saves(&["peak_bytes", "allocs"]);
}
