// SPDX-License-Identifier: MIT
//! A table per chunk that starts empty: each step allocates a larger one, moves all entries and frees the smaller.
//!   problem   HashMap::default and insert
//!   fix       HashMap::with_capacity_and_hasher
//!   decoy     one table for all chunks, cleared in between: it has grown once for all
use ledger::{figure, hide, row, Counted, Random};
use rustc_hash::FxHashMap;
use std::cell::Cell;
use std::mem::size_of;

const CHUNKS: usize = 600;

pub struct ChunkModule {
    exports: u64,
    runtime: u64,
    order: u32,
}

type Table = FxHashMap<u32, ChunkModule>;

thread_local! {
    static STEPS: Cell<u64> = const { Cell::new(0) };
    static MOVED: Cell<u64> = const { Cell::new(0) };
}

#[inline(never)]
fn connect_modules(table: &mut Table, first: usize, count: usize) {
    let _counted = Counted::culprit();
    for i in 0..count {
        let (before, capacity) = (table.len(), table.capacity());
        let module = ChunkModule {
            exports: hide(i as u64),
            runtime: 1,
            order: i as u32,
        };
        table.insert((first + i * 13) as u32, module);
        if table.capacity() != capacity && capacity > 0 {
            STEPS.with(|s| s.set(s.get() + 1));
            MOVED.with(|m| m.set(m.get() + before as u64));
        }
    }
}

#[inline(never)]
fn new_table(capacity: usize) -> Table {
    Table::with_capacity_and_hasher(capacity, Default::default())
}

fn weight(table: &Table) -> u64 {
    table
        .values()
        .map(|m| m.exports + m.runtime + u64::from(m.order))
        .sum()
}

#[inline(never)]
fn bundle(variant: &str) {
    let mut random = Random::new(4);
    let mut sum = 0;
    let mut tables = Vec::with_capacity(CHUNKS);
    let mut shared = Table::default();
    for chunk in 0..CHUNKS {
        let count = random.between(130, 400);
        match variant {
            "problem" => {
                let mut table = Table::default();
                connect_modules(&mut table, chunk, count);
                tables.push(table);
            }
            "fix" => {
                let mut table = new_table(count);
                connect_modules(&mut table, chunk, count);
                tables.push(table);
            }
            "decoy" => {
                shared.clear();
                connect_modules(&mut shared, chunk, count);
                sum += weight(&shared);
            }
            _ => ledger::no_variant(variant),
        }
    }
    sum += tables.iter().map(weight).sum::<u64>();
    hide((sum, tables, shared));
}

fn main() {
    ledger::run(
        "map_regrowth",
        "connect_modules",
        "HashMap",
        "ChunkModule",
        bundle,
    );
    row("entry_bytes", size_of::<(u32, ChunkModule)>());
    let moved = MOVED.with(Cell::get) * size_of::<(u32, ChunkModule)>() as u64;
    figure("steps", STEPS.with(Cell::get));
    figure("copied_bytes", moved);
    figure("tables", CHUNKS);
    ledger::saves(&["allocs"]);
    row("saves.copied_bytes", moved);
}
