#!/usr/bin/env python3
"""A runner for cargo: explores each test of a test program by itself, and tells them as the test harness would.

    CARGO_TARGET_WASM32_WASIP1_THREADS_RUNNER=scripts/explore-tests.py cargo test --target wasm32-wasip1-threads
    scripts/explore-tests.py --table FILE...

A whole test program under a schedule is one long run, and the first test that fails ends it. So each test is a search
of its own. A search that is not done in time is killed; then the next policy has its try. If none is done, one run by
`pct:2` says how many points the test has. `--table` prints results as Markdown, a row for each crate.

OURS=BINARY     the binary (target/release/wasi-threads-run unless set)
EXPLORE=N       how many seeds (100)
POLICIES=LIST   which policies, one after the other ("pos pct:3")
EARLY=TIME      `--schedule-early`: by how much timeouts may come early (any time)
LIMIT=SECONDS   of processor time for each search, however busy the machine is; then it is killed (60)
RESULTS=FILE    where a line of JSON for each test is added
"""
import json, os, re, signal, subprocess, sys, tempfile

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..')
OURS = os.path.abspath(os.environ.get('OURS', os.path.join(ROOT, 'target/release/wasi-threads-run')))
EXPLORE = os.environ.get('EXPLORE', '100')
POLICIES = os.environ.get('POLICIES', 'pos pct:3').split()
LIMIT = float(os.environ.get('LIMIT', '60'))
EARLY = os.environ.get('EARLY')
BASE = [OURS, 'run', '--dir', '.::.::ro', '--env', 'RUST_MIN_STACK=262144', '--env', 'RUST_TEST_THREADS=1']


def processor_time(group):
    """Seconds of all processes of a group, those that they have waited for included."""
    ticks = 0
    for process in filter(str.isdigit, os.listdir('/proc')):
        try:
            with open(f'/proc/{process}/stat') as file:
                fields = file.read().rpartition(')')[2].split()
        except OSError:
            continue
        if int(fields[2]) == group:
            ticks += sum(map(int, fields[11:15]))
    return ticks / os.sysconf('SC_CLK_TCK')


def run(command):
    """Status (None: it was killed), output, and seconds of processor time."""
    with tempfile.TemporaryFile('w+', errors='replace') as output:
        # A group of its own: the search has processes that are to go with it.
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True)
        status, took, before = None, 0, os.times()
        # A run that passes no point is ended by the search itself.
        while status is None and took < LIMIT:
            try:
                status = process.wait(timeout=0.2)
            except subprocess.TimeoutExpired:
                took = processor_time(process.pid)
        if status is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        else:
            after = os.times()
            took = after.children_user + after.children_system - before.children_user - before.children_system
        output.seek(0)
        return status, output.read(), took


def what(status):
    if status is None:
        return 'not done'
    if status == 0:
        return 'ok'
    return {123: 'not reproducible', 124: 'a bound', 125: 'diverged'}.get(status, 'failed')


def points(module, name, save):
    """How many points one run passes, about; None if it is not done in time, or fails."""
    command = [*BASE, '--schedule', 'pct:2:0', '--save', save, module, '--exact', name]
    if run(command)[0] != 0:
        return None
    with open(save) as file:
        return json.loads(file.read().splitlines()[-1]).get('points')


def search(module, name):
    """What came of a search, as a record, and what it said."""
    save = os.path.join(os.path.dirname(module), re.sub(r'\W+', '_', name) + '.replay')
    early = [f'--schedule-early={EARLY}'] if EARLY else []
    for policy in POLICIES:
        explore = ['--explore', f'{EXPLORE},policy={policy}']
        status, said, took = run([*BASE, *explore, *early, '--save', save, module, '--exact', name])
        if status is not None:
            break
    record = dict(test=name, verdict=what(status), status=status, policy=policy, seconds=round(took, 1), explore=EXPLORE)
    if EARLY:
        record['early'] = EARLY
    if status is None:
        record['points'] = points(module, name, save)
    elif status != 0:
        # Whether the failure needs a timeout that comes before its time.
        record['deadline'] = bool(re.search(r'^  thread .* by its deadline$', said, re.M))
    return record, said


def named(record):
    words = record['verdict'] if record['policy'] == POLICIES[0] else f'{record["verdict"]} by {record["policy"]}'
    if record.get('points'):
        words += f', {record["points"]:,} points a run'
    return words + (', a timeout comes early' if record.get('deadline') else '')


def main():
    module, rest = sys.argv[1], sys.argv[2:]
    # What the runner is given, `--skip` among it, chooses tests as it does in the harness.
    status, said, _ = run([*BASE, module, *rest, '--list', '--format', 'terse'])
    if status != 0:
        print(said)
        sys.exit(f'explore-tests.py: the tests of {module} cannot be listed: status {status}')
    names = re.findall(r'^(.*): test$', said, re.M)
    ignored = run([*BASE, module, *rest, '--ignored', '--list', '--format', 'terse'])[1]
    ignored = set(re.findall(r'^(.*): test$', ignored, re.M))
    counts = {}
    for name in names:
        if name in ignored:
            print(f'test {name} ... ignored', flush=True)
            continue
        record, said = search(module, name)
        verdict = record['verdict']
        counts[verdict] = counts.get(verdict, 0) + 1
        outcome = 'ok' if verdict == 'ok' else 'FAILED'
        print(f'test {name} ... {outcome} ({named(record)}, {record["seconds"]} s)', flush=True)
        if verdict not in ('ok', 'not done'):
            print('\n'.join('    ' + line for line in said.splitlines()[-60:]), flush=True)
        if 'RESULTS' in os.environ:
            program = re.sub(r'-[0-9a-f]{16}\.wasm$', '', os.path.basename(module))
            # Cargo runs it in the package's folder.
            record = dict(crate=os.path.basename(os.getcwd()), program=program, **record)
            with open(os.environ['RESULTS'], 'a') as file:
                file.write(json.dumps(record) + '\n')
    passed = counts.pop('ok', 0)
    failed = sum(counts.values())
    print(f'test result: {"FAILED" if failed else "ok"}. {passed} passed; {failed} failed; {len(ignored)} ignored; {counts}')
    sys.exit(bool(failed))


def table(paths):
    """Of a test with several results the last counts."""
    last = {}
    for path in paths:
        with open(path) as file:
            for record in map(json.loads, file):
                last[record['crate'], record['program'], record['test']] = record
    crates = {}
    for record in last.values():
        crates.setdefault(record['crate'], []).append(record)
    print('| crate | tests | no failure | not done | failed | processor seconds |\n|---|---|---|---|---|---|')
    for crate, records in crates.items():
        of = lambda *verdicts: [record for record in records if record['verdict'] in verdicts]
        good, open_ = of('ok'), of('not done')
        bad = [record for record in records if record not in good and record not in open_]
        by = {}
        for record in good:
            by[record['policy']] = by.get(record['policy'], 0) + 1
        policies = ', '.join(f'{count} by `{policy}`' for policy, count in by.items())
        seconds = sum(record['seconds'] for record in records)
        print(f'| {crate} | {len(records)} | {policies} | {len(open_)} | {len(bad)} | {seconds:,.0f} |')
    for record in last.values():
        if record['verdict'] != 'ok':
            print(f'{record["crate"]} {record["program"]} {record["test"]}: {named(record)}')


if __name__ == '__main__':
    if sys.argv[1:2] == ['--table']:
        table(sys.argv[2:])
    else:
        main()
