#!/usr/bin/env python3
"""How a program ends: figures, and what must never happen.

    scripts/end.py BINARY [speed|starts|quit|hostile|many] [--load] [--rounds N] [--threads N,N,...]

speed    spinning guests, ended by proc_exit, trap, timeout and SIGTERM; medians and worst
starts   a start function that spawns two and spins, with a time limit
quit     SIGQUIT again and again at threads that compute, read, wait and sleep: text, C and Rust, debug, release, compiled
hostile  all signals blocked, seccomp filters, full pipes, a preloaded module
many     each end many times: statuses, lines, torn files, leftover processes

With --load two busy processes run beside it. Linux only.
"""
import argparse, ctypes, json, os, re, select, signal, statistics, struct, subprocess, sys, tempfile, time

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..')

MORE = '''
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
'''
WASI = '''
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "sched_yield" (func $yield (result i32)))
  (import "wasi" "thread-spawn" (func $spawn (param i32) (result i32)))
  (import "env" "memory" (memory 64 1024 shared))
  (export "memory" (memory 0))
  (data (i32.const 512) "now\\n")
  (func $say (i32.store (i32.const 0) (i32.const 512)) (i32.store (i32.const 4) (i32.const 4))
    (drop (call $write (i32.const 2) (i32.const 0) (i32.const 1) (i32.const 12))))
'''

def spinners(threads, last, mixed):
    """Threads that are released together from a wait, and compute; `mixed`: half of them fill, grow or call the host."""
    other = '''
      (block $out (block $grow (block $fill (br_table $fill $grow $out (i32.rem_u (local.get 0) (i32.const 6))))
        (loop $l (memory.fill (i32.const 1048576) (local.get 0) (i32.const 1048576)) (br $l)))
        (loop $l (drop (memory.grow (i32.const 0))) (br $l)))
      (if (i32.eq (i32.rem_u (local.get 0) (i32.const 6)) (i32.const 2))
        (then (loop $l (drop (call $yield)) (br $l))))''' if mixed else ''
    return f'''(module {WASI}
      (func (export "wasi_thread_start") (param i32 i32)
        (drop (i32.atomic.rmw.add (i32.const 68) (i32.const 1)))
        (drop (memory.atomic.wait32 (i32.const 64) (i32.const 0) (i64.const -1)))
        {other}
        (loop $l (i64.store (i32.const 2048) (i64.const 1)) (br $l)))
      (func (export "_start") (local $i i32)
        (loop $l (drop (call $spawn (i32.const 0)))
          (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const {threads}))))
        (loop $w (br_if $w (i32.lt_u (i32.atomic.load (i32.const 68)) (i32.const {threads}))))
        (i32.atomic.store (i32.const 64) (i32.const 1))
        (drop (memory.atomic.notify (i32.const 64) (i32.const -1)))
        (call $say) {last}))'''

def guest(folder, name, text):
    path = os.path.join(folder, name + '.wat')
    with open(path, 'w') as file:
        file.write(text)
    return path

def ended(binary, args, path, status, send=None, preexec=None, arguments=()):
    """Milliseconds from what the guest says (or from the signal) to the reaped process."""
    process = subprocess.Popen([binary, *args, path, *arguments], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL,
                               stdin=subprocess.DEVNULL, preexec_fn=preexec)
    line = process.stderr.readline()
    if '--timeout' in args and line.startswith(b'error: '):
        # Beside a load the limit may pass before the guest says so: there is no figure then.
        said = line + process.stderr.read()
        code = process.wait()
        assert code == status, (args, code, said[-2000:])
        return None, said
    assert line == b'now\n', (args, line, process.stderr.read())
    if send is not None:
        time.sleep(0.1)
        process.send_signal(send)
    began = time.monotonic()
    said = process.stderr.read()
    code = process.wait()
    took = (time.monotonic() - began) * 1e3
    assert code == status, (args, code, said[-2000:])
    return took, said

def figures(times):
    if not times:
        return 'no figures'
    return f'median {statistics.median(times):8.1f} ms, worst {max(times):8.1f} ms'

