#!/bin/sh
# SPDX-License-Identifier: MIT
# mimalloc.sh DIRECTORY: the source of Debian's mimalloc, which no package has as a static library, into DIRECTORY. apt
# fetches and verifies it: from the archives that the machine uses, asked for their sources too, with lists of its own, so
# that the machine's stay as they are. When that does not go, says why on one line of stderr and exits with 1.
set -u
[ ! -e "$1/src/static.c" ] || exit 0

why() {
	printf '%s\n' "$*" | tr '\n' ' ' >&2
	echo >&2
	exit 1
}
for tool in apt-get dpkg-source; do
	command -v $tool >/dev/null 2>&1 || why "there is no $tool to fetch mimalloc's source with"
done
mkdir -p "$(dirname "$1")"
to=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
work=$(mktemp -d "$to.XXXXXX") || why "no place to fetch mimalloc's source to"
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
mkdir parts lists lists/partial archives archives/partial
for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources; do
	[ ! -r "$file" ] || sed 's/^deb\([[:blank:]]\)/deb-src\1/; s/^Types:.*/Types: deb-src/' "$file" >"parts/${file##*/}"
done

# The directories below are the user's own: _apt cannot write to them.
apt() {
	LC_ALL=C apt-get -qq -o Dir::Etc::SourceList=/dev/null -o Dir::Etc::SourceParts="$work/parts" \
		-o Dir::State::Lists="$work/lists" -o Dir::Cache="$work" -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= \
		-o APT::Sandbox::User=root -o Acquire::Retries=1 -o Acquire::http::Timeout=20 "$@" >>"$work/said" 2>&1
}
{ apt update && apt source mimalloc; } ||
	why "Debian's source of mimalloc could not be had: $(grep -m 1 '^[EW]:' said)"
for source in mimalloc-*/src/static.c; do
	[ -e "$source" ] || why "Debian's source of mimalloc has no src/static.c"
	rm -rf "$to"
	mv "${source%/src/static.c}" "$to"
done
