#!/usr/bin/env bash
# Counts the system calls behind each of a dozen WASI calls, as strace sees them. On the example
# host, crates/p1-adapter/examples/calls.wat makes every call 100 times (reads and writes with four
# buffers, 64 KiB together).
#
# usage: scripts/p1-strace.sh
#
# Prints a Markdown table, and fails if a call that should be one system call (or none) is something
# else.
set -euo pipefail
cd "$(dirname "$0")/.."

command -v strace >/dev/null || { echo "p1-strace: install strace" >&2; exit 1; }
# Without optimisation the standard library looks at every descriptor before it closes it.
cargo build -q --release --workspace --example host
host=$(realpath "${CARGO_TARGET_DIR:-target}/release/examples/host")
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
# One file per thread: the guest's is the one with the marks.
strace -ff -qq -e signal=none -o "$dir/trace" "$host" --dir "$dir::/" crates/p1-adapter/examples/calls.wat
trace=$(grep -l 'at-the-end' "$dir"/trace.*)

awk '
  match($0, /"at-[a-z_-]+ *"/) {
    mark = substr($0, RSTART + 4, RLENGTH - 5)
    sub(/ +$/, "", mark)
    if (mark != at) { at = mark; if (at != "the-end") order[++rows] = at }
    next
  }
  at == "" || at == "the-end" { next }
  { name = $0; sub(/\(.*/, "", name); if (!((at, name) in count)) list[at] = list[at] " " name; count[at, name]++; total[at]++ }
  END {
    split("fd_tell lseek fd_pread preadv fd_pwrite pwritev fd_read readv fd_write writev", expected, " ")
    for (i = 1; i in expected; i += 2) want[expected[i]] = expected[i + 1]
    print "| call | system calls each | which |"
    print "|---|---:|---|"
    for (i = 1; i <= rows; i++) {
      at = order[i]
      which = ""
      n = split(list[at], names, " ")
      for (j = 1; j <= n; j++) which = which sprintf("%s%d %s", j > 1 ? ", " : "", count[at, names[j]], names[j])
      printf "| %s | %.2f | %s |\n", at, total[at] / 100, which
      # Told once, a cursor that does not move is known.
      times = at == "fd_tell" ? 1 : 100
      if (at in want && (total[at] != times || list[at] != " " want[at])) bad = bad " " at
      if ((at == "clock_time_get" || at == "fd_fdstat_get") && total[at] != 0) bad = bad " " at
    }
    if (rows != 12) bad = bad " rows:" rows
    if (bad != "") { print "p1-strace: not as it should be:" bad > "/dev/stderr"; exit 1 }
  }' "$trace"
