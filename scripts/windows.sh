#!/usr/bin/env bash
# Builds for Windows with Debian's cross compiler, runs in wine without a display, and prints how
# many tests passed and failed. Without arguments it runs the suites whose results are in
# docs/platforms.md, and compiles the guests before: there are no compilers in wine. Beside a load
# that takes an hour and more.
#
# usage: scripts/windows.sh                          the suites below
#        scripts/windows.sh [CARGO TEST ARGUMENTS]   these instead
#        scripts/windows.sh run PROGRAM [ARGS]       one program, as wasi-threads-run.exe
#        scripts/windows.sh faults                   what wine does otherwise (tests/wine/faults.c)
#
# wine is another implementation of Windows. A test that passes in it shows that our calls are the
# right ones, but not that Windows answers them as wine does. Debian's wine 8 has no
# bcryptprimitives.dll, without which no Rust program starts, so a stand-in is built here.
set -euo pipefail
cd "$(dirname "$0")/.."

target=x86_64-pc-windows-gnu
suites=(
  # table-sync
  auto_traits readiness waiting semantics model stress linearizability
  # memory-waits
  waits waits_stress
  # interruptible-wasm
  rewrite
  # wasi-threads
  outcomes shapes embedding panics ending reactors again budget counting embedders explaining fuel
  fuel_bound limits naming observing own_memories preloading prepare schedule wasi
  # p1-adapter
  preview1 blocking made differential
  # wasi-threads-run
  cli
)
folder=$(realpath -m "${CARGO_TARGET_DIR:-target}")/windows
missing=()
command -v x86_64-w64-mingw32-gcc >/dev/null || missing+=(gcc-mingw-w64-x86-64)
command -v wine >/dev/null || missing+=(wine wine64)
command -v clang-19 >/dev/null || missing+=(clang-19 lld-19)
[ "${#missing[@]}" -eq 0 ] || { echo "windows.sh: missing (Debian's names): ${missing[*]}" >&2 && exit 1; }

export WINEPREFIX=$folder/wine WINEARCH=win64 WINEDEBUG=-all DISPLAY=
system=$WINEPREFIX/drive_c/windows/system32
if [ ! -d "$system" ]; then
  mkdir -p "$folder"
  wineboot --init >/dev/null 2>&1
  wineserver --wait
fi
if [ ! -e "$system/bcryptprimitives.dll" ]; then
  # One function, which gives random bytes.
  cat >"$folder/bcryptprimitives.c" <<'END'
#include <windows.h>
#include <ntsecapi.h>

__declspec(dllexport) BOOL WINAPI ProcessPrng(BYTE *bytes, SIZE_T count) {
    const SIZE_T most = 1 << 24;
    while (count > 0) {
        ULONG now = (ULONG)(count < most ? count : most);
        if (!RtlGenRandom(bytes, now)) return FALSE;
        bytes += now;
        count -= now;
    }
    return TRUE;
}
END
  x86_64-w64-mingw32-gcc -shared -O1 -o "$system/bcryptprimitives.dll" "$folder/bcryptprimitives.c" -ladvapi32
fi

if [ "${1:-}" = run ]; then
  shift
  exec wine "$@"
fi

if [ "${1:-}" = faults ]; then
  x86_64-w64-mingw32-gcc -O1 -Wall -o "$folder/faults.exe" tests/wine/faults.c -lws2_32 -lntdll
  wine "$folder/faults.exe" <tests/wine/faults.c | cat
  exit
fi

rustup target add "$target" wasm32-wasip1-threads

# The guests, under the names that the tests look for.
guests=$(realpath -m target/guests)
mkdir -p "$guests"
for source in tests/guests/*.c tests/zoo/c/*.c examples/mandelbrot.c; do
  out=$guests/$(basename "$source" .c).wasm
  [ "$out" -nt "$source" ] || xargs -d '\n' -a tests/guests/flags.txt clang-19 \
    -I tests/guests/include tests/guests/include/start.S "$source" -o "$out"
done
for options in "-O0 -gdwarf-5" "-O1 -gdwarf-4" "-O2 -gdwarf-5" "-O2 -g0"; do
  clang++-19 --target=wasm32 -ffreestanding -nostdlib -fno-exceptions -fno-rtti \
    -Wl,--no-entry,--export-memory $options tests/guests/cpp/shapes.cpp \
    -o "$guests/shapes${options// /}.wasm"
done
for source in threads meetings lost_update freed; do
  [ -e "$guests/rust_$source.wasm" ] || rustc --edition 2024 -g -O --target wasm32-wasip1-threads \
    "tests/guests/rust/$source.rs" -o "$guests/rust_$source.wasm"
done
[ -e "$guests/zoo.wasm" ] || rustc --edition 2024 -g -O --target wasm32-wasip1-threads \
  tests/zoo/rust/main.rs -o "$guests/zoo.wasm"

# A suite that hangs is no reason to wait for ever.
export CARGO_TARGET_X86_64_PC_WINDOWS_GNU_RUNNER="timeout 3000 wine"
if [ "$#" -eq 0 ]; then
  for package in table-sync memory-waits interruptible-wasm wasi-threads p1-adapter wasi-threads-run; do
    set -- "$@" --package "$package"
  done
  # Its models are of Wasmtime's table.
  set -- "$@" --features table-sync/wasmtime --lib --bins
  for suite in "${suites[@]}"; do
    set -- "$@" --test "$suite"
  done
  # A panic within loom's models ends the process there.
  set -- "$@" -- --skip tests::model
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
status=0
cargo test --locked --target "$target" --no-fail-fast "$@" 2>&1 | tee "$log" || status=$?
count() { grep -oE "[0-9]+ $1" "$log" | awk '{ n += $1 } END { print n + 0 }'; }
echo
echo "windows.sh: $target: $(count passed) passed, $(count failed) failed, $(count ignored) ignored"
grep -E '^test .* FAILED$' "$log" | sort -u || true
exit "$status"
