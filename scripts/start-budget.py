#!/usr/bin/env python3
"""Where the time of a start goes: how long each step of a run of `hello` takes, from exec to the end of the process.

usage: scripts/start-budget.py [RUNS [BINARY [ARGUMENT]...]]      default: 200 target/release/wasi-threads-run hello.wat

Needs root, Linux's uprobes (tracefs), and a binary with symbols. Each mark is a breakpoint in a function of the
binary and adds a microsecond or two to its step. Prints a Markdown table: the median of each step over the runs,
and the mean of the page faults that the whole process took.
"""

import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import uuid

TRACING = "/sys/kernel/tracing"
# A step's name, and the mark that it begins with: a function's beginning, or its return (`-`).
# Functions are named as `nm --demangle` does, from the end. A mark that a build has not (inlined)
# is left out, its step goes to the one before.
STEPS = [
    ("process: exec, loader, relocations", "exec"),
    ("runtime, what the process is prepared with", "wasi_threads_run::main"),
    ("arguments", "args::environment::with_variables"),
    ("options to a plan", "args::refused_options::check"),
    ("cache opened", "module::cache::take"),
    ("plan, signals", "-module::cache::take"),
    ("module read", "module::source::ModuleSource::load"),
    ("limits, tool chain", "-module::source::ModuleSource::load"),
    ("engine", "wasmtime::engine::Engine::new"),
    ("cache look-up", "-wasmtime::engine::Engine::new"),
    ("code mapped", "module::cache::load"),
    ("context, linking, group, threads", "-module::prepare::prepare_wasm"),
    ("program", "group::thread_group::ThreadGroup<T>::run"),
    ("end, report", "-group::thread_group::ThreadGroup<T>::run"),
    ("process taken down", "exit"),
]


def symbols(binary):
    """Address of each function, by its demangled name."""
    found = {}
    for line in subprocess.run(["nm", "--demangle", binary], capture_output=True, text=True, check=True).stdout.splitlines():
        match = re.match(r"([0-9a-f]+) [tT] (.*)", line)
        if match:
            found.setdefault(match[2], int(match[1], 16))
    return found


def offset(binary, address):
    """Where in the file a function is."""
    said = subprocess.run(["readelf", "-lW", binary], capture_output=True, text=True, check=True).stdout
    for line in said.splitlines():
        words = line.split()
        if words[:1] == ["LOAD"]:
            at, start, size = (int(word, 16) for word in (words[1], words[2], words[4]))
            if start <= address < start + size:
                return address - start + at
    sys.exit(f"start-budget: {binary}: no segment has {address:#x}")


def write(path, text, flags=os.O_TRUNC):
    file = os.open(path, os.O_WRONLY | flags)
    try:
        os.write(file, text.encode())
    finally:
        os.close(file)


def marks(binary, group):
    """Sets the breakpoints; the event of each step that there is."""
    known, set_, events = symbols(binary), {}, []
    for step, mark in STEPS:
        if mark in ("exec", "exit"):
            events.append((step, f"sched_process_{mark}"))
            continue
        function = mark.lstrip("-")
        names = [name for name in known if name == function or name.endswith("::" + function)]
        if len(names) != 1:
            print(f"start-budget: {function}: {len(names)} of this name, left out", file=sys.stderr)
            continue
        name = re.sub(r"\W", "_", mark)
        if name not in set_:
            kind = "r" if mark.startswith("-") else "p"
            write(f"{TRACING}/uprobe_events", f"{kind}:{group}/{name} {binary}:{offset(binary, known[names[0]]):#x}\n", os.O_APPEND)
            set_[name] = True
        events.append((step, name))
    return events


def main():
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    binary = os.path.realpath(sys.argv[2] if len(sys.argv) > 2 else "target/release/wasi-threads-run")
    arguments = sys.argv[3:] or [os.path.abspath("tests/guests/hello.wat")]
    if not os.path.isdir(f"{TRACING}/events"):
        sys.exit("start-budget: no tracefs: mount -t tracefs tracefs /sys/kernel/tracing, as root")
    # Names of events are the system's.
    group = "start_budget_" + uuid.uuid4().hex[:8]
    instance = f"{TRACING}/instances/{group}"
    steps = marks(binary, group)
    os.mkdir(instance)
    try:
        write(f"{instance}/trace_clock", "mono")
        write(f"{instance}/buffer_size_kb", "16384")
        for event in [f"{group}", "sched/sched_process_exec", "sched/sched_process_exit"]:
            write(f"{instance}/events/{event}/enable", "1")
        with tempfile.TemporaryDirectory() as cache:
            environment = {**os.environ, "XDG_CACHE_HOME": cache}
            command = [binary, *arguments]
            quiet = {"env": environment, "stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL}
            subprocess.run(command, check=True, **quiet)  # compiles it
            write(f"{instance}/trace", "")
            before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_minflt
            pids = []
            for _ in range(runs):
                child = subprocess.Popen(command, **quiet)
                pids.append(child.pid)
                if child.wait():
                    sys.exit(f"start-budget: {command}: status {child.returncode}")
            faults = (resource.getrusage(resource.RUSAGE_CHILDREN).ru_minflt - before) / runs
        with open(f"{instance}/trace") as file:
            lines = file.readlines()
    finally:
        for event in [f"{group}", "sched/sched_process_exec", "sched/sched_process_exit"]:
            write(f"{instance}/events/{event}/enable", "0")
        os.rmdir(instance)
        for _, name in steps:
            if not name.startswith("sched_process_"):
                write(f"{TRACING}/uprobe_events", f"-:{group}/{name}\n", os.O_APPEND)

    # The first of each event of a process, in microseconds. Threads have numbers of their own: what
    # is marked is the first's.
    seen = {pid: {} for pid in pids}
    for line in lines:
        match = re.match(r"\s*.*-(\d+)\s+\[\d+\]\s+\S+\s+([\d.]+): (\w+):", line)
        if match and int(match[1]) in seen:
            seen[int(match[1])].setdefault(match[3], float(match[2]) * 1e6)
    taken = {step: [] for step, _ in steps}
    whole = []
    for times in seen.values():
        present = [(step, times[event]) for step, event in steps if event in times]
        for (step, begin), (_, end) in zip(present, present[1:]):
            taken[step].append(end - begin)
        if "sched_process_exec" in times and "sched_process_exit" in times:
            whole.append(times["sched_process_exit"] - times["sched_process_exec"])
    print(f"{runs} runs; load after them {os.getloadavg()[0]:.2f}; {faults:.0f} page faults each\n")
    print("| step | median us | of all |\n|---|---:|---:|")
    total = statistics.median(whole)
    for step, times in taken.items():
        if times:
            median = statistics.median(times)
            print(f"| {step} | {median:.0f} | {median / total:.0%} |")
    print(f"| all | {total:.0f} | |")


main()
