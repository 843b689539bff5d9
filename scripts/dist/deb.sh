#!/usr/bin/env bash
# Makes the Debian package: the static binary, which needs no other package, its manual page and
# completions.
#
# usage: scripts/dist/deb.sh    after files.sh
set -euo pipefail
source "$(dirname "$0")/names.sh"
tree=$OUT/tree
package=$(mktemp -d)
trap 'rm -rf "$package"' EXIT
chmod 755 "$package"
share=$package/usr/share
install -D -m 755 "$tree/$name" "$package/usr/bin/$name"
install -D -m 644 "$tree/$name.1" "$share/man/man1/$name.1"
gzip -9n "$share/man/man1/$name.1"
install -D -m 644 "$tree/completions/$name.bash" "$share/bash-completion/completions/$name"
install -D -m 644 "$tree/completions/_$name" "$share/zsh/vendor-completions/_$name"
install -D -m 644 "$tree/completions/$name.fish" "$share/fish/vendor_completions.d/$name.fish"
docs=$share/doc/$name
install -D -m 644 "$tree/CHANGELOG.md" "$docs/changelog"
gzip -9n "$docs/changelog"
{
  echo 'Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/'
  echo "Upstream-Name: $name"
  echo 'Comment: what it is linked from is in LICENSES-THIRD-PARTY.txt.gz'
  echo
  echo 'Files: *'
  echo "Copyright: The $name contributors"
  echo 'License: Apache-2.0-WITH-LLVM-exception'
  sed -e 's/^$/./' -e 's/^/ /' "$tree/LICENSE"
} >"$docs/copyright"
install -m 644 "$tree/LICENSES-THIRD-PARTY.txt" "$docs"
gzip -9n "$docs/LICENSES-THIRD-PARTY.txt"
mkdir "$package/DEBIAN"
cat >"$package/DEBIAN/control" <<CONTROL
Package: $name
Version: $version-1
Architecture: $deb_arch
Maintainer: The $name contributors <$name@invalid>
Installed-Size: $(du -ks "$package/usr" | cut -f 1)
Section: utils
Priority: optional
Description: runs wasi-threads programs on current Wasmtime (unofficial)
 Runs programs that were built for wasm32-wasip1-threads, with the command lines
 of Wasmtime 46 and earlier. Wasmtime 47 removed wasi-threads; this brings it
 back. It is not a project of the Bytecode Alliance.
CONTROL
find "$package" -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +
file=$OUT/${name}_${version}-1_${deb_arch}.deb
dpkg-deb --root-owner-group -Zxz --build "$package" "$file" >/dev/null
echo "dist: $file"
