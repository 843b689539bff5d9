//! The guest that runs plans: its threads read what to do from the memory, so that no plan has to
//! be compiled.

/// Where the words are that threads wait on, where names are, and where plans are.
pub(crate) const NAMES: u64 = 3072;
pub(crate) const PLANS: u64 = 4096;

/// Plans, and steps of eight bytes in each.
pub(crate) const BLOCKS: usize = 8;
pub(crate) const STEPS: usize = 16;

/// What a thread says to the host before it does it.
pub(crate) mod note {
    pub(crate) const RETURNS: i32 = 0;
    pub(crate) const EXITS: i32 = 1;
    pub(crate) const TRAPS: i32 = 2;
    pub(crate) const OVERFLOWS: i32 = 3;
    pub(crate) const FAILS: i32 = 4;
    pub(crate) const PANICS: i32 = 5;
    pub(crate) const CANCELS: i32 = 6;
    /// Of a wait without a time limit.
    pub(crate) const WAITS: i32 = 7;
}

/// How many kinds of step there are. Others do nothing.
pub(crate) const KINDS: u8 = 28;

/// A step is its kind, three bytes, and a number of 32 bits, which most steps do not use. Each
/// thread does at most a few hundred; some go on for ever.
pub(crate) const TEXT: &str = r#"(module
  (import "env" "memory" (memory 2 4 shared))
  (import "wasi" "thread-spawn" (func $spawn (param i32) (result i32)))
  (import "host" "note" (func $note (param i32 i32)))
  (import "host" "fail" (func $fail))
  (import "host" "panic" (func $panic))
  (import "host" "cancel" (func $cancel))
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_close" (func $fd_close (param i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_renumber" (func $fd_renumber (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_seek" (func $fd_seek (param i32 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_readdir" (func $fd_readdir (param i32 i32 i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_open"
    (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_unlink_file" (func $unlink (param i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "sched_yield" (func $yield (result i32)))
  (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (export "memory" (memory 0))
  (table 1 funcref)
  (elem (i32.const 0) $deeper)
  (type $void (func))

  (func $deeper (call_indirect (type $void) (i32.const 0)) (call_indirect (type $void) (i32.const 0)))

  ;; A subscription to the monotonic clock, in so many nanoseconds.
  (func $subscribe (param $at i32) (param $time i64)
    (i64.store (local.get $at) (i64.const 1))
    (i32.store8 offset=8 (local.get $at) (i32.const 0))
    (i32.store offset=16 (local.get $at) (i32.const 1))
    (i64.store offset=24 (local.get $at) (local.get $time))
    (i64.store offset=32 (local.get $at) (i64.const 0))
    (i64.store offset=40 (local.get $at) (i64.const 0)))

  ;; One buffer of the thread's own.
  (func $buffer (param $own i32) (param $length i32)
    (i32.store (local.get $own) (i32.add (local.get $own) (i32.const 256)))
    (i32.store offset=4 (local.get $own) (local.get $length)))

  ;; Microseconds times 20; 255 is for ever.
  (func $time (param $c i32) (result i64)
    (if (result i64) (i32.eq (local.get $c) (i32.const 255))
      (then (call $note (i32.const 7) (i32.const 0)) (i64.const -1))
      (else (i64.mul (i64.extend_i32_u (local.get $c)) (i64.const 20000)))))

  (func $run (param $block i32) (param $own i32)
    (local $pc i32) (local $left i32) (local $at i32)
    (local $a i32) (local $b i32) (local $c i32) (local $n i32) (local $fd i32) (local $word i32)
    (local.set $left (i32.const 300))
    (local.set $fd (i32.const 3))
    (block $done (loop $next
      (br_if $done (i32.eqz (local.get $left)))
      (br_if $done (i32.ge_u (local.get $pc) (i32.const 16)))
      (local.set $left (i32.sub (local.get $left) (i32.const 1)))
      (local.set $at (i32.add (i32.const 4096)
        (i32.add (i32.mul (local.get $block) (i32.const 128)) (i32.mul (local.get $pc) (i32.const 8)))))
      (local.set $pc (i32.add (local.get $pc) (i32.const 1)))
      (local.set $a (i32.load8_u offset=1 (local.get $at)))
      (local.set $b (i32.load8_u offset=2 (local.get $at)))
      (local.set $c (i32.load8_u offset=3 (local.get $at)))
      (local.set $n (i32.load offset=4 (local.get $at)))
      (local.set $word (i32.mul (i32.and (local.get $a) (i32.const 7)) (i32.const 8)))
      (block $27 (block $26 (block $25 (block $24 (block $23 (block $22 (block $21 (block $20
      (block $19 (block $18 (block $17 (block $16 (block $15 (block $14 (block $13 (block $12
      (block $11 (block $10 (block $9 (block $8 (block $7 (block $6 (block $5 (block $4
      (block $3 (block $2 (block $1 (block $0
        (br_table $0 $1 $2 $3 $4 $5 $6 $7 $8 $9 $10 $11 $12 $13 $14 $15 $16 $17 $18 $19 $20 $21 $22
          $23 $24 $25 $26 $27 $next (i32.load8_u (local.get $at))))
      ;; 0: nothing more
      (br $done))
      ;; 1: starts a thread
      (drop (call $spawn (i32.and (local.get $a) (i32.const 7)))) (br $next))
      ;; 2: waits on a word
      (drop (memory.atomic.wait32 (local.get $word) (local.get $b) (call $time (local.get $c)))) (br $next))
      ;; 3: notifies
      (drop (memory.atomic.notify (local.get $word) (local.get $b))) (br $next))
      ;; 4: adds to a word
      (drop (i32.atomic.rmw.add (local.get $word) (local.get $b))) (br $next))
      ;; 5: sleeps
      (call $subscribe (i32.add (local.get $own) (i32.const 64))
        (i64.mul (i64.extend_i32_u (local.get $c)) (i64.const 20000)))
      (drop (call $poll (i32.add (local.get $own) (i32.const 64)) (i32.add (local.get $own) (i32.const 192))
        (i32.const 1) (i32.add (local.get $own) (i32.const 16)))) (br $next))
      ;; 6: writes
      (call $buffer (local.get $own) (local.get $b))
      (drop (call $fd_write (local.get $fd) (local.get $own) (i32.const 1)
        (i32.add (local.get $own) (i32.const 16)))) (br $next))
      ;; 7: opens a file
      (if (i32.eqz (call $path_open (i32.const 3) (i32.const 1)
            (i32.add (i32.const 3072) (i32.and (local.get $a) (i32.const 3))) (i32.const 1)
            (i32.and (local.get $b) (i32.const 15)) (i64.const 0x1fffffff) (i64.const 0x1fffffff)
            (i32.and (local.get $c) (i32.const 5)) (i32.add (local.get $own) (i32.const 16))))
        (then (local.set $fd (i32.load offset=16 (local.get $own))))) (br $next))
      ;; 8: closes what it opened last
      (drop (call $fd_close (local.get $fd))) (br $next))
      ;; 9: reads
      (call $buffer (local.get $own) (local.get $b))
      (drop (call $fd_read (local.get $fd) (local.get $own) (i32.const 1)
        (i32.add (local.get $own) (i32.const 16)))) (br $next))
      ;; 10: exits
      (call $note (i32.const 1) (local.get $a)) (call $exit (local.get $a)) (unreachable))
      ;; 11: traps
      (call $note (i32.const 2) (i32.const 0)) (unreachable))
      ;; 12: computes
      (local.set $n (i32.and (local.get $n) (i32.const 0xffff)))
      (loop $turn
        (local.set $n (i32.sub (local.get $n) (i32.const 1)))
        (br_if $turn (i32.gt_s (local.get $n) (i32.const 0)))) (br $next))
      ;; 13: goes to another step
      (local.set $pc (i32.and (local.get $a) (i32.const 15))) (br $next))
      ;; 14: polls a descriptor, and a clock
      (call $subscribe (i32.add (local.get $own) (i32.const 64))
        (i64.mul (i64.extend_i32_u (local.get $c)) (i64.const 20000)))
      (i64.store offset=112 (local.get $own) (i64.const 2))
      (i32.store8 offset=120 (local.get $own)
        (i32.add (i32.const 1) (i32.and (local.get $b) (i32.const 1))))
      (i32.store offset=128 (local.get $own) (i32.and (local.get $a) (i32.const 7)))
      (drop (call $poll (i32.add (local.get $own) (i32.const 64)) (i32.add (local.get $own) (i32.const 192))
        (i32.const 2) (i32.add (local.get $own) (i32.const 16)))) (br $next))
      ;; 15: yields
      (drop (call $yield)) (br $next))
      ;; 16: fills and copies memory
      (memory.fill (i32.const 0x11000) (local.get $a) (i32.and (local.get $n) (i32.const 0x7fff)))
      (memory.copy (i32.const 0x18000) (i32.const 0x11000) (i32.and (local.get $n) (i32.const 0x7fff)))
      (br $next))
      ;; 17: grows the memory
      (drop (memory.grow (i32.and (local.get $a) (i32.const 1)))) (br $next))
      ;; 18: is ended from outside
      (call $note (i32.const 6) (i32.const 0)) (call $cancel) (br $next))
      ;; 19: waits on a long word
      (drop (memory.atomic.wait64 (local.get $word) (i64.extend_i32_u (local.get $b))
        (call $time (local.get $c)))) (br $next))
      ;; 20: renumbers
      (drop (call $fd_renumber (local.get $fd) (i32.and (local.get $a) (i32.const 15)))) (br $next))
      ;; 21: seeks; a number that stands for nothing would be a trap
      (drop (call $fd_seek (local.get $fd) (i64.extend_i32_s (local.get $n)) (i32.rem_u (local.get $a) (i32.const 3))
        (i32.add (local.get $own) (i32.const 16)))) (br $next))
      ;; 22: removes a file
      (drop (call $unlink (i32.const 3)
        (i32.add (i32.const 3072) (i32.and (local.get $a) (i32.const 3))) (i32.const 1))) (br $next))
      ;; 23: computes for ever
      (loop $for_ever (br $for_ever)))
      ;; 24: overflows its stack
      (call $note (i32.const 3) (i32.const 0)) (call $deeper) (br $next))
      ;; 25: a host function fails or panics
      (if (i32.and (local.get $a) (i32.const 1))
        (then (call $note (i32.const 5) (i32.const 0)) (call $panic))
        (else (call $note (i32.const 4) (i32.const 0)) (call $fail))) (br $next))
      ;; 26: lists the folder
      (drop (call $fd_readdir (i32.const 3) (i32.add (local.get $own) (i32.const 256)) (i32.const 200)
        (i64.extend_i32_u (local.get $a)) (i32.add (local.get $own) (i32.const 16)))) (br $next))
      ;; 27: random bytes, or a pipe that nobody writes to
      (if (i32.and (local.get $a) (i32.const 1))
        (then (drop (call $random (i32.add (local.get $own) (i32.const 256)) (local.get $b))))
        (else
          (call $buffer (local.get $own) (local.get $b))
          (drop (call $fd_read (i32.const 4) (local.get $own) (i32.const 1)
            (i32.add (local.get $own) (i32.const 16))))))
      (br $next))))

  (func (export "wasi_thread_start") (param $id i32) (param $block i32)
    (call $run (local.get $block)
      (i32.add (i32.const 8192) (i32.mul (i32.and (local.get $id) (i32.const 63)) (i32.const 512)))))
  (func (export "_start")
    (call $run (i32.const 0) (i32.const 8192))
    (call $note (i32.const 0) (i32.const 0))))"#;
