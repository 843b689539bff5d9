#!/usr/bin/env bash
# Builds for Windows with Debian's cross compiler, runs in wine without a display, and prints how
# many tests passed and failed. Without arguments it runs suites that ran there before;
# docs/platforms.md has their results.
#
# usage: scripts/windows.sh                          the suites below
#        scripts/windows.sh [CARGO TEST ARGUMENTS]   these instead
#        scripts/windows.sh run PROGRAM [ARGS]       one program, as wasi-threads-run.exe
#
# wine is another implementation of Windows. A test that passes in it shows that our calls are the
# right ones, but not that Windows answers them as wine does. Debian's wine 8 has no
# bcryptprimitives.dll, without which no Rust program starts, so a stand-in is built here.
set -euo pipefail
cd "$(dirname "$0")/.."

target=x86_64-pc-windows-gnu
folder=$(realpath -m "${CARGO_TARGET_DIR:-target}")/windows
missing=()
command -v x86_64-w64-mingw32-gcc >/dev/null || missing+=(gcc-mingw-w64-x86-64)
command -v wine >/dev/null || missing+=(wine wine64)
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

rustup target add "$target"
export CARGO_TARGET_X86_64_PC_WINDOWS_GNU_RUNNER=wine
[ "$#" -gt 0 ] || set -- --package table-sync --package memory-waits --package wasi-threads --lib --test auto_traits \
  --test readiness --test waiting --test waits --test outcomes --test shapes --test embedding --test panics --test ending \
  --test reactors

log=$(mktemp)
trap 'rm -f "$log"' EXIT
status=0
cargo test --locked --target "$target" --no-fail-fast "$@" 2>&1 | tee "$log" || status=$?
count() { grep -oE "[0-9]+ $1" "$log" | awk '{ n += $1 } END { print n + 0 }'; }
echo
echo "windows.sh: $target: $(count passed) passed, $(count failed) failed, $(count ignored) ignored"
grep -E '^test .* FAILED$' "$log" | sort -u || true
exit "$status"
