# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# What the scripts of this folder share: paths, complaints, and $scratch, a directory that goes with the script. Sourced
# by bash.
# shellcheck disable=SC2034
export LC_ALL=C
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
build=${HEAPTALLY_BUILD:-$root/build}
shim=$build/libheaptally.so
example=$root/examples/rspack
unset LD_PRELOAD HEAPTALLY_OUT HEAPTALLY_ONLY HEAPTALLY_MIN_SIZE HEAPTALLY_DEPTH HEAPTALLY_RUN HEAPTALLY_SAMPLE

die() { echo "$(basename "$0"): $*" >&2; exit 2; }
progress() { [ ! -t 2 ] || printf '\r\033[K%s' "$*" >&2; }

# a_number NAME VALUE
a_number() { [[ $2 =~ ^[1-9][0-9]*$ ]] || die "$1 is '$2', but must be a number from 1"; }

# need TARGET FILE…: what `make TARGET` builds
need() {
	local target=$1 file
	shift
	for file; do
		[ -e "$file" ] || die "$file is missing; \`make $target\` builds it"
	done
}

# Sets $node to the one that the example asks for.
need_node() {
	node=$("$example/setup.sh" | tail -n 1)
	[ -x "$node" ] || die "$example/setup.sh gave no node; its messages are above"
}

scratch=$(mktemp -d) || exit 2
trap 'progress; rm -rf "$scratch"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP PIPE
