#!/usr/bin/env python3
"""A runner for cargo: explores each test of a test program by itself, and tells them as the test harness would.

    CARGO_TARGET_WASM32_WASIP1_THREADS_RUNNER=scripts/explore-tests.py cargo test --target wasm32-wasip1-threads

A whole test program under a schedule is one long run, and the first test that fails ends it. So each test is a search
of its own.

OURS=BINARY     the binary (target/release/wasi-threads-run unless set)
EXPLORE=N[,..]  what --explore gets (100)
LIMIT=SECONDS   for each test; then it is killed, and told as not done (120)
RESULTS=FILE    where a line of JSON for each test is added
"""
import json, os, re, signal, subprocess, sys, time

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..')
OURS = os.path.abspath(os.environ.get('OURS', os.path.join(ROOT, 'target/release/wasi-threads-run')))
EXPLORE = os.environ.get('EXPLORE', '100')
LIMIT = float(os.environ.get('LIMIT', '120'))


def run(command, limit):
    """Status (None: it was killed) and output."""
    # A group of its own: the search has processes that are to go with it.
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               text=True, errors='replace', start_new_session=True)
    try:
        said = process.communicate(timeout=limit)[0]
        return process.returncode, said
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        return None, process.communicate()[0]


def what(status, said):
    if status is None:
        return 'not done'
    if status == 0:
        return 'ok'
    return {123: 'not reproducible', 124: 'a bound', 125: 'diverged'}.get(status, 'failed')


def main():
    module, rest = sys.argv[1], sys.argv[2:]
    base = [OURS, 'run', '--dir', '.::.::ro', '--env', 'RUST_MIN_STACK=262144', '--env', 'RUST_TEST_THREADS=1']
    # What the runner is given, `--skip` among it, chooses tests as it does in the harness.
    status, said = run([*base, module, *rest, '--list', '--format', 'terse'], 60)
    if status != 0:
        print(said)
        sys.exit(f'explore-tests.py: the tests of {module} cannot be listed: status {status}')
    names = re.findall(r'^(.*): test$', said, re.M)
    ignored = run([*base, module, *rest, '--ignored', '--list', '--format', 'terse'], 60)[1]
    ignored = set(re.findall(r'^(.*): test$', ignored, re.M))
    counts = {}
    for name in names:
        if name in ignored:
            print(f'test {name} ... ignored', flush=True)
            continue
        save = os.path.join(os.path.dirname(module), re.sub(r'\W+', '_', name) + '.replay')
        began = time.monotonic()
        command = [*base, '--explore', EXPLORE, '--save', save, module, '--exact', name]
        status, said = run(command, LIMIT)
        took, verdict = time.monotonic() - began, what(status, said)
        counts[verdict] = counts.get(verdict, 0) + 1
        print(f'test {name} ... {"ok" if verdict == "ok" else "FAILED"} ({verdict}, {took:.1f} s)', flush=True)
        if verdict != 'ok':
            print('\n'.join('    ' + line for line in said.splitlines()[-60:]), flush=True)
        if 'RESULTS' in os.environ:
            program = re.sub(r'-[0-9a-f]{16}\.wasm$', '', os.path.basename(module))
            record = dict(program=program, test=name, verdict=verdict, status=status, seconds=round(took, 1), explore=EXPLORE)
            with open(os.environ['RESULTS'], 'a') as file:
                file.write(json.dumps(record) + '\n')
    passed = counts.pop('ok', 0)
    failed = sum(counts.values())
    print(f'test result: {"FAILED" if failed else "ok"}. {passed} passed; {failed} failed; {len(ignored)} ignored; {counts}')
    sys.exit(bool(failed))


if __name__ == '__main__':
    main()
