#!/usr/bin/env python3
"""Opens a file of `wasi-threads-run --profile guest` in the Firefox Profiler, in a headless browser.

usage: scripts/profile-in-browser.py PROFILE.json [PICTURE.png]

Asks the viewer what it has read of each thread (the functions at the root of its call tree with their samples, and its
markers) and compares that with the file, then takes a picture of the page. Fails where one of them differs.

Needs Chromium (CHROMIUM, default: chromium) and a build of github.com/firefox-devtools/profiler (FIREFOX_PROFILER: the
folder `dist` that `node scripts/build.mjs` makes there). The browser loads nothing from elsewhere.
"""

import base64
import collections
import functools
import http.server
import importlib.util
import json
import os
import pathlib
import sys
import tempfile
import threading
import time
import urllib.parse

HERE = pathlib.Path(__file__).resolve().parent
spec = importlib.util.spec_from_file_location("trace_in_browser", HERE / "trace-in-browser.py")
trace_in_browser = importlib.util.module_from_spec(spec)
spec.loader.exec_module(trace_in_browser)

# With what the viewer offers to the console of a page.
READ = """JSON.stringify(profile.threads.map((thread, index) => {
    dispatch(actions.changeSelectedThreads(new Set([index])));
    const of = selectors.selectedThread, state = getState(), tree = of.getCallTree(state);
    const roots = tree.getRoots().map((root) => tree.getDisplayData(root));
    return {
        name: thread.name,
        roots: Object.fromEntries(roots.map((root) => [root.name, Number(root.total.replace(/[^0-9.]/g, ''))])),
        markers: of.getFullMarkerListIndexes(state).length,
    };
}))"""


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves the viewer, whose addresses are all of one page, and the profile beside it."""

    def __init__(self, profile, *args, **kwargs):
        self.profile = profile
        super().__init__(*args, **kwargs)

    def translate_path(self, path):
        if path.split("?")[0] == "/profile.json":
            return self.profile
        found = super().translate_path(path)
        return found if os.path.isfile(found) else os.path.join(self.directory, "index.html")

    def log_message(self, *args):
        pass


def expected(path):
    """The same from the file: of each thread the outermost functions of its samples, and markers."""
    threads = []
    for thread in json.loads(pathlib.Path(path).read_text())["threads"]:
        names, functions = thread["stringArray"], thread["funcTable"]["name"]
        of_frame, stacks, samples = thread["frameTable"]["func"], thread["stackTable"], thread["samples"]
        roots = collections.Counter()
        for stack, weight in zip(samples["stack"], samples["weight"]):
            while stack is not None and stacks["prefix"][stack] is not None:
                stack = stacks["prefix"][stack]
            if stack is not None:
                roots[names[functions[of_frame[stacks["frame"][stack]]]]] += weight
        threads.append({"name": thread["name"], "roots": dict(roots), "markers": thread["markers"]["length"]})
    return threads


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    if "FIREFOX_PROFILER" not in os.environ:
        sys.exit("profile-in-browser: set FIREFOX_PROFILER to a build of the viewer")
    profile = os.path.abspath(sys.argv[1])
    handler = functools.partial(Handler, profile, directory=os.environ["FIREFOX_PROFILER"])
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    origin = f"http://127.0.0.1:{server.server_port}"
    file = urllib.parse.quote(f"{origin}/profile.json", safe="")
    with tempfile.TemporaryDirectory() as scratch:
        browser = trace_in_browser.Browser(os.path.join(scratch, "profile"))
        try:
            browser.call("Page.enable")
            browser.call("Page.navigate", url=f"{origin}/from-url/{file}/calltree/")
            browser.wait("Boolean(document.querySelector('.treeViewRow'))")
            seen = json.loads(browser.evaluate(READ))
            # Drawn a little later than read.
            time.sleep(3)
            if len(sys.argv) == 3:
                picture = browser.call("Page.captureScreenshot", format="png")["data"]
                pathlib.Path(sys.argv[2]).write_bytes(base64.b64decode(picture))
        finally:
            browser.close()
            server.shutdown()
    wanted = expected(profile)
    for thread in seen:
        print(thread)
    if seen != wanted:
        sys.exit(f"profile-in-browser: the viewer has read something else than the file has: {wanted}")
    print("profile-in-browser: the viewer has read all of it")


if __name__ == "__main__":
    main()
