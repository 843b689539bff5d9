// A judge: runs a submission with given stdin, captures stdout, limits.
use std::time::Duration;
use wasi_threads_p1::p1_adapter::{FsPerms, P1CtxBuilder};
use wasi_threads_p1::wasi_threads::{Limits, Outcome, prepare};
use wasmtime::{Config, Engine};
use wasmtime_wasi::p2::pipe::{MemoryInputPipe, MemoryOutputPipe};

fn judge(
    engine: &Engine,
    bytes: &[u8],
    input: &str,
) -> Result<(String, String), Box<dyn std::error::Error>> {
    let module = prepare(engine, bytes)?;
    let out = MemoryOutputPipe::new(1 << 16);
    let ctx = P1CtxBuilder::new()
        .stdin(MemoryInputPipe::new(input.to_owned()))
        .stdout(out.clone())
        .arg("submission")
        .env("LANG", "C")
        .preopened_dir(std::env::temp_dir(), "/tmp", FsPerms::ReadOnly)?
        .build()?;
    let group = wasi_threads_p1::program(engine, &module, &ctx)?
        .limits(
            Limits::new()
                .threads(4)
                .timeout(Duration::from_millis(300))
                .shared_memory(64 << 20)
                .clamp_shared_memory(true),
        )
        .detect_deadlock(true)
        .build()?;
    let verdict = match group.run("_start")? {
        Outcome::Returned | Outcome::Exited(0) => "accepted".to_owned(),
        Outcome::TimedOut => "time limit".to_owned(),
        Outcome::Deadlocked(deadlock) => format!("deadlock: {deadlock}"),
        other => other.to_string(),
    };
    Ok((
        verdict,
        String::from_utf8_lossy(&out.contents()).into_owned(),
    ))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let engine = Engine::new(Config::new().shared_memory(true).epoch_interruption(true))?;
    let path = std::env::args().nth(1).ok_or("usage: judge MODULE")?;
    let (verdict, out) = judge(&engine, &std::fs::read(path)?, "some input\n")?;
    println!("{verdict}\n{out}");
    Ok(())
}
