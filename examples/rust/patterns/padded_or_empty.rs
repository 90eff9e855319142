// SPDX-License-Identifier: MIT
//! Memory that is paid for and never used: the tail of a Vec, or what a size class adds to a struct.
//!   problem   a Vec of 64 per module, two to six are pushed
//!   fix       the capacity that is needed
//!   decoy     a Vec of 64, all pushed
//!   problem-slack  a boxed struct of 26 bytes: malloc gives 40
//!   fix-slack      the same in 24 bytes: malloc gives 24
//!   decoy-slack    a boxed struct of 56 bytes: malloc gives 56
use ledger::{figure, hide, row, Counted, Random};

const MODULES: usize = 4000;
const RESERVED: usize = 64;
const BOXES: usize = 80_000;

pub struct Comment {
    span: (u32, u32),
    kind: u64,
    text: u64,
    order: u64,
}

#[inline(never)]
fn parse_comments(count: usize, capacity: usize) -> Vec<Comment> {
    let _counted = Counted::culprit();
    let mut comments = Vec::with_capacity(hide(capacity));
    for i in 0..count {
        comments.push(Comment {
            span: (i as u32, count as u32),
            kind: hide(1),
            text: i as u64,
            order: 2,
        });
    }
    comments
}

pub struct ExportFlags<const WORDS: usize>([u16; WORDS]);

pub struct ExportUsage([u64; 7]);

#[inline(never)]
fn box_flags<T>(make: impl FnOnce() -> T) -> Box<T> {
    let _counted = Counted::culprit();
    Box::new(make())
}

fn boxes<T>(make: impl Fn(usize) -> T) -> Vec<Box<T>> {
    let mut all = Vec::with_capacity(BOXES);
    for i in 0..BOXES {
        all.push(box_flags(|| make(hide(i))));
    }
    all
}

#[inline(never)]
fn bundle(variant: &str) {
    let mut random = Random::new(7);
    let mut comments = Vec::with_capacity(MODULES);
    let mut used = 0;
    let mut sum = 0;
    match variant {
        "problem" | "fix" | "decoy" => {
            for _ in 0..MODULES {
                let count = if variant == "decoy" {
                    RESERVED
                } else {
                    random.between(2, 6)
                };
                used += count;
                let capacity = if variant == "fix" { count } else { RESERVED };
                comments.push(parse_comments(count, capacity));
            }
        }
        "problem-slack" => {
            sum += hide(boxes(|i| ExportFlags([i as u16; 13])))
                .iter()
                .map(|f| u64::from(f.0[5]))
                .sum::<u64>()
        }
        "fix-slack" => {
            sum += hide(boxes(|i| ExportFlags([i as u16; 12])))
                .iter()
                .map(|f| u64::from(f.0[5]))
                .sum::<u64>()
        }
        "decoy-slack" => {
            sum += hide(boxes(|i| ExportUsage([i as u64; 7])))
                .iter()
                .map(|f| f.0[5])
                .sum::<u64>()
        }
        _ => ledger::no_variant(variant),
    }
    ledger::outside(|| row("used_bytes", used * std::mem::size_of::<Comment>()));
    let all = comments.iter().flatten();
    sum += all
        .map(|c| c.kind + c.text + c.order + u64::from(c.span.0 ^ c.span.1))
        .sum::<u64>();
    hide((sum, comments));
}

fn main() {
    let slack = std::env::args()
        .nth(1)
        .map_or(false, |variant| variant.ends_with("-slack"));
    if slack {
        ledger::run("padded_or_empty", "box_flags", "Box", "Export", bundle);
        let waste = ledger::culprit("usable_bytes") - ledger::culprit("alloc_bytes");
        figure("blocks", BOXES);
        figure("slack_bytes", waste);
        ledger::saves(&["heap_bytes"]);
    } else {
        ledger::run(
            "padded_or_empty",
            "parse_comments",
            "Vec",
            "Comment",
            bundle,
        );
        figure("blocks", MODULES);
        figure("block_bytes", RESERVED * std::mem::size_of::<Comment>());
        ledger::saves(&["peak_bytes"]);
    }
}
