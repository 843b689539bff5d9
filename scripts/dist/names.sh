# What the artefacts are called, and where they are made. Sourced by the other scripts of this
# folder, from any folder.
#
# TARGET   the Rust target of the binary; if not set, the static one of this machine
# BINARY   the binary that goes into the artefacts; if not set, the one that binary.sh builds
# OUT      the folder of the artefacts: target/dist-files
# shellcheck shell=bash disable=SC2034
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
name=wasi-threads-run
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' "$root/Cargo.toml" | head -n 1)
TARGET=${TARGET:-$(uname -m)-unknown-linux-musl}
case "$TARGET" in
  x86_64-*-linux-*) deb_arch=amd64 npm_cpu=x64 oci_arch=amd64 wheel_arch=x86_64 ;;
  aarch64-*-linux-*) deb_arch=arm64 npm_cpu=arm64 oci_arch=arm64 wheel_arch=aarch64 ;;
  *)
    echo "dist: no artefacts are made for $TARGET" >&2
    exit 2
    ;;
esac
OUT=${OUT:-$root/target/dist-files}
BINARY=${BINARY:-$root/target/$TARGET/dist/$name}
# Files in archives have the time of the last commit, so that the same sources give the same
# artefacts.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git -C "$root" log -1 --format=%ct 2>/dev/null || echo 315532800)}
export SOURCE_DATE_EPOCH
mkdir -p "$OUT"
