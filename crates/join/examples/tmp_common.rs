// What was a wasi-common embedding: own stdout, preopens, env pushed later, exit codes.
use std::io::Read;
use wasi_threads_p1::p1_adapter::{FsPerms, OpenMode, P1CtxBuilder, StreamAccess};
use wasi_threads_p1::wasi_threads::{Outcome, prepare};
use wasmtime::{Config, Engine};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let engine = Engine::new(Config::new().shared_memory(true).epoch_interruption(true))?;
    let path = std::env::args().nth(1).ok_or("usage: common MODULE")?;
    let module = prepare(&engine, &std::fs::read(path)?)?;
    let (mut reader, writer) = std::io::pipe()?;
    let ctx = P1CtxBuilder::new()
        .args(&["a".to_string(), "b".to_string()])
        .stdout_fd(writer)
        .build()?;
    ctx.push_env("MORE", "x")?;
    ctx.push_dir(
        std::fs::File::open("/tmp")?,
        Some("/tmp"),
        FsPerms::ReadOnly,
    )?;
    ctx.insert_file(
        9,
        std::fs::File::open("/etc/hostname")?,
        FsPerms::ReadOnly,
        OpenMode::READ,
    )?;
    let _ = StreamAccess::Read;
    let group = wasi_threads_p1::program(&engine, &module, &ctx)?.build()?;
    let outcome = group.run("_start")?;
    drop((group, ctx));
    let mut text = String::new();
    reader.read_to_string(&mut text)?;
    match outcome {
        Outcome::Trapped { thread, error, .. } => eprintln!("thread {thread}: {error:#}"),
        other => println!("{other}: {text:?}"),
    }
    Ok(())
}
