#!/usr/bin/env node
// Runs the binary of this machine's package, and is to its caller what the binary would be: the
// same standard streams, the same signals, the same status.
"use strict";

const { spawn } = require("node:child_process");
const { constants } = require("node:os");

const name = `wasi-threads-run-${process.platform}-${process.arch}`;
let binary;
try {
  binary = require.resolve(`${name}/bin/wasi-threads-run`);
} catch {
  console.error(`wasi-threads-run: there is no package ${name} here`);
  console.error("  it is an optional dependency: install without --omit=optional, on a platform that it is made for");
  process.exit(1);
}

const child = spawn(binary, process.argv.slice(2), { stdio: "inherit" });
child.on("error", (error) => {
  console.error(`wasi-threads-run: cannot start ${binary}: ${error.message}`);
  process.exit(1);
});
// A terminal sends its signals to both, and then the child decides. What is sent to this process
// alone is passed on; one that comes twice does no more than one that is pressed twice.
for (const signal of ["SIGINT", "SIGTERM", "SIGQUIT", "SIGHUP", "SIGUSR1", "SIGUSR2"]) {
  process.on(signal, () => {
    if (!process.stdin.isTTY || (signal !== "SIGINT" && signal !== "SIGQUIT")) {
      child.kill(signal);
    }
  });
}
child.on("exit", (code, signal) => {
  if (signal === null) {
    process.exit(code);
  }
  // A signal ended it: it ends this process too, or else the status says so.
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
  setTimeout(() => process.exit(128 + (constants.signals[signal] ?? 0)), 100);
});
