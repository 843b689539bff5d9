//! Making the context a builder describes.

use super::builder::{P1CtxBuilder, Stdio};
use super::clock_source::{ClockSource, GuestClock};
use super::clocks::Clocks;
use super::observe::Attended;
use super::strings::Strings;
use super::{P1Ctx, Shared, inherit};
use crate::abi::error::BuildError;
use crate::blocking::{ROUND, Rounds};
use crate::descriptor::Descriptor;
use crate::descriptor::fds::Fds;
use crate::descriptor::stream::{GuestStream, Source};
use crate::path::fifo_open::Opens;
use crate::sys::fd::AsFd;
use arc_swap::ArcSwap;
use std::sync::Arc;
use wasmtime_wasi::filesystem::{
    Descriptor as WasiDescriptor, Dir, WasiFilesystemCtx, WasiFilesystemCtxView,
};
use wasmtime_wasi::p2::bindings::filesystem::preopens::Host as _;
use wasmtime_wasi::{ResourceTable, WasiCtxBuilder};

impl P1CtxBuilder {
    /// Makes the context. The builder is left as a fresh one.
    ///
    /// # Errors
    ///
    /// [`BuildError`]: a NUL byte in an argument or variable, a standard stream that cannot be
    /// inherited, more descriptors than allowed.
    pub fn build(&mut self) -> Result<P1Ctx, BuildError> {
        let mut this = std::mem::take(self);
        let attended = Attended::by(&this);
        let args = Strings::pack("argument", "arguments", this.args)?;
        let env = this
            .env
            .into_iter()
            .map(|(name, value)| format!("{name}={value}"));
        let env = Strings::environment(env)?;

        let fds = Fds::new(this.max_descriptors);
        let push = |descriptor| {
            let limit = this.max_descriptors;
            fds.push(descriptor)
                .map_err(|_| BuildError::TooManyDescriptors { limit })
        };
        let host: [&dyn AsFd; 3] = [&std::io::stdin(), &std::io::stdout(), &std::io::stderr()];
        for ((fd, stdio), host) in (0..).zip(this.stdio).zip(host) {
            let source = match stdio {
                Stdio::Null => Source::Null,
                Stdio::Given(source) => source,
                Stdio::Inherit | Stdio::Descriptor(_) => {
                    let host = match &stdio {
                        Stdio::Descriptor(given) => given.as_fd(),
                        _ => host.as_fd(),
                    };
                    let taken = inherit::standard_stream(fd, host, this.hooks.whole_reads);
                    push(taken.map_err(|source| BuildError::Stdio { fd, source })?)?;
                    continue;
                }
            };
            push(Descriptor::stream(if fd == 0 {
                GuestStream::input(source)
            } else {
                GuestStream::output(source)
            }))?;
        }

        let mut wasi = this.wasi.build();
        for from in [&mut this.opened, wasi.filesystem()] {
            for (dir, name) in preopens(from)? {
                push(Descriptor::preopen(dir, &name))?;
            }
        }
        for preopen in this.made {
            push(Descriptor::made_folder(preopen.below, Some(&preopen.name)))?;
        }
        let mut bare = WasiCtxBuilder::new();
        bare.allow_blocking_current_thread(true);
        let fs = bare.build().filesystem().clone();

        let mut end = this.end.unwrap_or_default();
        if let Some(source) = &this.source {
            end = end.in_rounds(in_rounds_of(source, this.hooks.whole_reads));
        }
        Ok(P1Ctx {
            shared: Arc::new(Shared {
                args,
                env: ArcSwap::from_pointee(env),
                fds,
                clocks: Clocks::new(this.wall, this.monotonic, this.source),
                random: this.random,
                opens: Arc::new(Opens::new(end.clone())),
                end,
                limits: this.limits,
                budget: this.budget,
                attended,
                hooks: this.hooks,
                observer: this.observer,
                observe_waiting: this.observe_waiting,
                raise_sigpipe: this.raise_sigpipe,
                fs,
            }),
        })
    }
}

/// Rounds in which others run while the embedder's clock advances by as much as a look may take.
fn in_rounds_of(source: &Arc<dyn ClockSource>, only_shared: bool) -> Rounds {
    let source = Arc::clone(source);
    let let_others_run = move || {
        let until = source.now(GuestClock::Monotonic);
        let until = until.saturating_add(ROUND.as_nanos() as u64);
        source.sleep_until(GuestClock::Monotonic, until)
    };
    Rounds {
        let_others_run: Box::new(let_others_run),
        only_shared,
    }
}

/// The preopened directories of a context of wasmtime-wasi's, allowed to block the current thread.
fn preopens(from: &mut WasiFilesystemCtx) -> Result<Vec<(Dir, String)>, BuildError> {
    let mut table = ResourceTable::new();
    let mut view = WasiFilesystemCtxView {
        ctx: from,
        table: &mut table,
    };
    let failed = |path: &str, source| BuildError::Preopen {
        path: path.into(),
        source,
    };
    let found = view.get_directories().map_err(|e| failed("/", e))?;
    let dirs = found.into_iter().map(|(opened, name)| {
        let dir = match table.delete(opened) {
            Ok(WasiDescriptor::Dir(dir)) => dir,
            Ok(WasiDescriptor::File(_)) => {
                return Err(failed(&name, wasmtime::Error::msg("not a directory")));
            }
            Err(error) => return Err(failed(&name, error.into())),
        };
        let file = dir.dir.try_clone().map_err(|e| failed(&name, e.into()))?;
        Ok((Dir::new(file, dir.perms, dir.open_mode, true), name))
    });
    dirs.collect()
}