def extras(folder, options):
    """What `speed` runs each end with: how it is called, and the options."""
    yield '', []
    if options.epochs:
        yield '-W epoch-interruption', ['-W', 'epoch-interruption']
    if options.outputs:
        yield '--trace --stats', ['--trace', os.path.join(folder, 'trace.json'), '--stats']
        yield '-D coredump', ['-D', f'coredump={os.path.join(folder, "core")}']

def debug_information(binary, folder, options):
    """Threads of C that spin, and main traps: files and lines are looked up."""
    for name, _, path, _ in known_stacks(binary, folder):
        if name != 'C, release':
            continue
        for threads in options.threads:
            times = [ended(binary, [], path, 134, arguments=['spin', str(threads)])[0] for _ in range(options.rounds)]
            print(f'{threads:5} threads, trap with debug information {figures(times)}', flush=True)

def speed(binary, folder, options):
    if options.outputs:
        debug_information(binary, folder, options)
    for mixed in (False, True):
        for threads in options.threads:
            for name, last, status, args, send in (
                    ('proc_exit', '(call $exit (i32.const 7))', 7, [], None),
                    ('trap', '(unreachable)', 134, [], None),
                    ('SIGTERM', '(loop $x (br $x))', 143, [], signal.SIGTERM)):
                path = guest(folder, f'{name}{threads}{mixed}', spinners(threads, last, mixed))
                for shown, extra in extras(folder, options):
                    times = [ended(binary, [*args, *extra], path, status, send)[0] for _ in range(options.rounds)]
                    print(f'{threads:5} threads{", half in the host" if mixed else "":19} {name:9} {shown:28} '
                          f'{figures(times)}', flush=True)
            path = guest(folder, f'timeout{threads}{mixed}', spinners(threads, '(loop $x (br $x))', mixed))
            # From the moment of the time limit, which begins a moment before the guest does.
            limit = 2000 + 4 * threads
            times = []
            for _ in range(options.rounds):
                began = time.monotonic()
                ended(binary, ['--timeout', f'{limit}ms'], path, 134)
                times.append((time.monotonic() - began) * 1e3 - limit)
            print(f'{threads:5} threads{", half in the host" if mixed else "":19} timeout, start included{"":12} '
                  f'{figures(times)}', flush=True)

def starts(binary, folder, options):
    text = f'''(module {WASI}
      (func $begin (drop (call $spawn (i32.const 0))) (drop (call $spawn (i32.const 0))) (loop $l (br $l)))
      (start $begin)
      (func (export "wasi_thread_start") (param i32 i32))
      (func (export "_start")))'''
    path = guest(folder, 'starts', text)
    times, claims, late, begun = [], [], 0, []
    for _ in range(options.rounds):
        began = time.monotonic()
        done = subprocess.run([binary, '--timeout', '2s', path], capture_output=True, timeout=120)
        times.append((time.monotonic() - began) * 1e3)
        assert done.returncode == 134, done
        assert b'timed out after 2s' in done.stderr, done.stderr[:500]
        # A second run tells when each thread began and when the end was told. The claim is before
        # that, and after the limit.
        trace = os.path.join(folder, 'trace.json')
        done = subprocess.run([binary, '--timeout', '2s', '--trace', trace, path], capture_output=True, timeout=120)
        assert done.returncode == 134, done
        with open(trace) as file:
            events = json.load(file)['traceEvents']
        told, = [event['ts'] for event in events if event.get('cat') == 'end']
        starts = [event['ts'] for event in events if event.get('cat') == 'thread']
        claims.append(told / 1e3 - 2000)
        late += sum(start > told for start in starts)
        begun.append(len(starts))
    print(f'a start function that spawns two and spins, --timeout 2s, {options.rounds} runs: process gone {figures(times)}\n'
          f'with --trace: end told after the limit {figures(claims)}; {min(begun)} to {max(begun)} threads began, '
          f'{late} of them after the end was told')

def report(stream):
    """The lines of one report: it is over when nothing comes for half a second."""
    text = b''
    while select.select([stream], [], [], 0.5 if text else 60)[0]:
        text += os.read(stream.fileno(), 1 << 16)
    assert text.startswith(b'13 threads'), text[:200]
    return text.decode().splitlines()

