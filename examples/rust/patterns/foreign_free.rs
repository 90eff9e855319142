// SPDX-License-Identifier: MIT
//! Four workers parse, the main thread collects.
//!   problem   every node crosses over and is freed by the main thread
//!   fix       workers reduce their nodes to a sum and free them themselves
//!   decoy     as many nodes, a module's names cross over
use ledger::{figure, hide, row, Counted};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{channel, Sender};
use std::thread;

const WORKERS: usize = 4;
const MODULES: usize = 100;
const NODES: usize = 150;

/// Boxes that another thread dropped than the one that made them.
static CROSSED: AtomicU64 = AtomicU64::new(0);

pub struct Node {
    value: u64,
    span: (u32, u32),
    children: [u64; 13],
    maker: thread::ThreadId,
}

impl Drop for Node {
    fn drop(&mut self) {
        if thread::current().id() != self.maker {
            CROSSED.fetch_add(1, Relaxed);
        }
    }
}

impl Node {
    fn weight(&self) -> u64 {
        self.value ^ self.children[3] ^ u64::from(self.span.0 ^ self.span.1)
    }
}

pub struct Parsed {
    nodes: Vec<Box<Node>>,
    names: Vec<String>,
    sum: u64,
}

#[inline(never)]
fn parse_node(i: usize, maker: thread::ThreadId) -> Box<Node> {
    let _counted = Counted::culprit();
    Box::new(Node {
        value: hide(i as u64),
        span: (i as u32, i as u32 + 1),
        children: [i as u64; 13],
        maker,
    })
}

#[inline(never)]
fn parse_modules(worker: usize, hand_over: bool, names: usize, out: &Sender<Parsed>) {
    let maker = thread::current().id();
    for module in 0..MODULES {
        let mut nodes = Vec::with_capacity(NODES);
        (0..NODES).for_each(|i| nodes.push(parse_node(worker * NODES + i, maker)));
        let sum = nodes.iter().map(|n| n.weight()).sum();
        let names = (0..names).map(|i| format!("{}.{}", module, i)).collect();
        if !hand_over {
            nodes = Vec::new();
        }
        out.send(Parsed { nodes, names, sum })
            .expect("the main thread listens");
    }
}

#[inline(never)]
fn bundle(variant: &str) {
    let (hand_over, names) = match variant {
        "problem" => (true, 0),
        "fix" => (false, 0),
        "decoy" => (false, 3),
        _ => ledger::no_variant(variant),
    };
    let (sender, receiver) = channel();
    let workers: Vec<_> = (0..WORKERS)
        .map(|worker| {
            let sender = sender.clone();
            let work = move || {
                let _counted = Counted::bundle();
                parse_modules(worker, hand_over, names, &sender);
            };
            thread::Builder::new()
                .name(format!("parser{}", worker))
                .spawn(work)
                .expect("a thread starts")
        })
        .collect();
    drop(sender);
    let mut sum = 0u64;
    for parsed in receiver {
        sum = sum.wrapping_add(parsed.sum + parsed.names.len() as u64);
        sum += parsed.nodes.first().map_or(0, |n| n.value);
    }
    workers
        .into_iter()
        .for_each(|w| w.join().expect("a worker ends"));
    hide(sum);
}

fn main() {
    ledger::run("foreign_free", "parse_node", "Box", "Node", bundle);
    figure("foreign_frees", CROSSED.load(Relaxed));
    row("culprit.foreign_frees", CROSSED.load(Relaxed));
    row("saves.foreign_frees", CROSSED.load(Relaxed));
}
