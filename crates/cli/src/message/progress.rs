//! Signs of life while a large module is compiled.

use std::io::{IsTerminal as _, Write as _};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Shorter compilations need no note.
const SILENT: Duration = Duration::from_millis(500);
const EVERY: Duration = Duration::from_millis(200);

/// A line on the terminal that says what is going on, until this is dropped.
///
/// Wasmtime does not say how far a compilation is, so what is shown is how large the
/// module is and how long it has taken.
pub(crate) struct Progress {
    end: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Progress {
    /// Starts it if stderr is a terminal; elsewhere, nothing is said.
    pub(crate) fn compiling(name: &str, bytes: usize) -> Self {
        let (end, ended) = mpsc::channel::<()>();
        let line = format!(
            "compiling {} ({:.1} MiB)",
            shortened(name),
            bytes as f64 / f64::from(1 << 20)
        );
        let thread = std::io::stderr().is_terminal().then(|| {
            std::thread::Builder::new()
                .name("progress".into())
                .spawn(move || show(&line, &ended))
                // Without it, the same is done in silence.
                .ok()
        });
        Progress {
            end: Some(end),
            thread: thread.flatten(),
        }
    }
}

/// The end of a long name: a line that the terminal breaks could not be written over.
fn shortened(name: &str) -> String {
    /// With what is around it, less than the 80 columns of the narrowest terminals.
    const MOST: usize = 40;
    match name.chars().count().checked_sub(MOST) {
        None | Some(0) => name.to_owned(),
        Some(more) => std::iter::once('…')
            .chain(name.chars().skip(more + 1))
            .collect(),
    }
}

fn show(line: &str, ended: &mpsc::Receiver<()>) {
    let began = Instant::now();
    let mut shown = false;
    let mut pause = SILENT;
    // Nothing is ever sent: the end is that the sender is gone.
    while ended.recv_timeout(pause) == Err(mpsc::RecvTimeoutError::Timeout) {
        let seconds = began.elapsed().as_secs_f32();
        draw(&format!("\r{line}: {seconds:.1} s"));
        shown = true;
        pause = EVERY;
    }
    if shown {
        // Back to the start of the line, and erase it (ECMA-48 CR, EL).
        draw("\r\x1b[K");
    }
}

fn draw(text: &str) {
    // A terminal that has gone away needs no progress.
    let _ = std::io::stderr().write_all(text.as_bytes());
}

impl Drop for Progress {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            // Before anything else is said. It does not panic; if it did, nothing is
            // lost but the line.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::shortened;

    #[test]
    fn a_long_name_does_not_break_the_line() {
        assert_eq!(shortened("`a.wasm`"), "`a.wasm`");
        let long = format!("`/{}/a.wasm`", "ä".repeat(100));
        let short = shortened(&long);
        assert_eq!(short.chars().count(), 40);
        assert!(
            short.starts_with('…') && short.ends_with("ä/a.wasm`"),
            "{short}"
        );
    }
}