def known_stacks(binary, folder):
    """The guests of `quit`: name, options, path, and whether what is not the program's own is between its frames."""
    text = f'''(module {MORE} {WASI}
      (func $compute (loop $l (call $leaf) (br $l)))
      (func $leaf (i64.store (i32.const 2048) (i64.const 1)))
      (func $reading (i32.store (i32.const 1024) (i32.const 4096)) (i32.store (i32.const 1028) (i32.const 1))
        (drop (call $read (i32.const 0) (i32.const 1024) (i32.const 1) (i32.const 1032))))
      (func $waiting (drop (memory.atomic.wait32 (i32.const 100) (i32.const 0) (i64.const -1))))
      (func $sleeping (i32.store (i32.const 1112) (i32.const 1)) (i64.store (i32.const 1120) (i64.const 600000000000))
        (drop (call $poll (i32.const 1096) (i32.const 1200) (i32.const 1) (i32.const 1300))))
      (func $deep (param $n i32) (param $what i32)
        (if (local.get $n) (then (call $deep (i32.sub (local.get $n) (i32.const 1)) (local.get $what)) (return)))
        (if (i32.eq (local.get $what) (i32.const 0)) (then (call $compute)))
        (if (i32.eq (local.get $what) (i32.const 1)) (then (call $reading)))
        (if (i32.eq (local.get $what) (i32.const 2)) (then (call $waiting)))
        (if (i32.eq (local.get $what) (i32.const 3)) (then (call $sleeping))))
      (func (export "wasi_thread_start") (param i32) (param $what i32)
        (call $deep (i32.const 4) (local.get $what)))
      (func (export "_start") (local $i i32)
        (loop $l (drop (call $spawn (i32.and (local.get $i) (i32.const 3))))
          (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 12))))
        (call $say) (call $waiting)))'''
    yield 'text', [], guest(folder, 'quit', text), False
    guests = os.path.join(ROOT, 'tests/guests')
    with open(os.path.join(guests, 'flags.txt')) as file:
        # Room for the stacks of 5,000 threads.
        flags = file.read().replace('--max-memory=67108864', '--max-memory=536870912').split()
    include = os.path.join(guests, 'include')
    for name, level in (('C, debug', '-O0'), ('C, release', '-O2')):
        out = os.path.join(folder, f'c{level}.wasm')
        subprocess.run(['clang-19', *flags, level, f'-I{include}', os.path.join(include, 'start.S'),
                        os.path.join(guests, 'stacks.c'), '-o', out], check=True)
        yield name, [], out, True
    for name, level in (('Rust, debug', []), ('Rust, release', ['-O'])):
        out = os.path.join(folder, f'rust{len(level)}.wasm')
        subprocess.run(['rustc', '--edition=2024', '--target=wasm32-wasip1-threads', '-g', *level,
                        os.path.join(guests, 'rust/stacks.rs'), '-o', out], check=True)
        yield name, [], out, True
        compiled = out[:-4] + 'cwasm'
        subprocess.run([binary, 'compile', '-o', compiled, out], check=True)
        yield f'{name}, compiled ahead', ['--allow-precompiled'], compiled, True

# With its place, or none where the address map has none; what was inlined has no number of its own.
FRAME = re.compile(r'\s+\d+:\s+(?:0x[0-9a-f]+ - )?(?:\S*!)?(.*)|\s+- (.*)')

def quit_(binary, folder, options):
    for name, extra, path, others in known_stacks(binary, folder):
        stacks = silent = wrong = 0
        process = subprocess.Popen([binary, *extra, '--deadlock', 'off', path], stderr=subprocess.PIPE,
                                   stdin=subprocess.PIPE)
        try:
            assert process.stderr.readline() == b'now\n'
            time.sleep(1)
            for _ in range(options.rounds):
                process.send_signal(signal.SIGQUIT)
                blocks = []
                for line in report(process.stderr):
                    if line.startswith('thread '):
                        blocks.append([])
                    elif (frame := FRAME.match(line)) and blocks:
                        function = (frame[1] or frame[2]).strip().removeprefix('stacks::')
                        blocks[-1].append(re.sub('::h[0-9a-f]{16}$', '', function))
                assert len(blocks) == 13, blocks
                for number, frames in enumerate(blocks[1:]):
                    stacks += 1
                    # It had no turn in time to say where it is.
                    silent += not frames
                    if frames and not as_known(frames, number & 3, others):
                        wrong += 1
                        print('another stack:', number + 1, frames[:12])
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=60) == 143
        finally:
            process.kill()
        print(f'{name}: {options.rounds} times SIGQUIT: {stacks} stacks, {wrong} of them wrong, '
              f'{silent} not said in time', flush=True)

