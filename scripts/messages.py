#!/usr/bin/env python3
"""usage: messages.py RECORDS SOURCES

Prints the messages in the records of tests/support/record.rs, each with the shortest command that
caused it, sorted by kind; then the texts of messages in SOURCES that are in no record.
"""
import collections
import os
import re
import shlex
import sys

# A message begins with one of these; lines that are indented belong to it.
KINDS = ['error: ', 'warning: ', 'note: ']
# Longer texts that are given on stdin are not shown.
MOST = 300
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def messages(stderr):
    """The messages in a text: an `error:` with its `why:` and `help:`, a `note:`."""
    found = []
    inside = False
    for line in stderr.split('\n'):
        if line.startswith(tuple(KINDS)):
            found.append([line])
            inside = True
        elif inside and re.match(r'  (why|help): ', line):
            found[-1].append(line)
        else:
            inside = False
    return ['\n'.join(lines) for lines in found]


def shape(message):
    """The same for messages that differ in names, numbers and paths only."""
    text = re.sub(r'`[^`]*`', '`_`', message)
    return re.sub(r'\d+(\.\d+)?', '0', text)


def tidy(text):
    """The text without what is of one run or one machine: folders."""
    text = text.replace(ROOT + '/target/debug/wasi-threads-run', 'wasi-threads-run')
    return re.sub(r'/[^ `\'"]*/\.tmp\w+', 'FOLDER', text.replace(ROOT + '/', ''))


def shown(line, stdin):
    """A command as one would type it."""
    line = re.sub(r'^cd "/[^"]*" && ', '', line)
    if re.match(r'"/|[A-Z_0-9]+="|env ', line):
        words = [word for word in shlex.split(line) if not word.startswith('XDG_')]
        command = ' '.join(shlex.quote(tidy(word)) for word in words)
    else:
        command = tidy(line.replace('"$0"', 'wasi-threads-run').replace('"$1"', 'm.wat'))
    if stdin:
        text = ' '.join(stdin.split())
        command = f'echo {shlex.quote(text) if len(text) <= MOST else "..."} | {command}'
    return command


def texts(folder):
    """The literals of messages in the sources: (file, line, text)."""
    call = re.compile(r'(?:failure|usage|Message::new|why|help|warn|say)\(\s*(?:Exit::\w+,\s*)?'
                      r'(?:format_args!\(\s*|format!\(\s*)?"((?:[^"\\]|\\.)*)"', re.S)
    for path, _, names in os.walk(folder):
        for name in sorted(names):
            if name.endswith('.rs') and name != 'tests.rs':
                file = os.path.join(path, name)
                text = open(file).read().split('\n#[cfg(test)]\nmod tests')[0]
                for hit in call.finditer(text):
                    literal = re.sub(r'\\\n\s*', '', hit.group(1))
                    literal = literal.replace('\\"', '"').replace('\\n', '\n')
                    yield file, text.count('\n', 0, hit.start()) + 1, literal


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    best = {}
    said = []
    for name in os.listdir(sys.argv[1]):
        if name.startswith('.'):
            continue
        parts = open(os.path.join(sys.argv[1], name), errors='replace').read().split('\0')
        line, stdin, status, stderr = parts
        said.append(stderr)
        for message in messages(tidy(stderr)):
            command = shown(line, stdin)
            key = shape(message)
            if key not in best or len(command) < len(best[key][0]):
                best[key] = command, status, message
    kinds = collections.Counter()
    for _, (command, status, message) in sorted(best.items()):
        kinds[message.split(':')[0]] += 1
        print(f'$ {command}\n{message}\n[status {status}]\n')
    counts = ', '.join(f'{count} of {kind}' for kind, count in sorted(kinds.items()))
    print(f'messages: {len(best)} ({counts}) in {len(said)} runs')
    everything = '\n'.join(said)
    unseen = 0
    for file, line, literal in texts(sys.argv[2]):
        pieces = [piece for piece in re.split(r'\{[^}]*\}|\n', literal) if len(piece.strip()) > 3]
        if not all(piece in everything for piece in pieces):
            unseen += 1
            print(f'not seen: {file}:{line}: {literal!r}')
    print(f'texts that no test has seen: {unseen}')


if __name__ == '__main__':
    main()
