// SPDX-License-Identifier: MIT
//! Sources are needed until code generation, and the peak comes after it.
//!   problem   they live as long as the compilation
//!   fix       they are dropped when code generation has ended
//!   decoy     they live as long, but the peak was before: dropping them would not lower it
use ledger::{digest, figure, hide, row, Counted, Random};
use std::fmt::Write;

const MODULES: usize = 3000;

pub struct Module {
    source: Option<String>,
    ast: Vec<u64>,
}

#[inline(never)]
fn load_source(module: usize, bytes: usize) -> String {
    let _counted = Counted::culprit();
    let mut text = String::with_capacity(bytes);
    write!(text, "export const module = {};", hide(module)).expect("a String takes all");
    while text.len() + 8 <= bytes {
        text.push((b'a' + (module + text.len()) as u8 % 26) as char);
        text.push_str("import ");
    }
    text
}

#[inline(never)]
fn parse(source: &str, nodes: usize) -> Vec<u64> {
    vec![digest(source.as_bytes()); nodes]
}

/// With an AST of so many nodes each, which does not outlive the phase.
#[inline(never)]
fn build_modules(nodes: usize) -> Vec<Module> {
    let mut random = Random::new(8);
    let mut modules: Vec<Module> = (0..MODULES)
        .map(|i| {
            let source = load_source(i, random.between(1500, 2500));
            let ast = parse(&source, nodes);
            Module {
                source: Some(source),
                ast,
            }
        })
        .collect();
    for module in &mut modules {
        module.ast = Vec::new();
    }
    modules
}

#[inline(never)]
fn optimize(modules: &[Module]) -> u64 {
    (0..8)
        .map(|_| {
            modules
                .iter()
                .flat_map(|m| &m.source)
                .map(|s| digest(s.as_bytes()))
                .sum::<u64>()
        })
        .fold(0, u64::wrapping_add)
}

#[inline(never)]
fn generate_code(modules: &[Module], bytes: usize) -> Vec<Vec<u8>> {
    modules
        .iter()
        .map(|m| {
            m.source
                .as_ref()
                .map_or(Vec::new(), |s| vec![digest(s.as_bytes()) as u8; bytes])
        })
        .collect()
}

#[inline(never)]
fn create_assets(code: &[Vec<u8>], bytes: usize) -> Vec<Vec<u8>> {
    code.chunks(100)
        .map(|chunk| {
            let mut asset = vec![0; bytes * 100];
            let hash = chunk.iter().map(|c| digest(c)).fold(0, u64::wrapping_add);
            asset[hide(7)] = hash as u8;
            asset
        })
        .collect()
}

#[inline(never)]
fn emit_assets(assets: &[Vec<u8>]) -> u64 {
    (0..4)
        .map(|_| assets.iter().map(|a| digest(a)).fold(0, u64::wrapping_add))
        .fold(0, u64::wrapping_add)
}

#[inline(never)]
fn bundle(variant: &str) {
    let (nodes, code_bytes, asset_bytes) = match variant {
        "problem" | "fix" => (20, 700, 1600),
        "decoy" => (300, 300, 300),
        _ => ledger::no_variant(variant),
    };
    let mut modules = build_modules(nodes);
    ledger::peak_so_far("phase.build_modules.peak_bytes");
    let mut sum = optimize(&modules);
    let code = generate_code(&modules, code_bytes);
    ledger::peak_so_far("phase.generate_code.peak_bytes");
    if variant == "fix" {
        for module in &mut modules {
            module.source = None;
        }
    }
    let assets = create_assets(&code, asset_bytes);
    ledger::peak_so_far("phase.create_assets.peak_bytes");
    sum = sum.wrapping_add(emit_assets(&assets));
    ledger::peak_so_far("phase.emit_assets.peak_bytes");
    hide((sum, assets, code, modules));
}

fn main() {
    ledger::run("late_release", "load_source", "String", "", bundle);
    figure("blocks", MODULES);
    figure("late_bytes", ledger::culprit("alloc_bytes"));
    row("last_use", "generate_code");
    ledger::saves(&["peak_bytes"]);
}
