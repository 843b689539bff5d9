//! A server on tokio. Each connection gets a group of its own, with async host functions and a time
//! limit. The group ends as soon as its client leaves. 200 clients come at once, and one line says
//! what became of them.
//!
//! ```sh
//! cargo run -p wasi-threads-p1 --example server
//! ```
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use wasi_threads_p1::wasi_threads::{GroupPre, Limits, Outcome, prepare};
use wasmtime::{Caller, Config, Engine, Linker};

/// Two threads ask the host for a number each, which takes a while; main adds them up. Asked for
/// less than 0, main waits for ever instead.
const PROGRAM: &str = r#"(module
  (import "env" "memory" (memory 1 1 shared))
  (import "wasi" "thread-spawn" (func $spawn (param i32) (result i32)))
  (import "host" "question" (func $question (result i32)))
  (import "host" "fetch" (func $fetch (param i32) (result i32)))
  (import "host" "answer" (func $answer (param i32)))
  (export "memory" (memory 0))
  (func (export "wasi_thread_start") (param $id i32) (param $arg i32)
    (drop (i32.atomic.rmw.add (i32.const 4) (call $fetch (local.get $arg))))
    (drop (i32.atomic.rmw.add (i32.const 0) (i32.const 1)))
    (drop (memory.atomic.notify (i32.const 0) (i32.const 1))))
  (func (export "_start") (local $seen i32) (local $n i32)
    (local.set $n (call $question))
    (if (i32.lt_s (local.get $n) (i32.const 0))
      (then (drop (memory.atomic.wait32 (i32.const 8) (i32.const 0) (i64.const -1)))))
    (drop (call $spawn (local.get $n)))
    (drop (call $spawn (i32.add (local.get $n) (i32.const 1))))
    (loop $again
      (local.set $seen (i32.atomic.load (i32.const 0)))
      (if (i32.lt_s (local.get $seen) (i32.const 2))
        (then
          (drop (memory.atomic.wait32 (i32.const 0) (local.get $seen) (i64.const -1)))
          (br $again))))
    (call $answer (i32.atomic.load (i32.const 4)))))"#;

/// What the threads of one connection share.
struct Conversation {
    question: i32,
    answer: AtomicI32,
}

/// What became of the connections.
#[derive(Default)]
struct Totals {
    answered: AtomicUsize,
    timed_out: AtomicUsize,
    left: AtomicUsize,
}

#[derive(Clone)]
struct Server {
    /// Checked when the server starts, and not at the first connection.
    program: GroupPre<Arc<Conversation>>,
    totals: Arc<Totals>,
}

