#!/usr/bin/env python3
"""Programs without a data race under --races: what is told of each, as a Markdown table.

    scripts/races-clean.py [--seeds N] [--crates] [--patience SECONDS] [MODULE...]

The programs are the mended ones of tests/zoo (Rust and C), those of benches/computing on two threads, and guests of tests/guests;
and each MODULE that is given, a program that needs no arguments, such as a crate's tests for wasm32-wasip1-threads. With --crates,
the tests of the crates that scripts/ecosystem.sh knows, too, which takes long. Each program runs under N seeds (3).

told        reports that nobody has called harmless
harmless    those that look like a sequence lock's
ended       runs that ended by themselves with the program's own status or 66

Fails if anything is told. OURS=BINARY is the binary (target/release/wasi-threads-run unless set). Needs rustc's target
wasm32-wasip1-threads, and clang-19.
"""
import argparse, glob, os, re, subprocess, sys, tempfile

ROOT = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
OURS = os.path.realpath(os.environ.get('OURS', os.path.join(ROOT, 'target', 'release', 'wasi-threads-run')))
TARGET = 'wasm32-wasip1-threads'
# The program's own status, where it is not 0.
STATUS = {'guest: threads.rs': 9}
COMPUTING = 'ray sort matrix deflate hash nbody json btree regex alloc calls'.split()


def build(command, **more):
    done = subprocess.run(command, capture_output=True, text=True, **more)
    if done.returncode:
        sys.exit(f'races-clean.py: {" ".join(command)}:\n{done.stderr}')


def rust(out, name, path):
    module = os.path.join(out, name + '.wasm')
    build(['rustc', '--edition', '2024', '-O', '-g', '--target', TARGET, path, '-o', module])
    return module


def c(out, path):
    guests = os.path.join(ROOT, 'tests', 'guests')
    include = os.path.join(guests, 'include')
    with open(os.path.join(guests, 'flags.txt')) as flags:
        flags = flags.read().split()
    module = os.path.join(out, os.path.basename(path)[:-2] + '.wasm')
    build(['clang-19', *flags, '-I', include, os.path.join(include, 'start.S'), path, '-o', module])
    return module


def programs(out):
    """Name, module, arguments."""
    zoo = os.path.join(ROOT, 'tests', 'zoo')
    module = rust(out, 'zoo', os.path.join(zoo, 'rust', 'main.rs'))
    for path in sorted(glob.glob(os.path.join(zoo, 'rust', '*.rs'))):
        name = os.path.basename(path)[:-3]
        if name != 'main':
            yield f'zoo: {name}', module, [name, 'mended']
    for path in sorted(glob.glob(os.path.join(zoo, 'c', '*.c'))):
        yield f'zoo: {os.path.basename(path)}', c(out, path), ['mended']
    guests = os.path.join(ROOT, 'tests', 'guests')
    yield 'guest: mutex_condvar.c', c(out, os.path.join(guests, 'mutex_condvar.c')), ['4', '3']
    for name in ('threads', 'meetings', 'kept_update'):
        yield f'guest: {name}.rs', rust(out, name, os.path.join(guests, 'rust', name + '.rs')), []
    folder = os.path.join(ROOT, 'benches', 'computing')
    target = os.path.join(out, 'computing')
    build(['cargo', 'build', '--release', '--locked', '--target', TARGET, '--target-dir', target], cwd=folder)
    module = os.path.join(target, TARGET, 'release', 'computing.wasm')
    for name in COMPUTING:
        yield f'computing: {name}', module, [name, '2', '2']


class Row:
    def __init__(self, status=0):
        self.own = status
        self.runs = self.ended = self.told = self.harmless = 0
        self.places = set()

    def add(self, status, said):
        self.runs += 1
        self.ended += status in (self.own, 66)
        for told in re.findall(r'^data races: (.*)', said, re.M):
            count = int(re.match(r'\d+', told)[0])
            harmless = re.search(r'(\d+) of them harmless', told)
            harmless = int(harmless[1]) if harmless else 0
            self.told += count - harmless
            self.harmless += harmless
        self.places.update(re.findall(r'^SUMMARY: data race (.*)', said, re.M))

    def text(self, name):
        places = '; '.join(sorted(self.places))
        return f'| {name} | {self.told} | {self.harmless} | {self.ended} of {self.runs} | {places} |'


def run(row, options, command, patience):
    try:
        done = subprocess.run([OURS, *options, *command], capture_output=True, stdin=subprocess.DEVNULL, timeout=patience)
        row.add(done.returncode, done.stderr.decode(errors='replace'))
    except subprocess.TimeoutExpired as ended:
        row.add(None, (ended.stderr or b'').decode(errors='replace'))


def crates(out, seed):
    """Of each crate, what its tests' runs said."""
    options = f'--races=no-stacks --schedule random:{seed}'
    environment = dict(os.environ, OURS=OURS, OPTIONS=options, ECOSYSTEM=out)
    subprocess.run([os.path.join(ROOT, 'scripts', 'ecosystem.sh')], env=environment, stdout=subprocess.DEVNULL)
    for path in sorted(glob.glob(os.path.join(out, 'logs', '*.log'))):
        with open(path, errors='replace') as log:
            yield f'crate: {os.path.basename(path)[:-4]}', log.read()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--seeds', type=int, default=3)
    parser.add_argument('--crates', action='store_true')
    parser.add_argument('--patience', type=float, default=600)
    parser.add_argument('--list', help='a list of races that are not told, beside the default one')
    parser.add_argument('--only-modules', action='store_true', help='nothing but the modules that are given')
    parser.add_argument('modules', nargs='*')
    typed = parser.parse_args()
    failed = False

    def show(name, row):
        nonlocal failed
        failed |= row.told > 0
        print(row.text(name), flush=True)

    print('| program | told | harmless | ended | where |')
    print('|---|---|---|---|---|')
    with tempfile.TemporaryDirectory() as out:
        given = [(os.path.basename(module), module, []) for module in typed.modules]
        own = [] if typed.only_modules else programs(out)
        for name, module, arguments in (*own, *given):
            row = Row(STATUS.get(name, 0))
            for seed in range(typed.seeds):
                races = '--races=no-stacks' + (f',suppress={typed.list}' if typed.list else '')
                options = [races, '--schedule', f'random:{seed}', '--env', 'RUST_MIN_STACK=262144']
                # Some write files.
                with tempfile.TemporaryDirectory() as folder:
                    run(row, [*options, '--dir', folder + '::.'], [module, *arguments], typed.patience)
            show(name, row)
        if typed.crates:
            for name, said in crates(os.path.join(out, 'crates'), 1):
                row = Row()
                row.add(0, said)
                show(name, row)
    sys.exit(failed)


main()
