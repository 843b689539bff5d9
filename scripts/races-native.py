#!/usr/bin/env python3
"""The programs with races of tests/guests/races.c, under --races and under a native ThreadSanitizer: a Markdown table.

    scripts/races-native.py [RUNS]

Of each case, and of its mended twin, says in how many of RUNS runs (20) a race was told: under --races with the seeds 0 to
RUNS - 1, with --races=parallel, and by the program built with `clang-19 -fsanitize=thread` for this host.

OURS=BINARY is the binary (target/release/wasi-threads-run unless set). Needs clang-19, lld-19 and libclang-rt-19-dev.
"""
import os, re, subprocess, sys, tempfile

ROOT = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
GUESTS = os.path.join(ROOT, 'tests', 'guests')
SOURCE = os.path.join(GUESTS, 'races.c')
OURS = os.environ.get('OURS', os.path.join(ROOT, 'target', 'release', 'wasi-threads-run'))
# What a case that reads from standard input finds there.
INPUT = b'what is read by the program'
PATIENCE = 120


def build(out):
    module, native = os.path.join(out, 'races.wasm'), os.path.join(out, 'races')
    include = os.path.join(GUESTS, 'include')
    with open(os.path.join(GUESTS, 'flags.txt')) as flags:
        flags = flags.read().split()
    for command in (
        ['clang-19', *flags, '-I', include, os.path.join(include, 'start.S'), SOURCE, '-o', module],
        ['clang-19', '-O1', '-g', '-fsanitize=thread', '-I', os.path.join(GUESTS, 'races', 'native'), '-I', GUESTS, SOURCE, '-o', native],
    ):
        subprocess.run(command, check=True)
    return module, native


def raced(command, **more):
    try:
        done = subprocess.run(command, input=INPUT, capture_output=True, timeout=PATIENCE, **more)
    except subprocess.TimeoutExpired:
        return None
    said = done.stderr.decode(errors='replace')
    # A sanitizer calls a race with a free a use after it.
    told = 'data race' in said or 'heap-use-after-free' in said
    # A race that is told as harmless leaves the status as it is.
    if done.returncode not in (0, 66) or told != (done.returncode == 66) and 'harmless' not in said:
        sys.exit(f'{command}: status {done.returncode}\n{said}')
    return told


def count(runs):
    runs = list(runs)
    text = str(sum(run is True for run in runs))
    unended = sum(run is None for run in runs)
    return f'{text} ({unended} did not end)' if unended else text


def main():
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    with open(SOURCE) as source:
        cases = re.findall(r'CASE\((\w+)\)', source.read().split('CASES[] =')[1])
    with tempfile.TemporaryDirectory() as out:
        module, native = build(out)
        # Where shadow memory must be, so addresses are not to be drawn.
        native = ['setarch', '-R', native]
        environment = dict(os.environ, TSAN_OPTIONS='exitcode=66:symbolize=0')
        print(f'| case, of {runs} runs | `--races`, racy / mended | `--races=parallel` | ThreadSanitizer, native |')
        print('|---|---|---|---|')
        for case in cases:
            cells = []
            for kind in ('seeds', 'parallel', 'native'):
                both = []
                for twin in ([], ['mended']):
                    ours = [OURS, '--races=no-stacks' if kind == 'seeds' else '--races=parallel']
                    commands = {
                        'seeds': lambda at: [*ours, '--schedule', f'random:{at}', module, case, *twin],
                        'parallel': lambda at: [*ours, module, case, *twin],
                        'native': lambda at: [*native, case, *twin],
                    }
                    env = environment if kind == 'native' else os.environ
                    both.append(count(raced(commands[kind](at), env=env) for at in range(runs)))
                cells.append(' / '.join(both))
            print(f'| `{case}` | {" | ".join(cells)} |', flush=True)


main()
