;; Prints its arguments and its environment, one to a line.
(module
  (import "wasi_snapshot_preview1" "args_sizes_get" (func $args_sizes (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_get" (func $args (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_sizes_get" (func $env_sizes (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_get" (func $env (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 2)

  (func $write (param $at i32) (param $length i32)
    (i32.store (i32.const 32) (local.get $at))
    (i32.store (i32.const 36) (local.get $length))
    (if (call $fd_write (i32.const 1) (i32.const 32) (i32.const 1) (i32.const 40))
      (then unreachable)))

  ;; Prints $count strings whose addresses start at 1024.
  (func $print_all (param $count i32)
    (local $i i32) (local $at i32) (local $length i32)
    (block $done
      (loop $each
        (br_if $done (i32.eq (local.get $i) (local.get $count)))
        (local.set $at (i32.load offset=1024 (i32.mul (local.get $i) (i32.const 4))))
        (local.set $length (i32.const 0))
        (block $end
          (loop $byte
            (br_if $end (i32.eqz (i32.load8_u (i32.add (local.get $at) (local.get $length)))))
            (local.set $length (i32.add (local.get $length) (i32.const 1)))
            (br $byte)))
        (call $write (local.get $at) (local.get $length))
        (i32.store8 (i32.const 48) (i32.const 10))
        (call $write (i32.const 48) (i32.const 1))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br $each))))

  (func (export "_start")
    (if (call $args_sizes (i32.const 0) (i32.const 4)) (then unreachable))
    (if (call $args (i32.const 1024) (i32.const 16384)) (then unreachable))
    (call $print_all (i32.load (i32.const 0)))
    (if (call $env_sizes (i32.const 0) (i32.const 4)) (then unreachable))
    (if (call $env (i32.const 1024) (i32.const 16384)) (then unreachable))
    (call $print_all (i32.load (i32.const 0)))))
