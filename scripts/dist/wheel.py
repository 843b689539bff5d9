#!/usr/bin/env python3
"""Makes the wheel for PyPI: the static binary as a script, so that `pip install` puts it on the path.

usage: scripts/dist/wheel.py TREE OUT VERSION ARCH SOURCE_DATE_EPOCH    (scripts/dist/all.sh does)

The binary links nothing, so it runs with any C library: it has the tags of glibc (from 2.17 on) and musl (from 1.1 on).
"""

import base64
import hashlib
import pathlib
import sys
import time
import zipfile

NAME = "wasi_threads_run"
BINARY = "wasi-threads-run"


def main():
    tree, out, version, arch, epoch = sys.argv[1:]
    tree, when = pathlib.Path(tree), time.gmtime(max(int(epoch), 315532800))[:6]
    tags = [f"py3-none-{system}_{arch}" for system in ("manylinux_2_17", "manylinux2014", "musllinux_1_1")]
    info, data = f"{NAME}-{version}.dist-info", f"{NAME}-{version}.data"
    systems = ".".join(tag.removeprefix("py3-none-") for tag in tags)
    wheel = pathlib.Path(out) / f"{NAME}-{version}-py3-none-{systems}.whl"
    metadata = (
        "Metadata-Version: 2.4\n"
        f"Name: {BINARY}\n"
        f"Version: {version}\n"
        "Summary: Runs wasi-threads programs on current Wasmtime (unofficial)\n"
        "License-Expression: Apache-2.0 WITH LLVM-exception\n"
        "License-File: LICENSE\n"
        "License-File: LICENSES-THIRD-PARTY.txt\n"
        "Keywords: wasi,wasi-threads,threads,wasmtime,wasm\n"
        "Requires-Python: >=3.7\n"
        "Description-Content-Type: text/markdown\n\n" + (tree / "README.md").read_text()
    )
    files = [
        (f"{data}/scripts/{BINARY}", (tree / BINARY).read_bytes(), 0o755),
        (f"{data}/data/share/man/man1/{BINARY}.1", (tree / f"{BINARY}.1").read_bytes(), 0o644),
        (f"{info}/licenses/LICENSE", (tree / "LICENSE").read_bytes(), 0o644),
        (f"{info}/licenses/LICENSES-THIRD-PARTY.txt", (tree / "LICENSES-THIRD-PARTY.txt").read_bytes(), 0o644),
        (f"{info}/METADATA", metadata.encode(), 0o644),
        (
            f"{info}/WHEEL",
            ("Wheel-Version: 1.0\nGenerator: scripts/dist/wheel.py\nRoot-Is-Purelib: false\n"
             + "".join(f"Tag: {tag}\n" for tag in tags)).encode(),
            0o644,
        ),
    ]
    record = ""
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for path, content, mode in [*files, (f"{info}/RECORD", None, 0o644)]:
            if content is None:
                content = (record + f"{path},,\n").encode()
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
            record += f"{path},sha256={digest},{len(content)}\n"
            entry = zipfile.ZipInfo(path, when)
            entry.external_attr = (0o100000 | mode) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content)
    print(f"dist: {wheel}")


main()
