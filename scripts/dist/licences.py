#!/usr/bin/env python3
"""Prints the licences of everything that is linked into the binary, with their texts.

usage: scripts/dist/licences.py [TARGET] > LICENSES-THIRD-PARTY.txt

The packages are those that cargo links for TARGET; the texts are the files that they come with. Crates of one text are
listed together. A package without a file has the text of another of the same licence, and its authors are named with it.
Fails if a package has no text at all.
"""

import json
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = "wasi-threads-run"
# Names of files that have a licence's text, or what goes with it.
FILES = re.compile(r"(?i)^(licen[cs]e|copying|copyright|notice|unlicense)([-._].*)?$")
# A package's own file that says no more than the standard text may be missing: which other crate
# has it.
STANDARD = {
    "MIT": re.compile(r"(?i)mit"),
    "Apache-2.0": re.compile(r"(?i)apache"),
    "Apache-2.0 WITH LLVM-exception": re.compile(r"(?i)(apache|^license$)"),
    "BSD-2-Clause": re.compile(r"(?i)^license"),
    "BSD-3-Clause": re.compile(r"(?i)^license"),
    "Zlib": re.compile(r"(?i)zlib"),
    "CDDL-1.0": re.compile(r"(?i)cddl|^license"),
}

# What comes with the compiler and is linked as well.
WITH_THE_COMPILER = [
    ("Rust's standard library", "MIT OR Apache-2.0", "The Rust Project contributors"),
    ("musl", "MIT", "Rich Felker and others"),
]


def cargo(*arguments):
    run = ["cargo", *arguments]
    return subprocess.run(run, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout


def linked(target):
    """Names and versions of what is linked, without what only builds it."""
    tree = cargo("tree", "--locked", "--package", BINARY, "--edges", "normal,no-proc-macro", "--target", target,
                 "--prefix", "none", "--format", "{p}")
    packages = set()
    for line in tree.splitlines():
        name, version, *_ = line.split()
        packages.add((name, version.removeprefix("v")))
    return packages


def texts(folder):
    """The licence files of a package, those of C sources in it among them: name and text."""
    found = []
    for path in sorted(folder.rglob("*")):
        below = path.relative_to(folder).parts
        is_licence = FILES.match(path.name) or (len(below) > 1 and FILES.match(below[-2]))
        if len(below) <= 3 and is_licence and path.is_file() and path.suffix not in (".rs", ".c", ".h"):
            found.append(path)
    read = [(path.name, path.read_text(errors="replace").strip()) for path in found]
    # Where it is to be had under another one too, that is the one.
    return [(name, text) for name, text in read if not text.lstrip().upper().startswith("GNU GENERAL PUBLIC")]


def main():
    target = sys.argv[1] if len(sys.argv) > 1 else "x86_64-unknown-linux-musl"
    wanted = linked(target)
    metadata = json.loads(cargo("metadata", "--locked", "--format-version", "1", "--filter-platform", target))
    packages = [p for p in metadata["packages"] if (p["name"], p["version"]) in wanted]
    own = {p["id"] for p in packages if p["source"] is None}
    others = sorted((p for p in packages if p["id"] not in own), key=lambda p: (p["name"], p["version"]))

    by_text, standard, without = {}, {}, []
    for package in others:
        found = texts(pathlib.Path(package["manifest_path"]).parent)
        label = f'{package["name"]} {package["version"]} ({package["license"] or "see its text"})'
        for name, text in found:
            by_text.setdefault(text, []).append(label)
            for licence, pattern in STANDARD.items():
                if licence in (package["license"] or "") and pattern.search(name):
                    standard.setdefault(licence, text)
        if not found:
            without.append((package, label))
    for package, label in without:
        licence = next((one for one in STANDARD if one in (package["license"] or "") and one in standard), None)
        if licence is None:
            sys.exit(f"licences: no text for {label}")
        authors = ", ".join(package["authors"]) or "its contributors"
        by_text.setdefault(standard[licence], []).append(f"{label}, by {authors}; without a file of its own")

    for name, licence, authors in WITH_THE_COMPILER:
        if name != "musl" or target.endswith("musl"):
            by_text.setdefault(standard["MIT"], []).append(f"{name} ({licence}), by {authors}")

    print(f"{BINARY} is made of {len(others)} packages of others, for {target}.")
    print("The sources of each are at https://crates.io/crates/NAME. Their licences:\n")
    for text, labels in sorted(by_text.items(), key=lambda item: item[1][0]):
        print("=" * 80)
        for label in sorted(set(labels)):
            print(label)
        print("-" * 80)
        print(text)
        print()


main()
