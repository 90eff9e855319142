# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# What the integration tests share: paths, checks, and the runner, which gives each test_* function a fresh directory, a
# process of its own and a time limit. VERBOSE=1 shows all that a test says. Sourced by bash.
# shellcheck disable=SC2034
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
build=${HEAPTALLY_BUILD:-$root/build}
bin=${HEAPTALLY_TESTS:-$build/tests}
shim=$build/libheaptally.so
heaptally=$build/heaptally
example=$root/examples/rspack

fail() { echo "$*" >&2; exit 1; }
skip() { echo "$*" >&2; exit 77; }

# The one that the example asks for; nothing where there is none.
example_node() { "$example/setup.sh" 2>/dev/null | tail -n 1; }
dump() { "$bin/dump" "$@" || fail "dump failed"; }

# value KEY <lines
value() { awk -v key="$1" '$1 == key { print $2; found = 1 } END { if (!found) print "absent" }'; }

# is TEXT KEY VALUE
is() {
	local got
	got=$(value "$2" <<<"$1")
	[ "$got" = "$3" ] || fail "$2 is $got instead of $3"
}

# between DUMP KEY LEAST MOST
between() {
	local got
	got=$(value "$2" <<<"$1")
	[ "$got" -ge "$3" ] && [ "$got" -le "$4" ] || fail "$2 is $got, not within $3 and $4"
}

need() {
	local file
	for file; do
		[ -e "$file" ] || {
			echo "$(basename "$0"): $file is missing; build it first" >&2
			exit 2
		}
	done
}

# run_all SCRIPT SECONDS [GLOB…]: runs the tests by calling SCRIPT --one NAME, prints one line for each, then the sum.
run_all() {
	local script=$1 seconds=$2 passed=0 failed=0 skipped=0 name glob wanted code reason
	shift 2
	script=$(cd "$(dirname "$script")" && pwd)/$(basename "$script")
	scratch=$(mktemp -d)
	trap 'rm -rf "$scratch"' EXIT
	for name in $(declare -F | sed -n 's/^declare -f test_//p'); do
		wanted=$(($# == 0))
		for glob; do
			# shellcheck disable=SC2053
			[[ $name == $glob ]] && wanted=1
		done
		[ $wanted -eq 1 ] || continue
		mkdir "$scratch/$name"
		(cd "$scratch/$name" && exec timeout -k 2 "$seconds" "$script" --one "$name") \
			>"$scratch/output" 2>"$scratch/reason" </dev/null
		code=$?
		# the first complaint; what the shell says of killed children is none
		reason=$(tr -d '\0' <"$scratch/reason" | grep -v -m 1 -e '^Terminated$' -e ': line [0-9]*: .* \(Killed\|Aborted\|Terminated\|Segmentation\)')
		case $code in
		0) echo "ok $name" && passed=$((passed + 1)) ;;
		77) echo "skip $name: $reason" && skipped=$((skipped + 1)) ;;
		124 | 137) echo "FAIL $name: more than $seconds seconds" && failed=$((failed + 1)) ;;
		*) echo "FAIL $name: ${reason:-exit code $code}" && failed=$((failed + 1)) ;;
		esac
		[ -z "${VERBOSE-}" ] || sed "s|^|    |" "$scratch/output" "$scratch/reason"
		umount "$scratch/$name/tiny" 2>/dev/null
		rm -rf "${scratch:?}/$name"
	done
	if [ $skipped -gt 0 ]; then
		echo "$passed passed, $failed failed, $skipped skipped"
	else
		echo "$passed passed, $failed failed"
	fi
	[ $failed -eq 0 ] && [ $((passed + skipped)) -gt 0 ]
}
