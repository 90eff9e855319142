// SPDX-License-Identifier: MIT
//! Every diagnostic carries its module's source.
//!   problem   eight diagnostics per module, a clone of the source in each
//!   fix       an Arc of it
//!   decoy     as many clones, each of another text that goes away: nothing could be shared
use ledger::{figure, hide, row, Counted, Random};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::Arc;

const MODULES: usize = 800;
const PER_MODULE: usize = 8;

static CLONED: AtomicU64 = AtomicU64::new(0);

pub struct Diagnostic<S> {
    source: S,
    span: (u32, u32),
}

#[inline(never)]
#[allow(clippy::ptr_arg)]
fn report_error(source: &String, at: usize) -> Diagnostic<String> {
    let _counted = Counted::culprit();
    CLONED.fetch_add(source.len() as u64, Relaxed);
    Diagnostic {
        source: source.clone(),
        span: (at as u32, at as u32 + 1),
    }
}

#[inline(never)]
fn report_shared_error(source: &Arc<String>, at: usize) -> Diagnostic<Arc<String>> {
    Diagnostic {
        source: source.clone(),
        span: (at as u32, at as u32 + 1),
    }
}

fn total<S>(all: &[Diagnostic<S>], length: impl Fn(&S) -> usize) -> u64 {
    all.iter()
        .map(|d| length(&d.source) as u64 + u64::from(d.span.1 - d.span.0))
        .sum()
}

#[inline(never)]
fn bundle(variant: &str) {
    let mut random = Random::new(9);
    let mut sum = 0;
    match variant {
        "problem" => {
            let mut sources = Vec::with_capacity(MODULES);
            let mut all = Vec::with_capacity(MODULES * PER_MODULE);
            for module in 0..MODULES {
                let source = ledger::source_text(module, random.between(1000, 1400));
                (0..PER_MODULE).for_each(|at| all.push(report_error(&source, at)));
                sources.push(source);
            }
            sum += total(&all, |s| s.len());
            hide((all, sources));
        }
        "fix" => {
            let mut sources = Vec::with_capacity(MODULES);
            let mut all = Vec::with_capacity(MODULES * PER_MODULE);
            for module in 0..MODULES {
                let source = Arc::new(ledger::source_text(module, random.between(1000, 1400)));
                (0..PER_MODULE).for_each(|at| all.push(report_shared_error(&source, at)));
                sources.push(source);
            }
            sum += total(&all, |s| s.len());
            hide((all, sources));
        }
        "decoy" => {
            let mut all = Vec::with_capacity(MODULES * PER_MODULE);
            for module in 0..MODULES * PER_MODULE {
                let source = ledger::source_text(module, random.between(1000, 1400));
                all.push(report_error(&source, 0));
            }
            sum += total(&all, |s| s.len());
            hide(all);
        }
        _ => ledger::no_variant(variant),
    }
    hide(sum);
}

fn main() {
    ledger::run("clone_storm", "report_error", "String", "", bundle);
    figure("clones", MODULES * PER_MODULE);
    figure("cloned_bytes", CLONED.load(Relaxed));
    row("different", MODULES);
    ledger::saves(&["peak_bytes", "allocs"]);
    row("saves.copied_bytes", CLONED.load(Relaxed));
}
