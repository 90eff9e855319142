#!/bin/bash
# SPDX-License-Identifier: MIT
# The inventory's sizes and layouts of types against what a Rust program says of itself, and the claims command from its
# options to its exit codes.
#   claims.sh [GLOB…]      tests whose names match; all of them without arguments
# Needs build/heaptally, build/libheaptally.so and rustc.
set -u
. "$(dirname "$0")/lib.sh"
seconds=60

# 1,000 structs in boxes, alive at the end; prints size_of, and bytes that are in no field.
program() {
	cat >shapes.rs <<-'RUST'
		use std::mem::size_of;
		pub struct Loose { pub a: u8, pub b: u64, pub c: u16, pub d: u32 }
		#[inline(never)]
		fn make(n: u64) -> Vec<Box<Loose>> {
		    (0..n).map(|i| Box::new(Loose { a: i as u8, b: i, c: 2, d: 3 })).collect()
		}
		fn main() {
		    let all = make(1000);
		    let fields = size_of::<u8>() + size_of::<u64>() + size_of::<u16>() + size_of::<u32>();
		    println!("size {}\npadding {}", size_of::<Loose>(), size_of::<Loose>() - fields);
		    println!("sum {}", all.iter().map(|x| x.b + x.a as u64 + x.c as u64 + x.d as u64).sum::<u64>());
		    std::mem::forget(all);
		}
	RUST
	rustc --edition 2021 -O -C debuginfo="$1" -C symbol-mangling-version=v0 -C link-arg=-Wl,--build-id -o shapes \
		shapes.rs 2>rustc.log || fail "rustc: $(head -n 1 rustc.log)"
	"$heaptally" run --min-size=0 -o . -- ./shapes >own 2>run.log || fail "$(tail -n 1 run.log)"
	"$heaptally" report --json ./*.tally >report.json || fail "report: exit code $?"
}

of_loose() { jq -r ".inventory.types[] | select(.type == \"shapes::Loose\") | $1" report.json; }

equal() { [ "$1" = "$2" ] || fail "$3 is $1 instead of $2"; }

test_layout() {
	program 2
	equal "$(of_loose .size_bytes)" "$(value size <own)" size_bytes
	equal "$(of_loose .count)" 1000 count
	equal "$(of_loose .layout.bytes)" "$(value size <own)" layout.bytes
	equal "$(of_loose .layout.padding_bytes)" "$(value padding <own)" padding_bytes
	equal "$(of_loose '[.layout.members[].name] | sort | join(" ")')" "a b c d" members
	equal "$(of_loose '.layout.members[] | select(.name == "b") | .bytes')" 8 "b's bytes"
}

# Lines and inlined calls only: the size is still known, and nothing is made up.
test_no_layout_without_types() {
	program 1
	equal "$(of_loose .size_bytes)" "$(value size <own)" size_bytes
	equal "$(of_loose .layout)" null layout
}

# The impl of one crate's trait for another crate's type: whose code it is only the linker name says.
test_crate_of_an_impl() {
	mkdir lib app
	echo 'pub struct Text(pub String);' >lib/paths.rs
	cat >app/app.rs <<-'RUST'
		trait Normal { fn normal(&self, n: usize) -> Vec<u64>; }
		impl Normal for paths::Text {
		    #[inline(never)]
		    fn normal(&self, n: usize) -> Vec<u64> { vec![self.0.len() as u64; n] }
		}
		fn main() {
		    let text = paths::Text("x".to_string());
		    let all: Vec<_> = (0..100).map(|i| text.normal(1000 + i)).collect();
		    println!("{}", all.len());
		    std::mem::forget(all);
		}
	RUST
	rustc --edition 2021 -O -C symbol-mangling-version=v0 --crate-type rlib --out-dir lib lib/paths.rs &&
		rustc --edition 2021 -O -C symbol-mangling-version=v0 --extern paths=lib/libpaths.rlib -o bundler \
			app/app.rs || fail rustc
	"$heaptally" run --min-size=0 -o . -- ./bundler >own 2>run.log || fail "$(tail -n 1 run.log)"
	"$heaptally" report --json --by bytes ./*.tally >report.json || fail "report: exit code $?"
	equal "$(jq -r '.functions[] | select(.function | contains("::normal")) | .function' report.json)" \
		"<paths::Text as app::Normal>::normal" function
	equal "$(jq -r '.functions[] | select(.function | contains("::normal")) | .crate' report.json)" app crate
	equal "$(jq -r '.crates[] | select(.crate == "paths")' report.json)" "" "bytes of crate paths"
}

# A catalog of one's own, held against the same program: 1,000 structs of 16 bytes.
test_claims_of_ones_own() {
	program 1
	cat >mine.toml <<-'TOML'
		[claims]
		modules = 100
		[[category]]
		name = "shapes"
		structure = "Loose"
		types = ["shapes::Loose"]
		[[claim]]
		section = "mine"
		says = "size"
		measure = "size"
		structure = "Loose"
		value = 16
		[[claim]]
		section = "mine"
		says = "count"
		measure = "count"
		structure = "Loose"
		value = 400
	TOML
	"$heaptally" claims --modules=50 --json --catalog=mine.toml ./*.tally >claims.json || fail "exit code $?"
	equal "$(jq -r '.claims[] | select(.says == "size") | .verdict' claims.json)" holds size
	# 2,000 for 100 modules
	equal "$(jq -r '.claims[] | select(.says == "count") | "\(.verdict) \(.factor)"' claims.json)" "off 5" count
	"$heaptally" claims --modules=50 --catalog=mine.toml ./*.tally | grep -q '^off x5 *count: 2000$' || fail "not in the text"
	# the same option of advise: 20 of the structs a module
	printf '[pattern.boxed-objects.limits]\nmin_objects = 1000\n' >more.toml
	"$heaptally" advise --json --modules=50 --catalog=more.toml ./*.tally >advice.json || fail "exit code $?"
	equal "$(jq '.findings[] | select(.pattern == "boxed-objects") | .figures[] | select(.key == "per_module") | .value == 20' \
		advice.json)" true "20 per module"
}

refused() {
	local says=$1
	shift
	"$heaptally" claims "$@" >out 2>err
	equal $? 2 "exit code"
	equal "$(wc -l <err)" 1 "lines on stderr"
	grep -q -F -- "$says" err || fail "said: $(head -n 1 err)"
	[ ! -s out ] || fail "something was printed"
}

test_wrong_use() {
	program 1
	local tally
	tally=$(echo ./*.tally)
	refused "--modules N" "$tally"
	refused "not 'many'" --modules=many "$tally"
	refused "not '-3'" --modules=-3 "$tally"
	refused "none.toml: No such file" --modules=3 --catalog=none.toml "$tally"
	printf '[[claim]]\nsection = "s"\nsays = "x"\nmeasure = "pattern"\npattern = "nothing"\n' >wrong.toml
	"$heaptally" claims --modules=3 --catalog=wrong.toml "$tally" >out 2>err && fail "a pattern that is not there passed"
	grep -q "no pattern 'nothing'" err || fail "said: $(head -n 1 err)"
}

case ${1-} in --one) "test_$2"; exit ;; esac
need "$shim" "$heaptally"
for tool in jq rustc; do
	command -v $tool >/dev/null || {
		echo "claims.sh: $tool is missing" >&2
		exit 2
	}
done
run_all "$0" $seconds "$@"
