// SPDX-License-Identifier: MIT
//! A String for every import request, though few of them differ.
//!   problem   20 Strings per module, 500 different texts in all
//!   fix       the same through an interner of Rc<str>
//!   decoy     one String per module, the generated code: large and unlike any other
use ledger::{figure, hide, row, Counted, Random};
use rustc_hash::FxHashSet;
use std::rc::Rc;

const MODULES: usize = 3000;
const PER_MODULE: usize = 20;
const TEXTS: usize = 500;

pub struct Request<S> {
    text: S,
    span: (u32, u32),
}

/// The parser's view of a request: part of the source, which is no allocation of its own.
fn texts() -> Vec<String> {
    (0..TEXTS)
        .map(|i| {
            format!(
                "../../packages/design-system/src/components/{}/part-{}.js",
                "wide/".repeat(i % 6),
                i
            )
        })
        .collect()
}

#[inline(never)]
fn own_request(text: &str) -> String {
    let _counted = Counted::culprit();
    text.to_string()
}

#[inline(never)]
fn intern_request(table: &mut FxHashSet<Rc<str>>, text: &str) -> Rc<str> {
    if let Some(known) = table.get(text) {
        return known.clone();
    }
    let new: Rc<str> = Rc::from(text);
    table.insert(new.clone());
    new
}

/// The requests of all modules, in modules' own lists.
fn parse<S>(texts: &[String], mut request: impl FnMut(&str) -> S) -> Vec<Vec<Request<S>>> {
    let mut random = Random::new(1);
    (0..MODULES)
        .map(|_| {
            let mut list = Vec::with_capacity(PER_MODULE);
            for i in 0..PER_MODULE as u32 {
                let most = random.between(0, TEXTS - 1);
                let text = request(&texts[random.between(0, most)]); // the first ones more often
                list.push(Request {
                    text,
                    span: (i, i + 9),
                });
            }
            list
        })
        .collect()
}

fn total<S: AsRef<str>>(modules: &[Vec<Request<S>>]) -> u64 {
    let all = modules.iter().flatten();
    all.map(|r| r.text.as_ref().len() as u64 + u64::from(r.span.1 - r.span.0))
        .sum()
}

#[inline(never)]
fn bundle(variant: &str) {
    let texts = texts();
    let sum = match variant {
        "problem" => total(&hide(parse(&texts, own_request))),
        "fix" => {
            let mut table = FxHashSet::with_capacity_and_hasher(TEXTS, Default::default());
            total(&hide(parse(&texts, |text| {
                intern_request(&mut table, text)
            })))
        }
        "decoy" => {
            let mut random = Random::new(2);
            let code: Vec<String> = (0..MODULES)
                .map(|m| own_request(&ledger::source_text(m, random.between(1000, 3000))))
                .collect();
            hide(code).iter().map(|c| c.len() as u64).sum()
        }
        _ => ledger::no_variant(variant),
    };
    hide((sum, texts));
}

fn main() {
    ledger::run("string_storm", "own_request", "String", "", bundle);
    figure("strings", MODULES * PER_MODULE);
    figure("text_bytes", ledger::culprit("alloc_bytes"));
    row("different", TEXTS);
    row("per_module", PER_MODULE);
    ledger::saves(&["peak_bytes", "allocs"]);
}
