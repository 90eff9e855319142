#!/bin/bash
# SPDX-License-Identifier: MIT
# Functions of stripped Rust modules, told by the source files that their panics name: those of a program whose files and
# lines are known, and of rspack's binding, against the names that its symbols give.
#   stripped.sh [GLOB…]
set -u
. "$(dirname "$0")/lib.sh"
seconds=120

# The program. What may panic does so by an index; `plain` cannot.
sources() {
	mkdir -p pot-luck-1.2.0/src/soup
	cat >pot-luck-1.2.0/src/main.rs <<-'END'
		#[path = "soup/mod.rs"]
		mod soup;
		mod stew_pot;
		fn main() {
		    let n: usize = std::env::args().count();
		    for i in 0..700 {
		        std::hint::black_box(soup::ladle(&[1, 2, 3], n + i % 2));
		    }
		    for i in 0..300 {
		        std::hint::black_box(stew_pot::simmer(&[4, 5, 6], n + i % 2));
		    }
		}
	END
	cat >pot-luck-1.2.0/src/soup/mod.rs <<-'END'
		#[inline(never)]
		pub fn ladle(v: &[u64], i: usize) -> Box<[u64; 40]> {
		    let big = v[i]; // ladle's
		    let mut b = Box::new([big; 40]);
		    b[(big % 40) as usize] = v[i - 1];
		    b
		}
	END
	cat >pot-luck-1.2.0/src/stew_pot.rs <<-'END'
		#[inline(never)]
		fn plain(x: u64) -> Box<[u64; 50]> {
		    Box::new([x; 50])
		}

		#[inline(never)]
		pub fn simmer(v: &[u64], i: usize) -> Box<[u64; 50]> {
		    let mut b = plain(7);
		    b[1] = v[i]; // simmer's
		    b
		}
	END
}

# line FILE WORDS: where they are
line() { grep -n -m 1 -F "$2" "pot-luck-1.2.0/src/$1" | cut -d : -f 1; }

# build FLAG…: ./full and ./pot, which is stripped
build() {
	rustc --edition 2021 -O -g --crate-name pot_luck -C link-arg=-Wl,--build-id=none "$@" -o full \
		pot-luck-1.2.0/src/main.rs 2>rustc.log || fail "rustc: $(head -n 1 rustc.log)"
	strip --strip-all -o pot full || fail "strip failed"
}

test_sources_and_lines() {
	local flag
	sources
	for flag in -Wl,-z,nopack-relative-relocs -Wl,-z,pack-relative-relocs; do
		build -C "link-arg=$flag"
		rm -rf out
		mkdir out
		HEAPTALLY_OUT=$PWD/out HEAPTALLY_MIN_SIZE=0 LD_PRELOAD=$shim ./pot || fail "the program failed"
		mv out/*.tally tally
		"$heaptally" flame --folded --all-frames --metric=count -o stacks tally || fail "flame: exit code $?"
		grep -q "pot_luck::soup:$(line soup/mod.rs "// ladle's") 700$" stacks ||
			fail "$flag: no 700 of ladle: $(grep -m 3 pot stacks)"
		grep -qE "pot_luck::stew_pot:$(line stew_pot.rs "// simmer's");pot\+0x[0-9a-f]+ 300$" stacks ||
			fail "$flag: no 300 of simmer by way of plain: $(grep -m 3 pot stacks)"
		# with names all is as ever
		"$heaptally" flame --folded --debug-file=full --metric=count -o stacks tally || fail "flame: exit code $?"
		grep -qE 'pot_luck::soup::ladle(;[^ ]*)? 700$' stacks && grep -qE 'stew_pot::plain(;[^ ]*)? 300$' stacks ||
			fail "$flag: the symbols are not used: $(grep -m 3 pot stacks)"
	done
}

# Files that are cut, or have other bytes in their section headers or in the table of functions, under the sanitizers.
test_damaged_files() {
	local at size headers table code
	sources
	build
	size=$(stat -c %s pot)
	headers=$(od -An -t u8 -j 40 -N 8 pot)
	table=$((16#$(readelf -SW pot | sed -n 's/.* \.eh_frame_hdr  *PROGBITS  *[0-9a-f]* *\([0-9a-f]*\) .*/\1/p')))
	for at in $(seq $((headers + 16)) 20 $((size - 8))) $(seq "$table" 4 $((table + 60))) -$((size / 2)) -$((headers + 100)); do
		if [ "$at" -lt 0 ]; then
			head -c $((-at)) pot >damaged
		else
			cp pot damaged
			printf '\377\376\177' | dd of=damaged bs=1 seek="$at" conv=notrunc status=none
		fi
		"$bin/heaptally-sanitized" scan damaged >stdout 2>stderr
		code=$?
		[ $code -eq 0 ] || [ $code -eq 2 ] || fail "damaged at $at: exit code $code: $(tail -n 3 stderr)"
	done
}

