#!/usr/bin/env bash
# Installs what the build and the tests need besides Rust itself:
#   clang-19, lld-19   compile the C guests of the tests and the examples
#   bsdutils           has script(1), a terminal for the tests
#   gcc                links Rust programs, builds the C parts of crates and the native twin of the
#                      probes
#   wasi-libc, libclang-rt-19-dev-wasm32   a C library for the guest of the probes
#   python3-pip        installs the published wasmtime 48 (scripts/peers.sh), whose compiled files
#                      a test loads
#   strace             injects errors into the probes
#   gdb, lldb-19       stop in guests, for the tests of debuggers
#   util-linux, perl-base   unshare and system calls, for tests of what a host may be without
# On Debian and Ubuntu the script installs them with apt-get (through sudo when not root).
# Elsewhere, or if that is not possible, it names what is missing and fails.
set -euo pipefail

packages=()
command -v clang-19 >/dev/null || packages+=(clang-19)
command -v wasm-ld-19 >/dev/null || packages+=(lld-19)
[ -e /usr/include/wasm32-wasi/wasi/api.h ] || packages+=(wasi-libc)
[ -e /usr/lib/llvm-19/lib/clang/19/lib/wasi/libclang_rt.builtins-wasm32.a ] \
  || packages+=(libclang-rt-19-dev-wasm32)
# A test runs the binary on a terminal, by script(1).
command -v script >/dev/null || packages+=(bsdutils)
# Crates with C code (zstd) need a host C compiler; Rust needs a linker.
command -v cc >/dev/null || packages+=(gcc libc6-dev)
python3 -m pip --version >/dev/null 2>&1 || packages+=(python3-pip)
command -v unshare >/dev/null || packages+=(util-linux)
# Injects an error that no file system here gives; without it those probes are named as not run.
command -v strace >/dev/null || packages+=(strace)
command -v perl >/dev/null || packages+=(perl-base)
# Tests stop guests in both.
command -v gdb >/dev/null || packages+=(gdb)
command -v lldb-19 >/dev/null || packages+=(lldb-19)

if [ "${#packages[@]}" -gt 0 ]; then
  root=()
  if [ "$(id -u)" -ne 0 ]; then
    if command -v sudo >/dev/null; then root=(sudo); else
      echo "setup: missing packages: ${packages[*]}" >&2
      echo "setup: not root and no sudo: install them by hand, then run this again" >&2
      exit 1
    fi
  fi
  if ! command -v apt-get >/dev/null; then
    echo "setup: missing (Debian names): ${packages[*]}" >&2
    echo "setup: no apt-get here: install clang 19 and lld 19 with your system's packages" >&2
    exit 1
  fi
  echo "setup: installing ${packages[*]}"
  if ! "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${packages[@]}"; then
    # The package lists of a fresh image are often empty or stale.
    "${root[@]}" apt-get update
    "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${packages[@]}"
  fi
fi

if ! command -v cargo >/dev/null; then
  echo "setup: cargo is missing: install Rust 1.95 or newer from https://rustup.rs" >&2
  exit 1
fi

# Its tests are for this kind of machine only.
[ "$(uname -sm)" != "Linux x86_64" ] || "$(dirname "$0")/peers.sh" 48

# Two tests compile Rust programs for the target this project exists for. They are
# left out where it cannot be had.
if command -v rustup >/dev/null && ! rustup target add wasm32-wasip1-threads; then
  echo "setup: the Rust target wasm32-wasip1-threads cannot be installed: its programs are left out"
fi
if [ -z "${WASI_SDK_PATH:-}" ]; then
  echo "setup: WASI_SDK_PATH is not set: the pthread guests are left out"
fi
echo "setup: complete"
