#!/usr/bin/env python3
"""Whether one seed is one run: the programs of tests/replay, many runs of a seed each, beside a load.

    scripts/replay-same.py [OPTIONS] [PROGRAM...]

`--verify` makes two runs, in processes of their own, and compares the moves of the turn, the memory at the end, the output and the
status. This asks for many such pairs, and compares what each pair prints with all others: output, count of points, and hashes of
moves and memory. Then it saves some runs, and compares the files: all decisions, each with its thread, its point and its reason.

OURS=BINARY is the binary (target/release/wasi-threads-run unless set). `--print FILE` writes what was seen, and `--against FILE`
compares with what another binary, or another machine, has printed. Needs rustc's target wasm32-wasip1-threads and the registry,
or `--module`.
"""
import argparse, hashlib, json, os, subprocess, sys, tempfile, time

ROOT = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
TARGET = 'wasm32-wasip1-threads'
PROGRAMS = ['mutexes', 'condvars', 'channels', 'rayon', 'tokio', 'tokio_threads', 'database', 'files', 'timers', 'random', 'pool']


def build(out):
    target, manifest = os.path.join(out, 'programs'), os.path.join(ROOT, 'tests/replay/Cargo.toml')
    # Without it tokio refuses its multi-thread runtime for the target.
    flags = f'target.{TARGET}.rustflags=["--cfg", "tokio_unstable"]'
    subprocess.run(['cargo', 'build', '--quiet', '--locked', '--release', '-j2', '--manifest-path', manifest,
                    '--config', flags, '--target-dir', target, '--target', TARGET], check=True)
    return os.path.join(target, TARGET, 'release', 'same.wasm')


def run(command):
    done = subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL)
    return done.returncode, done.stdout, done.stderr.decode(errors='replace')


def hashed(data):
    return hashlib.sha256(data).hexdigest()[:16]


def pair(ours, module, program, schedule):
    """What a pair of runs says: status, output and the line that has the hashes."""
    with tempfile.TemporaryDirectory() as data:
        command = [ours, '--verify', '--schedule', schedule, '--dir', f'{data}::/data', module, program, '/data']
        status, stdout, stderr = run(command)
    return f'status {status}, {len(stdout)} bytes written ({hashed(stdout)}), {stderr.strip()[-300:]}'


def saved(ours, module, program, schedule):
    """What a saved run has decided."""
    with tempfile.TemporaryDirectory() as folder:
        data, save = os.path.join(folder, 'data'), os.path.join(folder, 'run.replay')
        os.mkdir(data)
        command = [ours, '--schedule', schedule, '--save', save, '--dir', f'{data}::/data', module, program, '/data']
        status, stdout, _ = run(command)
        with open(save, 'rb') as file:
            recorded = file.read()
    # A head and an end, which are about the machine's folders as well.
    decisions = recorded.splitlines()[1:-1]
    return f'status {status}, output {hashed(stdout)}, {len(decisions)} decisions {hashed(b"".join(decisions))}'


def count(seen, one):
    seen[one] = seen.get(one, 0) + 1


def main():
    parse = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parse.add_argument('programs', nargs='*', default=[])
    parse.add_argument('--pairs', type=int, default=500, help='pairs of runs of each program (500)')
    parse.add_argument('--saves', type=int, default=20, help='saved runs of each program (20)')
    parse.add_argument('--load', type=int, default=os.cpu_count() or 1, help='processes that compute meanwhile (one a processor)')
    parse.add_argument('--schedule', default='random:12')
    parse.add_argument('--print', dest='printed', metavar='FILE')
    parse.add_argument('--against', metavar='FILE')
    parse.add_argument('--module', help='this module instead of building it')
    parse.add_argument('--out', default=os.path.join(ROOT, 'target', 'replay'))
    args = parse.parse_args()
    ours = os.path.abspath(os.environ.get('OURS', os.path.join(ROOT, 'target/release/wasi-threads-run')))
    if not os.access(ours, os.X_OK):
        sys.exit(f'replay-same.py: no binary {ours}')
    module = args.module or build(args.out)
    load = [subprocess.Popen([sys.executable, '-c', 'while True: pass']) for _ in range(args.load)]
    bad, seen_of = [], {}
    try:
        print('| program | runs | outputs, traces, memories | saved | decisions | s |\n|---|---|---|---|---|---|')
        for program in args.programs or PROGRAMS:
            began, pairs, saves = time.monotonic(), {}, {}
            for _ in range(args.pairs):
                count(pairs, pair(ours, module, program, args.schedule))
            for _ in range(args.saves):
                count(saves, saved(ours, module, program, args.schedule))
            seen_of[program] = [sorted(pairs), sorted(saves)]
            word = lambda seen: 'identical' if len(seen) == 1 else f'{len(seen)} DIFFERENT' if seen else ''
            took = time.monotonic() - began
            print(f'| {program} | {2 * args.pairs} | {word(pairs)} | {args.saves} | {word(saves)} | {took:.0f} |', flush=True)
            same = all('two runs are the same: ' in text and text.startswith('status 0,') for text in pairs)
            if not same or len(pairs) > 1 or len(saves) > 1:
                bad.append(program)
    finally:
        for process in load:
            process.kill()
            process.wait()
    print()
    for program, (pairs, saves) in seen_of.items():
        for text in pairs + saves:
            print(f'{program}: {text}')
    if args.printed:
        with open(args.printed, 'w') as file:
            json.dump(seen_of, file, indent=1)
    if args.against:
        with open(args.against) as file:
            others = json.load(file)
        other = [program for program in seen_of if others.get(program) != seen_of[program]]
        print(f'other than in {args.against}: {", ".join(other) or "none"}')
        bad += other
    if bad:
        print(f'not the same: {", ".join(bad)}')
    sys.exit(bool(bad))


if __name__ == '__main__':
    main()
