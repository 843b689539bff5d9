#!/usr/bin/env python3
"""Makes an image of one layer, as an OCI archive: the static binary and the licences, nothing else.

usage: scripts/dist/oci.py TREE OUT VERSION ARCH SOURCE_DATE_EPOCH    (scripts/dist/all.sh does)

`podman load`, `skopeo copy oci-archive:FILE` and `umoci` read it. It says its name and its tag.
"""

import gzip
import hashlib
import io
import json
import pathlib
import sys
import tarfile
import time

NAME = "wasi-threads-run"


def add(archive, path, content, mode, when):
    entry = tarfile.TarInfo(path)
    entry.size, entry.mode, entry.mtime = len(content), mode, when
    archive.addfile(entry, io.BytesIO(content))


def main():
    tree, out, version, arch, epoch = sys.argv[1:]
    tree, when = pathlib.Path(tree), int(epoch)
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w", format=tarfile.GNU_FORMAT) as archive:
        # A file that the program writes somewhere needs a folder: what a scratch image has not.
        for folder, mode in (("licenses", 0o755), ("tmp", 0o1777)):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode, entry.mtime = tarfile.DIRTYPE, mode, when
            archive.addfile(entry)
        add(archive, NAME, (tree / NAME).read_bytes(), 0o755, when)
        for licence in ("LICENSE", "LICENSES-THIRD-PARTY.txt"):
            add(archive, f"licenses/{licence}", (tree / licence).read_bytes(), 0o644, when)
    plain = layer.getvalue()
    packed = gzip.compress(plain, 9, mtime=0)
    created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(when))
    labels = {
        "org.opencontainers.image.title": NAME,
        "org.opencontainers.image.version": version,
        "org.opencontainers.image.licenses": "Apache-2.0 WITH LLVM-exception",
        "org.opencontainers.image.description": "Runs wasi-threads programs on current Wasmtime (unofficial)",
    }

    blobs = {}

    def blob(content, media_type, **more):
        digest = hashlib.sha256(content).hexdigest()
        blobs[f"blobs/sha256/{digest}"] = content
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(content), **more}

    def document(value):
        return json.dumps(value, indent=1).encode()

    kind = "application/vnd.oci.image"
    config = blob(
        document({
            "created": created,
            "architecture": arch,
            "os": "linux",
            # Not the superuser: folders that it may use are mounted.
            "config": {"Entrypoint": [f"/{NAME}"], "User": "65532:65532", "WorkingDir": "/", "Labels": labels},
            "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(plain).hexdigest()]},
            "history": [{"created": created, "created_by": "scripts/dist/oci.py"}],
        }),
        f"{kind}.config.v1+json",
    )
    manifest = blob(
        document({
            "schemaVersion": 2,
            "mediaType": f"{kind}.manifest.v1+json",
            "config": config,
            "layers": [blob(packed, f"{kind}.layer.v1.tar+gzip")],
            "annotations": labels,
        }),
        f"{kind}.manifest.v1+json",
        annotations={"org.opencontainers.image.ref.name": version},
        platform={"architecture": arch, "os": "linux"},
    )
    index = document({"schemaVersion": 2, "mediaType": f"{kind}.index.v1+json", "manifests": [manifest]})
    file = pathlib.Path(out) / f"{NAME}-{version}-linux-{arch}.oci.tar"
    with tarfile.open(file, "w", format=tarfile.GNU_FORMAT) as archive:
        add(archive, "oci-layout", document({"imageLayoutVersion": "1.0.0"}), 0o644, when)
        add(archive, "index.json", index, 0o644, when)
        for path, content in sorted(blobs.items()):
            add(archive, path, content, 0o644, when)
    print(f"dist: {file}")


main()
