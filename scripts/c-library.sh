#!/usr/bin/env bash
# Makes the C header and libraries, shared and static, of crates/capi.
#
# usage: scripts/c-library.sh FOLDER [PROFILE]
#
# FOLDER gets include/ and lib/. PROFILE is release unless given; dev makes one for debugging. Then
# compiles the example against each library, and runs it. Some minutes, the first time.
set -euo pipefail
[ "$#" -ge 1 ] || { sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0" >&2; exit 2; }
cd "$(dirname "$0")/.."
mkdir -p "$1/include" "$1/lib"
to=$(realpath "$1")
profile=${2:-release}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# Cargo says where it has put them.
cargo rustc -p wasi-threads-c --lib --profile "$profile" --crate-type cdylib,staticlib --message-format json \
  >"$scratch/messages"
python3 - "$scratch/messages" >"$scratch/files" <<'PY'
import json, sys
for line in open(sys.argv[1]):
    message = json.loads(line)
    if message.get("reason") == "compiler-artifact" and message["target"]["name"] == "wasi_threads_c":
        print("\n".join(message["filenames"]))
PY
while read -r file; do
  cp "$file" "$to/lib/"
done <"$scratch/files"
cp crates/capi/include/wasi_threads.h "$to/include/"

cc=(cc -std=c11 -I "$to/include" crates/capi/examples/primes.c)
"${cc[@]}" -L "$to/lib" -Wl,-rpath,"$to/lib" -lwasi_threads_c -o "$scratch/shared"
"${cc[@]}" "$to/lib/libwasi_threads_c.a" -lpthread -lm -ldl -o "$scratch/static"
for program in shared static; do
  echo "c-library: $program:"
  "$scratch/$program" examples/primes.wat 4 100000 | sed 's/^/    /'
done
ls -l "$to/lib" "$to/include"
