;; Two threads add 1 to a word, each with a load and a store. Status 3 if an addition is lost.
(module
  (import "env" "memory" (memory 1 1 shared))
  (import "wasi" "thread-spawn" (func $spawn (param i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (export "memory" (memory 0))
  (func (export "wasi_thread_start") (param i32 i32)
    (i32.atomic.store (i32.const 0)
      (i32.add (i32.atomic.load (i32.const 0)) (i32.const 1)))
    (drop (i32.atomic.rmw.add (i32.const 4) (i32.const 1)))
    (drop (memory.atomic.notify (i32.const 4) (i32.const -1))))
  (func (export "_start") (local $n i32)
    (drop (call $spawn (i32.const 0)))
    (drop (call $spawn (i32.const 0)))
    (loop $again
      (local.set $n (i32.atomic.load (i32.const 4)))
      (if (i32.ne (local.get $n) (i32.const 2))
        (then
          (drop (memory.atomic.wait32 (i32.const 4) (local.get $n) (i64.const -1)))
          (br $again))))
    (if (i32.ne (i32.atomic.load (i32.const 0)) (i32.const 2))
      (then (call $exit (i32.const 3))))))
