#!/usr/bin/env bash
# Makes the C header and libraries, shared and static, of crates/capi.
#
# usage: scripts/c-library.sh FOLDER [PROFILE]
#
# FOLDER gets include/ and lib/. PROFILE is release unless given: libraries to give away, with no
# more of Wasmtime than they need, compiled for them (some minutes). With dev they have what
# the tests' builds have of it, so nothing is compiled twice. Then compiles the C example against
# each library, and runs it, and the Python example with the shared one.
set -euo pipefail
[ "$#" -ge 1 ] || { sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0" >&2; exit 2; }
cd "$(dirname "$0")/.."
mkdir -p "$1/include" "$1/lib"
to=$(realpath "$1")
profile=${2:-release}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# Cargo says where it has put them.
case "$profile" in
  dev) build=(build --workspace --example static_library --features wasi-threads-c/static-library) ;;
  *) build=(rustc -p wasi-threads-c --lib --profile "$profile" --crate-type cdylib,staticlib) ;;
esac
cargo "${build[@]}" --message-format json >"$scratch/messages"
python3 - "$scratch/messages" >"$scratch/files" <<'PY'
import json, sys
for line in open(sys.argv[1]):
    message = json.loads(line)
    if message.get("reason") == "compiler-artifact" and message["target"]["name"] in ("wasi_threads_c", "static_library"):
        print("\n".join(file for file in message["filenames"] if not file.endswith((".rlib", ".rmeta"))))
PY
while read -r file; do
  name=$(basename "$file")
  cp "$file" "$to/lib/${name/static_library/wasi_threads_c}"
done < <(grep . "$scratch/files")
cp crates/capi/include/wasi_threads.h "$to/include/"

cc=(cc -std=c11 -I "$to/include" crates/capi/examples/primes.c)
"${cc[@]}" -L "$to/lib" -Wl,-rpath,"$to/lib" -lwasi_threads_c -o "$scratch/shared"
"${cc[@]}" "$to/lib/libwasi_threads_c.a" -lpthread -lm -ldl -o "$scratch/static"
for program in shared static; do
  echo "c-library: $program:"
  "$scratch/$program" examples/primes.wat 4 100000 | sed 's/^/    /'
done
echo "c-library: python:"
library=$(find "$to/lib" -name '*wasi_threads_c.*' ! -name '*.a' ! -name '*.lib' | head -n 1)
python3 crates/capi/examples/primes.py "$library" examples/primes.wat 4 100000 | sed 's/^/    /'
ls -l "$to/lib" "$to/include"
