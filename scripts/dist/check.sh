#!/usr/bin/env bash
# Installs each artefact of target/dist-files on a root without a compiler and without anything of
# this project, and runs the example there with 4 threads. The roots of the plain archive and of the
# image hold nothing else. Those of the other artefacts are Debian. Prints a line for each artefact
# that is right, and fails at the first that is not.
#
# usage: scripts/dist/check.sh [SUITE...]    after all.sh; Debian's suites: bookworm and bullseye
#                                            unless given
# needs root (chroot), mmdebstrap, umoci, and node with npm
set -euo pipefail
source "$(dirname "$0")/names.sh"
suites=("$@")
[ "${#suites[@]}" -gt 0 ] || suites=(bookworm bullseye)
mirror=${MIRROR:-}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
guest=$root/examples/primes.wat
archive=$name-$version-$TARGET

# Runs a command in the root $2, and checks its output: the version, then the example. $1 names the
# artefact.
runs_in() {
  local what=$1 at=$2 said start
  shift 2
  cp "$guest" "$at/primes.wat"
  said=$(env -i PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin HOME=/ chroot "$at" "$@" --version)
  case "$said" in
    "$name $version"*) ;;
    *) echo "check: $what: --version says: $said" >&2 && return 1 ;;
  esac
  start=$(date +%s%N)
  said=$(env -i PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin HOME=/ chroot "$at" "$@" -C cache=n /primes.wat 4)
  case "$said" in
    "148933 primes below 2000000, counted by 4 threads"*) ;;
    *) echo "check: $what: the example says: $said" >&2 && return 1 ;;
  esac
  echo "check: $what: $said; $((($(date +%s%N) - start) / 1000000)) ms in all"
}

has_licences() {
  local what=$1
  shift
  local file found
  for file in "$@"; do
    found=$(if [ "${file%.gz}" = "$file" ]; then cat "$file"; else zcat "$file"; fi)
    case "$found" in
      *wasmtime*) ;;
      *) echo "check: $what: $file does not name what the binary is made of" >&2 && return 1 ;;
    esac
  done
}

(cd "$OUT" && sha256sum --quiet --check SHA256SUMS)
echo "check: checksums: $(wc -l <"$OUT/SHA256SUMS") files"

mkdir "$work/plain"
tar --extract --gzip --file "$OUT/$archive.tar.gz" --directory "$work/plain"
has_licences "plain archive" "$work/plain/$archive/LICENSES-THIRD-PARTY.txt"
runs_in "plain archive, nothing else in the root" "$work/plain" "/$archive/$name"

mkdir "$work/layout"
tar --extract --file "$OUT/$name-$version-linux-$oci_arch.oci.tar" --directory "$work/layout"
umoci unpack --rootless --image "$work/layout:$version" "$work/image" >/dev/null
entry=$(umoci stat --image "$work/layout:$version" --json >/dev/null && sed -n '/"args"/,/]/p' "$work/image/config.json" | grep -o '"/[^"]*"' | tr -d '"')
has_licences image "$work/image/rootfs/licenses/LICENSES-THIRD-PARTY.txt"
runs_in "image, unpacked by umoci" "$work/image/rootfs" "$entry"

for suite in "${suites[@]}"; do
  at=$work/$suite
  begun=$(date +%s)
  # shellcheck disable=SC2086
  mmdebstrap --quiet --variant=minbase --include=python3,python3-pip "$suite" "$at" $mirror
  echo "check: $suite: $(du -sm "$at" | cut -f 1) MB, made in $(($(date +%s) - begun)) s"
  if chroot "$at" sh -c 'command -v cc || command -v rustc'; then
    echo "check: $suite has a compiler" >&2
    exit 1
  fi

  cp "$OUT/${name}_$version-1_$deb_arch.deb" "$at/package.deb"
  chroot "$at" dpkg --install /package.deb >/dev/null
  has_licences deb "$at/usr/share/doc/$name/LICENSES-THIRD-PARTY.txt.gz"
  [ -s "$at/usr/share/man/man1/$name.1.gz" ]
  runs_in "deb on $suite" "$at" "$name"
  chroot "$at" dpkg --remove "$name" >/dev/null
  [ ! -e "$at/usr/bin/$name" ]

  cp "$OUT"/*.whl "$at/"
  wheel=$(basename "$OUT"/wasi_threads_run-"$version"-*"$wheel_arch".whl)
  # Since bookworm Debian's pip asks whether it may install beside Debian's own packages.
  break_packages=$(chroot "$at" pip3 install --help | grep -o -m 1 -- --break-system-packages || true)
  # shellcheck disable=SC2086
  chroot "$at" pip3 --disable-pip-version-check install --quiet --no-index $break_packages "/$wheel"
  has_licences wheel "$(find "$at/usr/local" -name LICENSES-THIRD-PARTY.txt)"
  runs_in "wheel on $suite" "$at" "$name"
done

# npm takes the binary's package from the folder, as it would from the registry; nothing is compiled
# and no script runs.
mkdir "$work/npm"
(cd "$work/npm" && npm install --silent --offline --no-audit --no-fund --no-package-lock --ignore-scripts --omit=optional \
  "$OUT/$name-linux-$npm_cpu-$version.tgz" "$OUT/$name-$version.tgz" >/dev/null)
has_licences npm "$work/npm/node_modules/$name-linux-$npm_cpu/LICENSES-THIRD-PARTY.txt"
run=$work/npm/node_modules/.bin/$name
said=$("$run" -C cache=n "$guest" 4)
case "$said" in
  "148933 primes below 2000000, counted by 4 threads"*) echo "check: npm, node $(node --version): $said" ;;
  *) echo "check: npm: the example says: $said" >&2 && exit 1 ;;
esac
# The status and a signal go through the script.
cat >"$work/ends.wat" <<'WAT'
(module
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (func (export "_start") (call $exit (i32.const 42))))
WAT
cat >"$work/spins.wat" <<'WAT'
(module (memory (export "memory") 1) (func (export "_start") (loop (br 0))))
WAT
status=0
"$run" -C cache=n "$work/ends.wat" || status=$?
[ "$status" -eq 42 ] || { echo "check: npm: status $status, not 42" >&2 && exit 1; }
"$run" -C cache=n "$work/spins.wat" </dev/null &
spinner=$!
sleep 2
kill -TERM "$spinner"
status=0
wait "$spinner" || status=$?
[ "$status" -eq 143 ] || { echo "check: npm: status $status after SIGTERM, not 143" >&2 && exit 1; }
echo "check: npm: status 42, and 143 after SIGTERM"
echo "check: all artefacts of $TARGET run"