impl Server {
    fn new() -> Result<Self, Box<dyn Error>> {
        let mut config = Config::new();
        config.shared_memory(true).epoch_interruption(true);
        // Async host functions run on Wasmtime's own stacks, which must have room for them.
        config.max_wasm_stack(256 << 10).async_stack_size(1 << 20);
        let engine = Engine::new(&config)?;
        let module = prepare(&engine, &wat::parse_str(PROGRAM)?)?;
        let mut linker = Linker::<Arc<Conversation>>::new(&engine);
        let question = |caller: Caller<'_, Arc<Conversation>>| caller.data().question;
        linker.func_wrap("host", "question", question)?;
        linker.func_wrap_async("host", "fetch", |_, (n,): (i32,)| {
            Box::new(async move {
                // A database, say.
                tokio::time::sleep(Duration::from_millis(5)).await;
                n * 10
            })
        })?;
        let answer = |caller: Caller<'_, Arc<Conversation>>, answer: i32| {
            caller.data().answer.store(answer, Ordering::SeqCst);
        };
        linker.func_wrap("host", "answer", answer)?;
        Ok(Self {
            program: GroupPre::new(&engine, &module, linker)?,
            totals: Arc::default(),
        })
    }

    /// One connection, from its question to its end.
    async fn serve(self, mut client: TcpStream) -> Result<(), Box<dyn Error + Send + Sync>> {
        let conversation = Arc::new(Conversation {
            question: client.read_i32().await?,
            answer: AtomicI32::new(0),
        });
        let (runtime, threads) = (tokio::runtime::Handle::current(), Arc::clone(&conversation));
        let group = self
            .program
            .builder()
            .limits(
                Limits::new()
                    .threads(4)
                    .timeout(match conversation.question {
                        // Some are known to have no patience.
                        -1 => Duration::from_millis(300),
                        _ => Duration::from_secs(60),
                    }),
            )
            .async_host_functions(true)
            // Host threads of the group do not belong to the runtime. They find its timers through
            // this handle.
            .around_thread(move |_, thread| {
                let _inside = runtime.enter();
                thread();
            })
            .state(move |_| Arc::clone(&threads))
            .build()?;
        let group = Arc::new(group);
        let mut running = group.run_async("_start")?;
        let reaped = running.reaped();
        // Nothing is sent after the question: this is ready when the client is gone.
        let mut left = Box::pin(client.read_u8());
        let outcome = poll_fn(|cx| match Pin::new(&mut running).poll(cx) {
            Poll::Ready(outcome) => Poll::Ready(Some(outcome)),
            Poll::Pending => left.as_mut().poll(cx).map(|_| None),
        });
        let outcome = outcome.await.transpose()?;
        drop(left);
        // Ends the group, if it has not ended.
        drop(running);
        match outcome {
            Some(Outcome::Returned) => {
                let answer = conversation.answer.load(Ordering::SeqCst);
                client.write_i32(answer).await?;
                self.totals.answered.fetch_add(1, Ordering::SeqCst);
            }
            Some(Outcome::TimedOut) => {
                self.totals.timed_out.fetch_add(1, Ordering::SeqCst);
            }
            Some(other) => return Err(other.to_string().into()),
            None => {
                self.totals.left.fetch_add(1, Ordering::SeqCst);
            }
        }
        // Its threads are gone.
        reaped.ended().await;
        Ok(())
    }
}

/// Asks, and gets `None` if the server gives no answer. A client without `patience` leaves.
async fn ask(server: std::net::SocketAddr, question: i32, patience: bool) -> Option<i32> {
    let mut server = TcpStream::connect(server).await.ok()?;
    server.write_i32(question).await.ok()?;
    match patience {
        true => server.read_i32().await.ok(),
        false => None,
    }
}

async fn clients_come(count: i32) -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let server = Server::new()?;
    let totals = Arc::clone(&server.totals);
    let serving = tokio::spawn(async move {
        let mut connections = Vec::new();
        for _ in 0..count {
            let (client, _) = listener.accept().await?;
            connections.push(tokio::spawn(server.clone().serve(client)));
        }
        for connection in connections {
            connection.await??;
        }
        Ok::<_, Box<dyn Error + Send + Sync>>(())
    });
    // Two in ten ask for what never comes: one waits until it is refused, one leaves at once. The
    // others get their answer.
    let clients: Vec<_> = (0..count)
        .map(|n| match n % 10 {
            8 => tokio::spawn(ask(address, -1, true)),
            9 => tokio::spawn(ask(address, -2, false)),
            _ => tokio::spawn(ask(address, n, true)),
        })
        .collect();
    let mut right = 0;
    for (n, client) in (0..).zip(clients) {
        right += usize::from(client.await? == Some(n * 10 + (n + 1) * 10));
    }
    serving.await?.map_err(|error| error.to_string())?;
    let count = |of: &AtomicUsize| of.load(Ordering::SeqCst);
    println!(
        "{} groups: {} answered ({right} right), {} timed out, {} left by their clients",
        count(&totals.answered) + count(&totals.timed_out) + count(&totals.left),
        count(&totals.answered),
        count(&totals.timed_out),
        count(&totals.left),
    );
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(clients_come(200))
}
