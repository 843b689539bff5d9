//! Waiting: reads, writes, accepts and sleeps that an [`EndSignal`] can end.
//!
//! A thread that has to wait sleeps in the kernel, in one `poll(2)` over the descriptors it waits
//! for and one *ended* descriptor that every wait of a group shares. Nothing polls in slices and
//! nothing spins, with one exception: the process had no descriptor left when the signal was made,
//! and could make no pipe. Then a wait for descriptors looks at the signal every 20 ms, and a sleep
//! is woken by its hook.
//!
//! For that to work, the attempt that precedes a wait must itself never block. And the flags of a
//! descriptor that came from outside must stay as they are, because its open file description
//! belongs to every process that inherited it. [`Stream`] picks, per kind of object:
//!
//! | object | attempt | if that is refused |
//! |---|---|---|
//! | regular file, directory, block device, `/dev/null`, `zero`, `full`, `random`, `urandom` | plain call: it does not wait for another program | - |
//! | pipe, FIFO | own description, reopened non-blocking through `/proc/self/fd` | `RWF_NOWAIT`, then poll first |
//! | terminal (not a pty master) | own description, reopened non-blocking | poll first |
//! | socket | `MSG_DONTWAIT` | - |
//! | anything else (event descriptors, pty masters, other devices) | `RWF_NOWAIT` | poll first |
//! | a descriptor this process alone owns | `O_NONBLOCK` set on it | - |
//!
//! Reopening is refused where `/proc` is not mounted, where the object belongs to another user (a
//! terminal after `su`), and for a pipe's write end whose readers have all gone. *Poll first* asks
//! `poll(2)`, then makes a blocking call of bounded size while holding a lock that keeps the other
//! threads of this process out. For pipes and terminals in their usual mode this is exact, except
//! for a race with *other processes*. One that takes the bytes (or the room) between the two calls
//! leaves the thread blocked in the kernel until more arrive, and [`EndSignal::raise`] does not
//! reach it there. For anything else it is a best effort. "Ready" may mean less than the call wants
//! (an event counter that would overflow, a raw terminal with both `VMIN` and `VTIME`), and then
//! the call waits as well. [`Stream::owned`], for a description that no other descriptor has, has
//! no such gap.
//!
//! A socket whose receiving side is shut is always ready. A call that does not wait cannot see that
//! a datagram socket or a listener is shut. Such a socket is at its end when the wait has said that
//! it is shut and one more attempt finds nothing. If an embedder has set a socket to keep errors in
//! a queue (`IP_RECVERR`), the socket is ready as long as errors are there, and the embedder has to
//! take them.
//!
//! No read takes more than the caller asked for, so whatever is left in a pipe or terminal is there
//! for the next process. (An embedder's stream, [`EmbedderInput`], may read ahead by itself.)
//!
//! A file system that hangs (a dead NFS server, a failing disk) blocks a thread where no signal
//! reaches it. Regular files are read and written directly, so this limit holds as for every
//! program. If the file system can be interrupted, an embedder gets such a thread out with a signal
//! of the host's (a handler without `SA_RESTART`): after `EINTR` the end signal is looked at. A
//! file that claims to be regular and still waits is treated as regular: `/proc/kmsg`, `trace_pipe`
//! of tracefs. One call transfers up to 2 GiB less a page, as Linux does, and the signal waits for
//! that: about a second from memory or a page cache.
//!
//! # What has no descriptor to poll
//!
//! * Opening a FIFO waits in `open(2)` itself. Raising the signal makes this process the other
//!   side, for as long as it takes the open to return: [`Fifo`].
//! * An embedder's stream tells its readiness by a future. [`wait_with`] gives such futures a waker
//!   that writes to a descriptor in the same `poll(2)`: [`EmbedderInput`], [`EmbedderOutput`].
//! * A task must not block its thread at all: [`ready`] waits for a descriptor in a future, and
//!   [`EndSignal::or_raised`] ends any future with the signal.
//!
//! A descriptor that is closed while a thread is blocked on it stays open for that thread, as POSIX
//! has it: the thread waits on.
//!
//! # In rounds
//!
//! Where guests sleep by a clock of the embedder's ([`ClockSource`](crate::ClockSource)), threads
//! may run one at a time. One that waits in the kernel would keep all others from running. So a
//! wait is a look at the descriptors, a sleep of a millisecond by that clock, a look of at most a
//! millisecond, and so on. The wait for a stream's write lock is made the same way. With
//! [`whole_reads`](crate::P1CtxBuilder::whole_reads) pipes, terminals and the like are waited for
//! in place. Opening a FIFO always is.
//!
//! # Locks
//!
//! A stream has a write lock, held for the whole of one guest write, so that no other thread's
//! write comes in between. The wait for it ends with the signal as well. Reading, polling and
//! closing never take it. Streams that poll first have a read lock too, never held while waiting.
//! If two are held at once, the order is: a stream's write or read lock, then an embedder's stream
//! itself, then the signal's. The signal runs its hooks without its lock.
//!
//! # Platforms
//!
//! Linux has all of the above. Other Unix systems have a pipe as the ended descriptor. Reopening
//! through `/dev/fd` is not attempted there, as it duplicates on most of them. And absolute
//! real-time deadlines do not follow a clock that is set while a thread waits.
//!
//! Windows has an event as the ended descriptor. Sockets and pipes are looked at again and again
//! while a thread waits for them, every 8 ms at most; a task looks every 10 ms. Everything except
//! files is polled first. Sockets that only this process has do not wait. The signal cancels a call
//! that waits all the same (a pipe that is full or was emptied by another process, a line of a
//! console that is not ended). A write to a pipe with `nonblocking` waits for room, because the
//! system does not tell how much there is. There are no FIFOs to open.
//!
//! docs/platforms.md says what was tested where.

mod block_on;
mod deadline;
mod embedder;
mod end;
mod fifo;
mod listener;
mod readiness;
mod rounds;
mod stream;
mod transfer;
mod wait;
mod write_lock;

pub use deadline::Deadline;
pub use embedder::{EmbedderInput, EmbedderOutput, Ready};
pub(crate) use embedder::{PREMATURE, premature};
pub(crate) use end::Hook;
pub use end::{BlockingError, EndSignal, Interrupted};
pub use fifo::{Fifo, FifoAccess};
pub use listener::Listener;
pub use readiness::ready;
pub(crate) use readiness::{any_ready, first_of};
pub(crate) use rounds::{ROUND, Rounds};
pub use stream::{Manner, Stream, StreamKind};
pub use wait::{Direction, Interest, Readiness, wait, wait_with};
