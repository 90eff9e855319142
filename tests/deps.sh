#!/bin/sh
# SPDX-License-Identifier: MIT
# Installs what building, testing and the demo need, from Debian's packages; does nothing when all is there.
#   deps.sh build|demo|test
set -u

build="gcc g++ make libc6-dev libunwind-dev uthash-dev libdw-dev libelf-dev libiberty-dev libjansson-dev
	libzstd-dev zlib1g-dev libtomlplusplus-dev"
test="binutils dpkg-dev elfutils libcriterion-dev libjemalloc2 libmimalloc2.0 libtcmalloc-minimal4 libxml2-utils mandoc heaptrack
	libjemalloc-dev libmimalloc-dev procps jq librust-bumpalo-dev librust-dashmap-dev librust-hashbrown-dev
	librust-rustc-hash-dev librust-smallvec-dev"

case ${1-} in
build) wanted=$build ;;
demo) wanted=$build ;;
test) wanted="$build $test" ;;
*) echo "deps.sh: build, demo or test?" >&2; exit 2 ;;
esac
if [ "$1" != build ]; then
	command -v npm >/dev/null 2>&1 || wanted="$wanted nodejs npm"
fi
if [ "$1" = test ]; then
	# Debian 12's rustc is from 2022; published bindings are made with later ones.
	command -v rustc >/dev/null 2>&1 || wanted="$wanted rustc-web"
fi

missing=
for package in $wanted; do
	case $(dpkg-query -W -f '${Status}' "$package" 2>/dev/null) in
	"install ok installed") ;;
	*) missing="$missing $package" ;;
	esac
done
[ -n "$missing" ] || exit 0

command -v apt-get >/dev/null 2>&1 || {
	echo "heaptally: install these, there is no apt-get here:$missing" >&2
	exit 1
}
as_root=
if [ "$(id -u)" -ne 0 ]; then
	as_root=sudo
	command -v sudo >/dev/null 2>&1 || {
		echo "heaptally: become root or install sudo, these packages are missing:$missing" >&2
		exit 1
	}
fi
echo "installing$missing"
$as_root apt-get update -qq >/dev/null
# shellcheck disable=SC2086
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null || {
	echo "heaptally: apt-get could not install$missing" >&2
	exit 1
}
