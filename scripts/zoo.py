#!/usr/bin/env python3
"""How soon a search finds the bugs of tests/zoo, as a Markdown table.

    scripts/zoo.py [OPTIONS] [BUG...]

Builds the programs (Rust, C, and releases of crates that had bugs), then for each bug, or for those named:

native    runs of the program, compiled for this host, until it fails: a wrong status, or still there after 3 s
parallel  runs by the binary without a schedule, until it fails
POLICY    schedules that `--explore` runs until it fails, median over several first seeds
twin      whether the mended program fails under as many schedules of each policy
replayed  how often the printed line gives the same failure again

Of native, parallel and twin `--native 0`, `--parallel 0`, `--twin 0` ask nothing. What is asked in several runs comes together
by `--results` and `--table`.

OURS=BINARY is the binary (target/release/wasi-threads-run unless set). Needs rustc's target wasm32-wasip1-threads,
clang-19, and the registry for the crates.
"""
import argparse, glob, json, os, re, shlex, statistics, subprocess, sys, time

ROOT = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
ZOO = os.path.join(ROOT, 'tests', 'zoo')
TARGET = 'wasm32-wasip1-threads'
POLICIES = ['random', 'pct:3', 'pos']
# Two plain accesses are what must be parted.
PLAIN = {'zoo_plain_counter', 'zoo_plain_publish', 'tokio_oneshot_close'}


class Bug:
    """A program: its commands, faulty and mended, for the host and as a module with arguments."""

    def __init__(self, name, source, native, module):
        self.name, self.source, self.native, self.module = name, source, native, module
        self.options = ['--preempt', 'accesses'] if name in PLAIN else []


def run(command, **more):
    done = subprocess.run(command, capture_output=True, text=True, errors='replace', stdin=subprocess.DEVNULL, **more)
    return done.returncode, done.stdout + done.stderr


def build(command, **more):
    status, said = run(command, **more)
    if status:
        sys.exit(f'zoo.py: {shlex.join(command)}:\n{said}')


def sources(folder, ending):
    return sorted(path for path in glob.glob(os.path.join(ZOO, folder, '*' + ending)) if not path.endswith('main.rs'))


def name_of(path):
    return os.path.splitext(os.path.basename(path))[0]


def rust(out, wanted):
    names = [path for path in sources('rust', '.rs') if wanted(name_of(path))]
    if not names:
        return
    main, module, native = os.path.join(ZOO, 'rust', 'main.rs'), os.path.join(out, 'zoo.wasm'), os.path.join(out, 'zoo')
    flags = ['rustc', '--edition', '2024', '-O', '-g', main]
    build(flags + ['--target', TARGET, '-o', module])
    build(flags + ['-o', native])
    for path in names:
        name = name_of(path)
        yield Bug(name, path, [native, name], [[module, name], [module, name, 'mended']])


def c(out, wanted):
    guests = os.path.join(ROOT, 'tests', 'guests')
    with open(os.path.join(guests, 'flags.txt')) as file:
        flags = file.read().split()
    for path in sources('c', '.c'):
        name = name_of(path)
        if wanted(name):
            module, native = os.path.join(out, name + '.wasm'), os.path.join(out, name)
            include = ['-I', os.path.join(guests, 'include')]
            build(['clang-19', *flags, *include, os.path.join(guests, 'include', 'start.S'), path, '-o', module])
            build(['clang-19', '-O2', '-g', '-D_GNU_SOURCE', '-pthread', path, '-o', native])
            yield Bug(name, path, [native], [[module], [module, 'mended']])


def real(out, wanted):
    names = [path for path in sources(os.path.join('real', 'src'), '.rs') if wanted(name_of(path))]
    names = [path for path in names if name_of(path) != 'checked']
    if not names:
        return
    target, modules = os.path.join(out, 'real'), []

    def cargo(kind, *more):
        manifest = os.path.join(ZOO, 'real', kind, 'Cargo.toml')
        command = ['cargo', 'build', '--quiet', '--locked', '--release', '-j2', '--manifest-path', manifest]
        build([*command, '--target-dir', target, *more])

    for kind in ['faulty', 'mended']:
        cargo(kind, '--target', TARGET)
        modules.append(os.path.join(target, TARGET, 'release', f'real-{kind}.wasm'))
    cargo('faulty')
    native = os.path.join(target, 'release', 'real-faulty')
    for path in names:
        yield Bug(name_of(path), path, [native, name_of(path)], [[module, name_of(path)] for module in modules])


