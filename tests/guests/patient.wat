;; Main waits for another thread for an hour, and exits with 9 if the hour passed.
(module
  (import "env" "memory" (memory 1 1 shared))
  (import "wasi" "thread-spawn" (func $spawn (param i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (export "memory" (memory 0))
  (func (export "wasi_thread_start") (param i32 i32)
    (i32.atomic.store (i32.const 0) (i32.const 1))
    (drop (memory.atomic.notify (i32.const 0) (i32.const 1))))
  (func (export "_start") (local $waited i32)
    (drop (call $spawn (i32.const 0)))
    (local.set $waited
      (memory.atomic.wait32 (i32.const 0) (i32.const 0) (i64.const 3600000000000)))
    (if (i32.eq (local.get $waited) (i32.const 2)) (then (call $exit (i32.const 9))))))
