#!/bin/bash
# SPDX-License-Identifier: MIT
# The manual pages against the command and the shim: every option, command and variable is in its page, no page has
# others, what they speak of is installed, and mandoc finds nothing to complain about.
#   man.sh [GLOB…]         tests whose names match; all of them without arguments
# Needs build/heaptally and build/libheaptally.so.
set -u
. "$(dirname "$0")/lib.sh"
man=$root/man
seconds=30

commands() { "$heaptally" --help | sed -n 's/^  \([a-z]*\)  *[a-z].*/\1/p' | sort; }

# Options, one a line with their dashes: as --help has them, in a page's list of options, and in its synopsis. What argp
# gives to every command is said once, in heaptally(1).
of_help() {
	"$heaptally" "$1" --help | grep -E '^ {2,6}-' | sed 's/   *[A-Z].*//' | grep -oE -- '--?[a-z?][a-z-]*' |
		grep -vx -e --help -e '-?' -e --usage | sort -u
}
fl_of() { grep "$2" "$1" | grep -oE 'Fl -?[a-z][a-z-]*' | sed 's/Fl /-/' | sort -u; }

same_lists() {
	local difference
	difference=$(diff <(echo "$1") <(echo "$2") | sed -n "s|^< |only in $3: |p; s|^> |only in $4: |p")
	[ -z "$difference" ] || fail "$(paste -s -d ';' <<<"$difference")"
}

options_are_there() {
	local page=$man/heaptally-$1.1 help
	[ -e "$page" ] || fail "no page $page"
	help=$(of_help "$1")
	same_lists "$help" "$(fl_of "$page" '^\.It .*Fl')" --help "its page"
	# a short option stands for the long one beside it there
	same_lists "$(sed 's/^\(\.It Fl [a-z] \).*/\1/' "$page" | fl_of - '^\.It .*Fl')" "$(fl_of "$page" '^\.Op Fl\|^\.Fl -[a-z-]* Ns =')" \
		"the list of options" "the synopsis"
}

for command in $(commands); do
	eval "test_options_$command() { options_are_there $command; }"
done

test_commands() {
	[ -n "$(commands)" ] || fail "heaptally --help lists no commands"
	local pages
	pages=$(cd "$man" && printf '%s\n' heaptally-*.1 | sed 's/^heaptally-\(.*\)\.1$/\1/')
	same_lists "$(commands)" "$pages" "heaptally --help" man/
	same_lists "$(commands)" "$(sed -n '/^\.Sh DESC/,/^\.Ss/s/^\.It Cm //p' "$man/heaptally.1" | sort)" \
		"heaptally --help" "heaptally(1)"
}

test_environment() {
	local read
	read=$(grep -ohE '"HEAPTALLY_[A-Z_]+"' "$root"/preload/*.c | tr -d '"' | sort -u)
	[ -n "$read" ] || fail "the shim reads no variables"
	same_lists "$read" "$(sed -n 's/^\.It Ev //p' "$man/libheaptally.7" | sort)" "the shim" "libheaptally(7)"
}

test_lint() {
	command -v mandoc >/dev/null || skip "mandoc is not installed"
	local complaints
	complaints=$(cd "$man" && mandoc -T lint -W warning ./*.[1-8])
	[ -z "$complaints" ] || fail "$(wc -l <<<"$complaints") complaints: $(head -n 1 <<<"$complaints")"
}

# Each .Xr leads to a page of ours or names a system's page.
test_references() {
	local name section
	while read -r name section; do
		case $name in
		exec | fork | vfork | ld.so) continue ;;
		esac
		[ -e "$man/$name.$section" ] || fail "$name($section) is referred to, but there is no such page"
	done < <(sed -n 's/^\.Xr \([^ ]*\) \([1-8]\).*/\1 \2/p' "$man"/*.[1-8] | sort -u)
}

# What the pages say is there is installed, and the command finds the shim from where it lies.
test_installed() {
	local file tallies
	make -s -C "$root" install BUILD="$build" DESTDIR="$PWD" PREFIX=/usr >log 2>&1 || fail "$(tail -n 1 log)"
	while read -r file; do
		compgen -G "usr/$file" >/dev/null || fail "$file is not installed"
	done < <(sed -n 's/^\.\(Pa\|It Pa\) \(\(share\|lib\|include\)\/[^ ]*\).*/\2/p' "$man"/*.[1-8] | sort -u)
	HEAPTALLY_MIN_SIZE=0 usr/bin/heaptally run -o . -- ls >log 2>&1 || fail "$(tail -n 1 log)"
	tallies=$(echo heaptally.ls.*.tally)
	[ -e "$tallies" ] || fail "no tally: $(tail -n 1 log)"
}

if [ "${1-}" = --one ]; then
	"test_$2"
	exit
fi
need "$heaptally" "$shim"
run_all "$0" $seconds "$@"