def fails(command):
    """Whether one run fails. Waiting is counted in looks, so that a frozen machine is no failure."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for _ in range(300):
        try:
            return process.wait(timeout=0.01) != 0
        except subprocess.TimeoutExpired:
            pass
    process.kill()
    process.wait()
    return True


def runs_until(command, most):
    """At which run it fails, or None."""
    for number in range(1, most + 1):
        if fails(command):
            return number
    return None


class Found:
    def __init__(self, ran, before, after, minimal, line, text):
        self.ran, self.before, self.after, self.minimal, self.line, self.text = ran, before, after, minimal, line, text


def explore(ours, bug, command, policy, seed, most, out):
    """What a search finds: None if nothing, a text if it is no answer."""
    save = os.path.join(out, f'{bug.name}.{policy.replace(":", "-")}.{seed}.replay')
    options = ['--explore', f'{most},policy={policy},seed={seed}', '--save', save]
    status, said = run([ours, *options, *bug.options, *command])
    if status == 0 and 'none failed' in said:
        return None
    ran = re.search(r'^explored (\d+) schedules of', said, re.M)
    decisions = re.search(r'^decisions: (\d+), minimised to (\d+) in \d+ runs \((.*)\)', said, re.M)
    line = re.search(r'^replay: (.*)', said, re.M)
    if not (ran and decisions and line) or status in (123, 125):
        return f'status {status}: {said.strip().splitlines()[-1] if said.strip() else ""}'
    return Found(int(ran[1]), int(decisions[1]), int(decisions[2]), decisions[3].startswith('none'), line[1], said)


def same(ours, found, times):
    """How often the printed line ends in the failure that was found."""
    line = shlex.split(found.line)
    failure = re.search(r'^  seed \d+.*: status (\d+), (.*)', found.text, re.M)
    count, first = 0, None
    for _ in range(times):
        status, said = run([ours, *line[1:]])
        # Stacks are told with times of the host's.
        said = re.sub(r', since .*', '', said)
        first = first or said
        count += status == int(failure[1]) and said == first
    return count


def searches(ours, bug, policy, args, out):
    """Searches of the faulty program by a policy, one after the other, and of the mended one."""
    results, notes = [], []
    for at in range(args.seeds):
        found = explore(ours, bug, bug.module[0], policy, at * 1_000_000, args.explore, out)
        if isinstance(found, str):
            notes.append(f'{policy}, seed {at * 1_000_000}: {found}')
        else:
            results.append(found)
    first = results[0] if results else None
    record = {
        'most': args.explore,
        'ran': [found and found.ran for found in results],
        'first': first and first.ran - 1,
        'replayed': [same(ours, first, args.replays), args.replays] if first and args.replays else None,
        'twin': None,
    }
    if args.twin:
        found = explore(ours, bug, bug.module[1], policy, 0, args.twin, out)
        record['twin'] = [found is None, args.twin]
        if found is not None:
            text = found if isinstance(found, str) else found.text
            notes.append(f'the mended one fails by {policy}: {text}')
    return record, notes, [found for found in results if found]


def look(ours, bug, args, out):
    """What is found out about a bug: what goes into a file of results, notes, and the shortest report."""
    record, notes, found = {'bug': bug.name, 'policies': {}}, [], []
    for name, command, most in [('native', bug.native, args.native), ('parallel', [ours, *bug.module[0]], args.parallel)]:
        if most:
            record[name] = {'most': most, 'ran': [runs_until(command, most) for _ in range(args.repeat)]}
    for policy in args.policies:
        record['policies'][policy], more, these = searches(ours, bug, policy, args, out)
        notes += more
        found += these
    shortest = min(found, key=lambda one: one.after, default=None)
    if shortest:
        record['decisions'] = [shortest.before, shortest.after]
    return record, notes, shortest


def median(record):
    """Searches that found nothing count as more than all."""
    numbers, most = record['ran'], record['most']
    middle = statistics.median(most + 1 if number is None else number for number in numbers)
    missed = sum(number is None for number in numbers)
    text = f'> {most:,}' if middle > most else f'{middle:,.0f}'
    return middle, text + (f' ({missed} of {len(numbers)} found nothing)' if missed and middle <= most else '')


def merged(files):
    """Records of several files, by bug, in which each has asked for a part: of a policy the longest series of searches counts."""
    records = {}
    for path in files:
        with open(path) as file:
            for one in map(json.loads, file):
                known = records.setdefault(one['bug'], {'bug': one['bug'], 'policies': {}})
                known.update({name: one[name] for name in ['native', 'parallel'] if name in one})
                counts = [counts for counts in [known.get('decisions'), one.get('decisions')] if counts]
                known.update({'decisions': min(counts, key=lambda of: of[1])} if counts else {})
                for policy, searched in one['policies'].items():
                    asked = known['policies'].setdefault(policy, {'most': 0, 'ran': [], 'replayed': None, 'twin': None})
                    if len(searched['ran']) > len(asked['ran']):
                        asked.update({name: searched[name] for name in ['most', 'ran', 'first']})
                    asked.update({name: searched[name] for name in ['replayed', 'twin'] if searched[name]})
    return list(records.values())


def cells(record, policies):
    of = lambda name: median(record[name])[1] if name in record else ''
    row = [record['bug'], of('native'), of('parallel')]
    asked = [record['policies'].get(policy) for policy in policies]
    row += [median(one)[1] if one and one['ran'] else '' for one in asked]
    asked = [one for one in asked if one]
    row.append(' to '.join(str(count) for count in record['decisions']) if 'decisions' in record else '')
    sums = [sum(one['replayed'][at] for one in asked if one['replayed']) for at in range(2)]
    row.append(f'{sums[0]} of {sums[1]}' if sums[1] else '')
    twins = [one['twin'] for one in asked if one['twin']]
    runs = sum(twin[1] for twin in twins)
    row.append('' if not twins else f'none of {runs:,}' if all(twin[0] for twin in twins) else 'YES')
    return row


def print_row(row):
    print('| ' + ' | '.join(row) + ' |', flush=True)


def print_heads(policies):
    heads = ['bug', 'native', 'parallel', *policies, 'decisions', 'replayed', 'twin fails']
    print_row(heads)
    print('|' + '---|' * len(heads), flush=True)


def summary(records, policies):
    """How many bugs each policy finds within which number of schedules, by its median."""
    for policy in policies:
        of = [record['policies'][policy] for record in records if record['policies'].get(policy, {}).get('ran')]
        middles = [median(one)[0] for one in of]
        most = max((one['most'] for one in of), default=0)
        bounds = [bound for bound in [100, 1_000, 10_000] if bound <= most]
        within = [f'{sum(middle <= bound for middle in middles)} within {bound:,}' for bound in bounds]
        once = sum(any(one['ran']) for one in of)
        print(f'{policy}: of {len(of)} bugs, {", ".join(within)} (medians); {once} by some search of at most {most:,}')


def main():
    parse = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parse.add_argument('bugs', nargs='*', help='these bugs only')
    parse.add_argument('--seeds', type=int, default=20, help='searches of each policy, each with a first seed of its own (20)')
    parse.add_argument('--explore', type=int, default=10_000, help='most schedules of a search (10000)')
    parse.add_argument('--twin', type=int, default=10_000, help='schedules of each mended program and policy (10000; 0: none)')
    parse.add_argument('--native', type=int, default=1_000, help='most runs compiled for the host (1000; 0: none)')
    parse.add_argument('--parallel', type=int, default=200, help='most runs without a schedule (200; 0: none)')
    parse.add_argument('--repeat', type=int, default=3, help='how often the last two are repeated (3)')
    parse.add_argument('--replays', type=int, default=100, help='how often the first failure of each policy is replayed (100)')
    parse.add_argument('--policies', type=lambda text: text.split(',') if text else [], default=POLICIES)
    parse.add_argument('--kinds', type=lambda text: text.split(','), default=['rust', 'c', 'real'], help='rust,c,real')
    parse.add_argument('--short', action='store_true', help='one search of 1,000 each, twins of 200, 3 replays, no native runs')
    parse.add_argument('--out', default=os.path.join(ROOT, 'target', 'zoo'), help='where programs and replay files go')
    parse.add_argument('--show', action='store_true', help='print the shortest report of each as well')
    parse.add_argument('--results', metavar='FILE', help='append what is found out, a line of JSON for each bug')
    parse.add_argument('--table', metavar='FILE', nargs='+', help='run nothing: print the table of such files together')
    args = parse.parse_args()
    if args.table:
        records = merged(args.table)
        print_heads(args.policies)
        for record in records:
            print_row(cells(record, args.policies))
        print()
        summary(records, args.policies)
        return
    if args.short:
        args.seeds, args.explore, args.twin, args.native, args.parallel, args.replays = 1, 1_000, 200, 0, 0, 3
    ours = os.path.abspath(os.environ.get('OURS', os.path.join(ROOT, 'target/release/wasi-threads-run')))
    if not os.access(ours, os.X_OK):
        sys.exit(f'zoo.py: no binary {ours}')
    os.makedirs(args.out, exist_ok=True)
    wanted = lambda name: not args.bugs or name in args.bugs
    builders = {'rust': rust, 'c': c, 'real': real}
    print_heads(args.policies)
    missed, noted, records, began = [], [], [], time.monotonic()
    for bug in (bug for kind in args.kinds for bug in builders[kind](args.out, wanted)):
        record, notes, shortest = look(ours, bug, args, args.out)
        records.append(record)
        print_row(cells(record, args.policies))
        if args.results:
            with open(args.results, 'a') as file:
                file.write(json.dumps(record) + '\n')
        noted += [f'{bug.name}: {note}' for note in notes]
        if shortest is None and args.policies and args.seeds:
            missed.append(bug.name)
        elif args.show and shortest:
            print(shortest.text, flush=True)
    print(f'\n{len(records)} bugs in {time.monotonic() - began:.0f} s; found by no policy: {", ".join(missed) or "none"}')
    summary(records, args.policies)
    for note in noted:
        print(note)
    sys.exit(bool(missed or noted))


if __name__ == '__main__':
    main()