# C has no panics.
test_no_panics() {
	cat >c.c <<-'END'
		#include <stdlib.h>
		void *volatile kept;
		__attribute__((noinline)) static void *get(void) { return malloc(320); }
		int main(void) { for (int i = 0; i < 700; i++) { kept = get(); free(kept); } return 0; }
	END
	gcc -O2 -s -o c c.c || fail "gcc failed"
	mkdir out
	HEAPTALLY_OUT=$PWD/out HEAPTALLY_MIN_SIZE=0 LD_PRELOAD=$shim ./c || fail "the program failed"
	"$heaptally" flame --folded --metric=count -o stacks out/*.tally || fail "flame: exit code $?"
	grep -qE '(^|;)c\+0x[0-9a-f]+ 700$' stacks || fail "it is told as $(grep 700 stacks)"
}

# A binding with symbols is stripped, recorded, and named twice: by what is left in it, and by its symbols. Both have to
# give each crate about the same bytes at the peak; 0.87 of them were, when this was written.
test_binding() {
	local node package=node_modules/@rspack-debug/binding-linux-x64-gnu file name
	node=$(example_node)
	[ -x "$node" ] || fail "setup.sh gave no node"
	mkdir -p "example/$package" out
	file=example/$package/rspack.linux-x64-gnu.node
	cp -r "$example"/*.js "$example"/*.mjs "$example"/package.json "$example"/src example/
	for name in "$example"/node_modules/* "$example"/node_modules/.bin; do
		[[ $name == */@rspack-debug ]] || ln -s "$name" example/node_modules/
	done
	cp "$example/$package/package.json" "example/$package/"
	strip --strip-all -o "$file" "$example/$package/rspack.linux-x64-gnu.node" || fail "strip failed"
	HEAPTALLY_BINDING=debug HEAPTALLY_OUT=$PWD/out LD_PRELOAD=$shim "$node" example/build.js --small --out "$PWD/dist" \
		>log 2>&1 || fail "the build failed: $(head -n 3 log)"
	mv out/heaptally.node.*.tally told
	cp told named
	"$heaptally" report --json --top 1000 told >told.json || fail "report: exit code $?"
	"$heaptally" report --json --top 1000 --debug-file="$example/$package/rspack.linux-x64-gnu.node" named >named.json ||
		fail "report: exit code $?"
	jq -r -n --slurpfile told told.json --slurpfile named named.json '
		def crates: [.crates[] | {key: .crate, value: .totals.peak_bytes}] | from_entries;
		($told[0] | crates) as $a | ($named[0] | crates) as $b |
		([$b[]] | add) as $all |
		([$b | to_entries[] | [.value, ($a[.key] // 0)] | min] | add) / $all,
		(($a["rspack.linux-x64-gnu.node"] // 0) / $all)' >shares || fail "jq failed"
	cat shares
	awk 'NR == 1 { exit !($1 > 0.75) }' shares || fail "the crate is told of $(head -n 1 shares) of the peak"
	awk 'NR == 2 { exit !($1 < 0.05) }' shares || fail "nothing is told of $(tail -n 1 shares) of the peak"
	for name in told named; do
		jq '[.findings[] | select((.pattern | endswith("regrowth")) and
			(.container | IN("Vec", "text", "hash table")))] | length' $name.json >$name.regrown
	done
	echo "containers that regrow, of which it is told what they are: $(cat told.regrown), with names $(cat named.regrown)"
	[ "$(cat named.regrown)" -ge 5 ] && [ "$(cat told.regrown)" -ge $(($(cat named.regrown) / 2)) ] ||
		fail "$(cat told.regrown) of $(cat named.regrown) containers are told"
}

case ${1-} in --one) "test_$2"; exit ;; esac
for tool in jq rustc strip; do
	command -v $tool >/dev/null || {
		echo "$(basename "$0"): $tool is missing" >&2
		exit 2
	}
done
need "$shim" "$heaptally" "$bin/heaptally-sanitized"
run_all "$0" $seconds "$@"
