// SPDX-License-Identifier: MIT
//! One heap object per dependency, all of one size, all freed together with the graph.
//!   problem   Box<dyn Dependency>, 20 per module
//!   fix       the same objects in an arena
//!   decoy     as many boxes, but a window of 64: each is freed long before the others are made
use bumpalo::Bump;
use ledger::{figure, hide, Counted};

const MODULES: usize = 3000;
const PER_MODULE: usize = 20;

pub trait Dependency {
    fn request(&self) -> u64;
}

pub struct ImportDependency {
    request: u64,
    span: (u32, u32),
    source_order: u64,
    attributes: [u64; 9],
}

impl Dependency for ImportDependency {
    fn request(&self) -> u64 {
        self.request ^ self.attributes[3] ^ u64::from(self.span.0 ^ self.span.1) ^ self.source_order
    }
}

fn import(i: usize) -> ImportDependency {
    ImportDependency {
        request: i as u64,
        span: (i as u32, i as u32 + 7),
        source_order: 3,
        attributes: [i as u64; 9],
    }
}

#[inline(never)]
fn box_dependency(i: usize) -> Box<dyn Dependency> {
    let _counted = Counted::culprit();
    Box::new(import(hide(i)))
}

#[inline(never)]
fn arena_dependency(arena: &Bump, i: usize) -> &dyn Dependency {
    arena.alloc(import(hide(i)))
}

/// Something of another size between the dependencies, as in a real build.
fn identifier(module: usize) -> String {
    format!("./src/components/module-{}.js", module)
}

#[inline(never)]
fn bundle(variant: &str) {
    let mut names = Vec::with_capacity(MODULES);
    let mut sum = 0u64;
    match variant {
        "problem" => {
            let mut graph: Vec<Box<dyn Dependency>> = Vec::with_capacity(MODULES * PER_MODULE);
            for module in 0..MODULES {
                names.push(identifier(module));
                for i in 0..PER_MODULE {
                    graph.push(box_dependency(module * PER_MODULE + i));
                }
            }
            sum += graph.iter().map(|d| d.request()).sum::<u64>();
        }
        "fix" => {
            let bytes = MODULES * PER_MODULE * std::mem::size_of::<ImportDependency>();
            let arena = Bump::with_capacity(bytes);
            let mut graph: Vec<&dyn Dependency> = Vec::with_capacity(MODULES * PER_MODULE);
            for module in 0..MODULES {
                names.push(identifier(module));
                for i in 0..PER_MODULE {
                    graph.push(arena_dependency(&arena, module * PER_MODULE + i));
                }
            }
            sum += graph.iter().map(|d| d.request()).sum::<u64>();
        }
        "decoy" => {
            let mut window: [Option<Box<dyn Dependency>>; 64] = std::array::from_fn(|_| None);
            for module in 0..MODULES {
                names.push(identifier(module));
                for i in 0..PER_MODULE {
                    let at = module * PER_MODULE + i;
                    window[at % 64] = Some(box_dependency(at));
                    sum += window[at * 7 % 64].as_ref().map_or(0, |d| d.request());
                }
            }
        }
        _ => ledger::no_variant(variant),
    }
    hide((sum, names));
}

fn main() {
    ledger::run(
        "boxed_objects",
        "box_dependency",
        "Box",
        "ImportDependency",
        bundle,
    );
    figure("objects", MODULES * PER_MODULE);
    figure("object_bytes", std::mem::size_of::<ImportDependency>());
    ledger::saves(&["allocs", "heap_bytes"]);
}
