#!/usr/bin/env python3
"""Whether Cargo.lock is behind: newer patches of its versions, and advisories on what it has.

    scripts/behind.py [--all] [--lock FILE] [--db FOLDER]

Says for Wasmtime's crates (with --all, for every crate) which newer version of the same line the registry has, which
`cargo update` would take; and for every crate which advisories of the RustSec database concern the version in the lock
file. The database is a clone of https://github.com/RustSec/advisory-db: the one at --db or $ADVISORY_DB, else the one
that cargo-deny or cargo-audit keeps below ~/.cargo.

Status: 0 if nothing was found, 1 if something was, 2 if one of the two questions could not be asked. What could not be
asked is said.
"""
import argparse, os, pathlib, re, subprocess, sys, tomllib

ROOT = pathlib.Path(__file__).resolve().parent.parent
OF_WASMTIME = re.compile(r'^(wasmtime|wiggle|wasi-common|cranelift|pulley|cap-|regalloc2|wasmparser|wasm-encoder)')

def locked(path):
    """Name and version of each package that comes from a registry."""
    with open(path, 'rb') as file:
        packages = tomllib.load(file)['package']
    return [(p['name'], p['version']) for p in packages if p.get('source', '').startswith('registry+')]

# Versions, as far as they are compared here: numbers, then what is before a release.
def parse(version):
    core, _, pre = version.split('+')[0].partition('-')
    numbers = [int(part) for part in core.split('.')]
    numbers += [0] * (3 - len(numbers))
    return (numbers, pre == '', pre)

def fits(version, requirement):
    """Whether a version is in a requirement such as '>= 1.2.3, < 2.0.0'.

    >>> [fits(v, '>= 46.0.2, < 47.0.0') for v in ('46.0.1', '46.0.2', '47.0.0')]
    [False, True, False]
    >>> [fits(v, '^0.3.4') for v in ('0.3.3', '0.3.5', '0.4.0')]
    [False, True, False]
    >>> [fits(v, '>= 1.0.0') for v in ('1.0.0-rc1', '1.0.0', '1.10.0')]
    [False, True, True]
    """
    have = parse(version)
    for part in filter(None, (part.strip() for part in requirement.split(','))):
        op, number = re.match(r'(>=|<=|>|<|=|\^|~)?\s*v?([0-9][^ ]*)$', part).groups()
        want = parse(number)
        if op in (None, '^'):
            first = next((at for at, n in enumerate(want[0]) if n), 2)
            if not (have >= want and have[0][:first + 1] == want[0][:first + 1]): return False
        elif op == '~':
            if not (have >= want and have[0][:2] == want[0][:2]): return False
        elif not {'>=': have >= want, '<=': have <= want, '>': have > want, '<': have < want, '=': have == want}[op]:
            return False
    return True

def newer(lock):
    """What `cargo update` would change, by name; None if the registry does not answer."""
    told = subprocess.run(['cargo', 'update', '--dry-run', '--manifest-path', str(lock.with_name('Cargo.toml'))],
                          capture_output=True, text=True)
    if told.returncode:
        print('behind: the registry does not answer:', told.stderr.strip().splitlines()[-1:], file=sys.stderr)
        return None
    return {name: (old, new) for name, old, new in
            re.findall(r'^\s*Updating (\S+) v(\S+) -> v(\S+)', told.stderr, re.M)}

class Database:
    """The files of a clone, with a work tree or without."""
    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.bare = not (self.folder / 'crates').is_dir()
    def git(self, *args):
        return subprocess.run(['git', '-C', str(self.folder), *args], capture_output=True, text=True, check=True).stdout
    def of(self, names):
        if self.bare:
            paths = self.git('ls-tree', '-r', '--name-only', 'HEAD', 'crates').splitlines()
            for path in paths:
                if path.endswith('.md') and path.split('/')[1] in names:
                    yield self.git('show', f'HEAD:{path}')
        else:
            for name in sorted(names):
                for path in sorted((self.folder / 'crates' / name).glob('*.md')):
                    yield path.read_text()
    def date(self):
        try: return self.git('log', '-1', '--format=%cs').strip()
        except (subprocess.CalledProcessError, OSError): return 'unknown'

def find_database(given):
    cargo = pathlib.Path(os.environ.get('CARGO_HOME', pathlib.Path.home() / '.cargo'))
    places = [given] if given else [*sorted(cargo.glob('advisory-dbs/*')), cargo / 'advisory-db']
    for place in places:
        if place and pathlib.Path(place).is_dir():
            database = Database(place)
            try:
                next(database.of({'wasmtime'}))
                return database
            except (StopIteration, subprocess.CalledProcessError, OSError):
                pass
    return None

def concerning(database, packages):
    """Advisories on these versions."""
    versions = {}
    for name, version in packages:
        versions.setdefault(name, set()).add(version)
    for text in database.of(set(versions)):
        head = re.match(r'```toml\n(.*?)\n```', text, re.S)
        advisory = tomllib.loads(head.group(1))
        about, of = advisory['advisory'], advisory.get('versions', {})
        if about.get('withdrawn') or about.get('collection') == 'rust':
            continue
        good = of.get('patched', []) + of.get('unaffected', [])
        title = re.search(r'^# (.*)$', text, re.M)
        for version in sorted(versions.get(about['package'], ())):
            if not any(fits(version, requirement) for requirement in good):
                kind = about.get('informational')
                yield about['id'], about['package'], version, title.group(1) if title else '', kind

def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument('--all', action='store_true')
    options.add_argument('--lock', type=pathlib.Path, default=ROOT / 'Cargo.lock')
    options.add_argument('--db', default=os.environ.get('ADVISORY_DB'))
    options = options.parse_args()
    packages = locked(options.lock)
    found = unasked = False

    updates = newer(options.lock)
    if updates is None:
        unasked = True
    else:
        behind = {n: v for n, v in updates.items() if options.all or OF_WASMTIME.match(n)}
        for name, (old, new) in sorted(behind.items()):
            print(f'behind: {name} {old}: the registry has {new}')
        found |= bool(behind)
        if not behind:
            which = 'every crate' if options.all else "each of Wasmtime's crates"
            print(f'newest: {which} is the newest of its line that the registry has ({dict(packages)["wasmtime"]})')

    database = find_database(options.db)
    if database is None:
        unasked = True
        print('advisories: not asked: there is no RustSec database here. Give a clone of it with --db, or install '
              'cargo-deny and run `cargo deny fetch`', file=sys.stderr)
    else:
        advisories = list(concerning(database, packages))
        for identifier, name, version, title, kind in advisories:
            print(f'advisory: {identifier}: {name} {version}: {title}' + (f' ({kind})' if kind else ''))
        # A crate that is no longer maintained has no known fault by that.
        found |= any(kind is None or kind == 'unsound' for *_, kind in advisories)
        print(f'advisories: {len(advisories)} on {len(packages)} crates, in a database of {database.date()}')
    sys.exit(1 if found else 2 if unasked else 0)

if __name__ == '__main__':
    main()