def as_known(frames, what, others):
    """Whether these are the frames of a thread that does `what`."""
    inner = ('compute', 'reading', 'waiting', 'sleeping')[what]
    if not others:
        frames = frames[1:] if frames[:1] == ['leaf'] else frames
        return frames == [inner] + ['deep'] * 5 + frames[6:7] and len(frames) == 7
    if inner not in frames:
        return False
    at = frames.index(inner)
    own = ('compute', 'reading', 'waiting', 'sleeping', 'deep', 'leaf', 'main', 'guest_main')
    before = [frame for frame in frames[:at] if frame in own]
    after = frames[at + 1:]
    return (before in ([], ['leaf']) and (what == 0 or not before) and after[:5] == ['deep'] * 5
            and not any(frame in own for frame in after[5:]) and len(after) > 5)

def seccomp(*refused):
    """A filter that refuses system calls: (number, {argument's index: value}...), with EPERM."""
    def install():
        libc = ctypes.CDLL(None, use_errno=True)
        code = []
        ins = lambda c, jt, jf, k: code.append(struct.pack('HBBI', c, jt, jf, k))
        for number, arguments in refused:
            ins(0x20, 0, 0, 0)
            left = 2 * len(arguments)
            ins(0x15, 0, left + 1, number)
            for index, value in arguments.items():
                left -= 2
                ins(0x20, 0, 0, 16 + 8 * index)
                ins(0x15, 0, left + 1, value)
            ins(0x06, 0, 0, 0x00050001)
        ins(0x06, 0, 0, 0x7fff0000)
        program = b''.join(code)
        buffer = ctypes.create_string_buffer(program, len(program))
        class Prog(ctypes.Structure):
            _fields_ = [('len', ctypes.c_ushort), ('filter', ctypes.c_void_p)]
        prog = Prog(len(code), ctypes.cast(buffer, ctypes.c_void_p))
        assert libc.prctl(38, 1, 0, 0, 0) == 0
        assert libc.prctl(22, 2, ctypes.byref(prog), 0, 0) == 0, ctypes.get_errno()
    return install

