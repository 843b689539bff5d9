#!/usr/bin/env python3
"""Draws a timeline of `wasi-threads-run --trace` as an SVG picture.

usage: scripts/trace-svg.py TRACE.json [OUT.svg]        default: standard output

A row per thread; bars are its life, its WASI calls and its waits, arrows lead from who
started or woke a thread to that thread. Everything drawn is in the trace; nothing needs to be
installed.
"""

import json
import sys
from html import escape

WIDTH, LEFT, RIGHT, TOP, ROW, GAP = 1000, 84, 16, 34, 30, 10
COLOURS = {"thread": "#d8dee9", "wasi": "#5e81ac", "wait": "#ebcb8b", "spawn": "#a3be8c"}
NOTIFY = "#bf616a"


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    with open(sys.argv[1]) as file:
        events = json.load(file)["traceEvents"]
    names = {e["tid"]: e["args"]["name"] for e in events if e["name"] == "thread_name"}
    order = {e["tid"]: e["args"]["sort_index"] for e in events if e["name"] == "thread_sort_index"}
    timed = [e for e in events if e["ph"] != "M"]
    slices = [e for e in timed if e["ph"] == "X"]
    begin = min(e["ts"] for e in timed)
    end = max(e["ts"] + e.get("dur", 0) for e in timed)
    rows = {tid: TOP + n * (ROW + GAP) for n, tid in enumerate(sorted(names, key=order.get))}
    height = TOP + len(rows) * (ROW + GAP) + 44

    def x(ts):
        return LEFT + (ts - begin) / (end - begin) * (WIDTH - LEFT - RIGHT)

    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="11">',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
    ]
    # A scale of about ten steps of 1, 2 or 5.
    step = 1.0
    while (end - begin) / step > 12:
        step *= 2.5 if str(step).strip("0.")[:1] == "2" else 2
    mark = 0.0
    while mark <= end - begin:
        at = x(begin + mark)
        bottom = height - 44
        out.append(f'<line x1="{at:.1f}" y1="{TOP - 6}" x2="{at:.1f}" y2="{bottom}" stroke="#e5e9f0"/>')
        label = f"{mark / 1000:g} ms" if step >= 100 else f"{mark:g} µs"
        out.append(f'<text x="{at:.1f}" y="{TOP - 12}" text-anchor="middle" fill="#4c566a">{label}</text>')
        mark += step
    for tid, y in rows.items():
        out.append(f'<text x="{LEFT - 8}" y="{y + ROW / 2 + 4}" text-anchor="end" fill="#2e3440">{escape(names[tid])}</text>')
    # What encloses is drawn first.
    for e in sorted(slices, key=lambda e: -e["dur"]):
        life = e["cat"] == "thread"
        y, tall = (rows[e["tid"]], ROW) if life else (rows[e["tid"]] + 5, ROW - 10)
        left, wide = x(e["ts"]), max(x(e["ts"] + e["dur"]) - x(e["ts"]), 0.7)
        colour = NOTIFY if e["name"] == "notify" else COLOURS[e["cat"]]
        args = ", ".join(
            f"{key} {' and '.join(value) or 'nobody' if isinstance(value, list) else value}" for key, value in e["args"].items()
        )
        title = f'{e["name"]}, {e["dur"]:.1f} µs{": " + args if args else ""}'
        out.append(
            f'<rect x="{left:.2f}" y="{y}" width="{wide:.2f}" height="{tall}" rx="2" fill="{colour}">'
            f"<title>{escape(title)}</title></rect>"
        )
        if not life and wide > 7 * len(e["name"]):
            out.append(f'<text x="{left + 4:.1f}" y="{y + tall / 2 + 4}" fill="#2e3440">{escape(e["name"])}</text>')
    starts = {e["id"]: e for e in timed if e["ph"] == "s"}
    for e in timed:
        if e["ph"] == "f":
            start = starts[e["id"]]
            y1, y2 = rows[start["tid"]] + ROW / 2, rows[e["tid"]] + ROW / 2
            colour = "#4c7a34" if e["cat"] == "spawn" else NOTIFY
            out.append(
                f'<line x1="{x(start["ts"]):.1f}" y1="{y1}" x2="{x(e["ts"]):.1f}" y2="{y2}" stroke="{colour}" '
                'stroke-width="0.8" stroke-opacity="0.8"/>'
            )
            out.append(f'<circle cx="{x(e["ts"]):.1f}" cy="{y2}" r="1.8" fill="{colour}"/>')
    legend = [("a thread's life", COLOURS["thread"]), ("WASI call", COLOURS["wasi"]), ("wait", COLOURS["wait"]),
              ("spawn", COLOURS["spawn"]), ("notify", NOTIFY)]
    at = LEFT
    for text, colour in legend:
        out.append(f'<rect x="{at}" y="{height - 24}" width="12" height="12" rx="2" fill="{colour}"/>')
        out.append(f'<text x="{at + 17}" y="{height - 14}" fill="#2e3440">{text}</text>')
        at += 32 + 7 * len(text)
    out.append(f'<text x="{at}" y="{height - 14}" fill="#2e3440">lines: who started or woke whom</text>')
    out.append("</svg>")
    text = "\n".join(out) + "\n"
    if len(sys.argv) == 3:
        with open(sys.argv[2], "w") as file:
            file.write(text)
    else:
        sys.stdout.write(text)


if __name__ == "__main__":
    main()