def text_pages(path):
    """The bytes of the pages that a compiled file's code is on."""
    with open(path, 'rb') as file:
        elf = file.read()
    at, = struct.unpack_from('<Q', elf, 0x28)
    size, count, names = struct.unpack_from('<HHH', elf, 0x3a)
    section = lambda index: struct.unpack_from('<IIQQQQ', elf, at + size * index)
    strings = section(names)[4]
    for index in range(count):
        name, _, _, _, _, length = section(index)
        if elf[strings + name:].split(b'\0', 1)[0] == b'.text':
            return -(-length // 4096) * 4096
    raise AssertionError('no text')

def blocked():
    signal.pthread_sigmask(signal.SIG_BLOCK, set(range(1, 64)) - {9, 19, 32, 33})

def hostile(binary, folder, options):
    exits = guest(folder, 'exits', spinners(20, '(call $exit (i32.const 7))', True))
    spins = guest(folder, 'spins', spinners(20, '(loop $x (br $x))', True))
    bounds = guest(folder, 'bounds', spinners(20, '(drop (i32.load (i32.const -4)))', True))
    membarrier, mprotect = {'x86_64': (324, 10), 'aarch64': (283, 226)}[os.uname().machine]
    for name, preexec in (('all signals blocked', blocked),
                          ('membarrier refused', seccomp((membarrier, {}))),
                          ):
        for _ in range(options.rounds):
            ended(binary, [], exits, 7, preexec=preexec)
            ended(binary, [], bounds, 134, preexec=preexec)
            ended(binary, [], spins, 143, signal.SIGTERM, preexec=preexec)
            ended(binary, ['--timeout', '1s'], spins, 134, preexec=preexec)
        print(f'{name}: each ended as it should, {options.rounds} times')
    # Loading makes other parts of the process readable. The end takes execute permission from the
    # text, which is longer than any of these parts.
    filler = ''.join(f'(func (param i64) (result i64) (i64.add (local.get 0) (i64.const {n})))' for n in range(12000))
    long = lambda text: text[:-1] + filler + ')'
    mremap = {'x86_64': 25, 'aarch64': 216}[os.uname().machine]
    quiet = guest(folder, 'quiet', spinners(6, '(call $exit (i32.const 7))', False))
    for path, also, name in ((exits, (), 'mprotect of the text'), (spins, (), 'mprotect of the text'),
                             (quiet, ((mremap, {}),), 'mprotect of the text and mremap')):
        out = path[:-4] + '.cwasm'
        with open(path) as file:
            text = file.read()
        with open(path[:-4] + 'long.wat', 'w') as file:
            file.write(long(text))
        subprocess.run([binary, 'compile', '-o', out, file.name], check=True, stderr=subprocess.DEVNULL)
        preexec = seccomp((mprotect, {1: text_pages(out), 2: 1}), *also)
        ended_by = (143, signal.SIGTERM) if path == spins else (7, None)
        times = [ended(binary, ['--allow-precompiled'], out, *ended_by, preexec=preexec)[0] for _ in range(options.rounds)]
        print(f'{name} refused: ended as it should, {options.rounds} times, {figures(times)}')
    libraries = guest(folder, 'library', '(module (func (export "turn") (loop $l (br $l))))')
    text = spinners(20, '(call $exit (i32.const 7))', False).replace(
        '(import "env"', '(import "lib" "turn" (func $turn))\n  (import "env"', 1).replace(
        '(loop $l (i64.store (i32.const 2048) (i64.const 1)) (br $l))', '(call $turn)')
    preloads = guest(folder, 'preloads', text)
    for _ in range(options.rounds):
        ended(binary, ['--preload', f'lib={libraries}'], preloads, 7)
    print(f'threads in a preloaded module: ended as it should, {options.rounds} times')
    # Full pipes: the message about the time limit blocks, and so does everything after it. The
    # second signal ends that.
    text = f'''(module {WASI} (func (export "wasi_thread_start") (param i32 i32))
      (func (export "_start") (call $say)
        (loop $l (i32.store (i32.const 0) (i32.const 512)) (i32.store (i32.const 4) (i32.const 65536))
          (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 12)))
          (br $l))))'''
    fills = guest(folder, 'fills', text)
    for _ in range(options.rounds):
        out, into = os.pipe()
        process = subprocess.Popen([binary, '--timeout', '500ms', fills], stdout=into, stderr=into)
        os.close(into)
        time.sleep(1.2)
        assert process.poll() is None, 'it does not block'
        process.send_signal(signal.SIGTERM)
        time.sleep(0.2)
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        code = process.wait(timeout=20)
        assert code == 143, code
        os.close(out)
    print(f'stdout and stderr are full: the second signal ended it, {options.rounds} times '
          f'(last in {(time.monotonic() - began) * 1e3:.1f} ms)')

def torn(binary, folder, options):
    """Two threads append records of 4 MB, one call each, and the program exits meanwhile: no record is in pieces."""
    size = 4 << 20
    text = f'''(module
      (import "wasi_snapshot_preview1" "path_open"
        (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
      {WASI}
      (data (i32.const 768) "out")
      (func $fill (param $at i32) (param $byte i32) (memory.fill (local.get $at) (local.get $byte) (i32.const {size})))
      (func (export "wasi_thread_start") (param $id i32) (param $which i32) (local $at i32) (local $vec i32)
        (local.set $at (i32.add (i32.const 4194304) (i32.mul (local.get $which) (i32.const {size}))))
        (local.set $vec (i32.add (i32.const 1024) (i32.mul (local.get $which) (i32.const 16))))
        (i32.store (local.get $vec) (local.get $at))
        (i32.store offset=4 (local.get $vec) (i32.const {size}))
        (loop $l (drop (call $write (i32.load (i32.const 900)) (local.get $vec) (i32.const 1)
          (i32.add (local.get $vec) (i32.const 8)))) (br $l)))
      (func (export "_start")
        (if (call $open (i32.const 3) (i32.const 0) (i32.const 768) (i32.const 3) (i32.const 1) (i64.const 64) (i64.const 0)
              (i32.const 1) (i32.const 900)) (then (unreachable)))
        (call $fill (i32.const 4194304) (i32.const 97))
        (call $fill (i32.const {4194304 + size}) (i32.const 98))
        (drop (call $spawn (i32.const 0))) (drop (call $spawn (i32.const 1)))
        (drop (memory.atomic.wait32 (i32.const 1200) (i32.const 0) (i64.const 8000000)))
        (call $say) (call $exit (i32.const 7))))'''.replace('(memory 64 1024 shared)', '(memory 256 1024 shared)')
    path = guest(folder, 'torn', text)
    out = os.path.join(folder, 'out')
    records = 0
    for _ in range(options.rounds):
        took, lines = ended(binary, ['--dir', f'{folder}::/'], path, 7)
        assert lines == b'', lines
        with open(out, 'rb') as file:
            while record := file.read(size):
                assert record in (b'a' * size, b'b' * size), f'a torn record after {records} whole ones'
                records += 1
        os.remove(out)
    print(f'two writers of 4 MB: {options.rounds} times as it should be, {records} whole records')

def many(binary, folder, options):
    ends = (('proc_exit', '(call $exit (i32.const 7))', 7, [], None, b''),
            ('trap', '(unreachable)', 134, [], None, b'trapped'),
            ('SIGTERM', '(loop $x (br $x))', 143, [], signal.SIGTERM, None),
            ('timeout', '(loop $x (br $x))', 134, ['--timeout', '300ms'], None, b'timed out after 300ms'),
            ('deadlock', '(drop (memory.atomic.wait32 (i32.const 100) (i32.const 0) (i64.const -1)))', 134, [], None,
             b'all its threads wait for one another'))
    for name, last, status, args, send, said in ends:
        text = spinners(12, last, True)
        if name == 'deadlock':
            text = f'(module {WASI} (func (export "wasi_thread_start") (param i32 i32) {last}) ' \
                   f'(func (export "_start") (drop (call $spawn (i32.const 0))) (call $say) {last}))'
        path = guest(folder, 'many' + name, text)
        times = []
        for _ in range(options.rounds):
            took, lines = ended(binary, args, path, status, send)
            if took is not None:
                times.append(took)
            if said:
                assert lines.count(b'error: ') == 1 and said in lines, lines
            else:
                assert lines == b'', lines
        print(f'{name}: {options.rounds} times as it should be, {figures(times)}', flush=True)
    torn(binary, folder, options)
    left = subprocess.run(['pgrep', '-f', folder], capture_output=True).stdout
    assert left == b'', left

def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('binary')
    parser.add_argument('what', choices=['speed', 'starts', 'quit', 'hostile', 'many'])
    parser.add_argument('--load', action='store_true')
    parser.add_argument('--rounds', type=int, default=15)
    parser.add_argument('--threads', default='8,300,1500,5000')
    parser.add_argument('--epochs', action='store_true', help='-W epoch-interruption beside it')
    parser.add_argument('--outputs', action='store_true', help='speed: with trace, statistics, core dump, debug information, too')
    options = parser.parse_args()
    # A shell's background has both ignored, and so would the programs.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)
    options.threads = [int(count) for count in options.threads.split(',')]
    busy = [subprocess.Popen([sys.executable, '-c', 'while True: pass']) for _ in range(2 if options.load else 0)]
    try:
        with tempfile.TemporaryDirectory() as folder:
            {'speed': speed, 'starts': starts, 'quit': quit_, 'hostile': hostile, 'many': many}[options.what](
                options.binary, folder, options)
    finally:
        for process in busy:
            process.kill()

main()
