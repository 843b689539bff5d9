;; Makes each of a few calls 100 times, behind a look at a file whose name says which:
;; scripts/p1-strace.sh counts the system calls between one such name and the next.
(module
  (import "wasi_snapshot_preview1" "path_open"
    (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_filestat_get" (func $stat (param i32 i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_unlink_file" (func $unlink (param i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_pread" (func $pread (param i32 i32 i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_pwrite" (func $pwrite (param i32 i32 i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_seek" (func $seek (param i32 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_tell" (func $tell (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_fdstat_get" (func $fdstat (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_filestat_get" (func $filestat (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_close" (func $close (param i32) (result i32)))
  (import "wasi_snapshot_preview1" "clock_time_get" (func $clock (param i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "sched_yield" (func $yield (result i32)))
  (memory (export "memory") 4)
  ;; Four buffers of 16 KiB from 64 KiB on.
  (data (i32.const 0) "\00\00\01\00\00\40\00\00\00\40\01\00\00\40\00\00\00\80\01\00\00\40\00\00\00\c0\01\00\00\40\00\00")
  (data (i32.const 64) "scratch")
  (data (i32.const 128) "at-clock_time_get   at-fd_tell          at-fd_pread         at-fd_pwrite        at-fd_read          ")
  (data (i32.const 228) "at-fd_write         at-fd_fdstat_get    at-fd_filestat_get  at-random_get       at-sched_yield      ")
  (data (i32.const 328) "at-path_filestat_getat-path_open-close  at-the-end          ")
  (global $fd (mut i32) (i32.const 0))

  (func $must (param $errno i32)
    (if (local.get $errno) (then unreachable)))

  ;; The marker of row $row: names are 20 bytes each, filled up with spaces. Nothing has such a
  ;; name.
  (func $mark (param $row i32)
    (drop (call $stat (i32.const 3) (i32.const 0) (i32.add (i32.const 128) (i32.mul (local.get $row) (i32.const 20)))
      (i32.const 20) (i32.const 1024))))

  (func $make (param $row i32) (result i32)
    (block $open (block $pstat (block $yield (block $random (block $filestat (block $fdstat (block $write (block $read
      (block $pwrite (block $pread (block $tell (block $clock
        (br_table $clock $tell $pread $pwrite $read $write $fdstat $filestat $random $yield $pstat $open (local.get $row)))
      (return (call $clock (i32.const 1) (i64.const 1) (i32.const 1024))))
      (return (call $tell (global.get $fd) (i32.const 1024))))
      (return (call $pread (global.get $fd) (i32.const 0) (i32.const 4) (i64.const 0) (i32.const 1024))))
      (return (call $pwrite (global.get $fd) (i32.const 0) (i32.const 4) (i64.const 0) (i32.const 1024))))
      (return (call $read (global.get $fd) (i32.const 0) (i32.const 4) (i32.const 1024))))
      (return (call $write (global.get $fd) (i32.const 0) (i32.const 4) (i32.const 1024))))
      (return (call $fdstat (global.get $fd) (i32.const 1024))))
      (return (call $filestat (global.get $fd) (i32.const 1024))))
      (return (call $random (i32.const 2048) (i32.const 32))))
      (return (call $yield)))
      (return (call $stat (i32.const 3) (i32.const 1) (i32.const 64) (i32.const 7) (i32.const 1024))))
    (call $must (call $open (i32.const 3) (i32.const 1) (i32.const 64) (i32.const 7) (i32.const 0) (i64.const 66)
      (i64.const 66) (i32.const 0) (i32.const 1024)))
    (call $close (i32.load (i32.const 1024))))

  (func (export "_start")
    (local $row i32) (local $n i32)
    ;; To be read and written, made and cut to nothing.
    (call $must (call $open (i32.const 3) (i32.const 1) (i32.const 64) (i32.const 7) (i32.const 9) (i64.const 66)
      (i64.const 66) (i32.const 0) (i32.const 1024)))
    (global.set $fd (i32.load (i32.const 1024)))
    (call $must (call $make (i32.const 3)))
    ;; What is done only once is done here.
    (call $mark (i32.const 12))
    (loop $rows
      (call $mark (local.get $row))
      (local.set $n (i32.const 100))
      (loop $calls
        (call $must (call $make (local.get $row)))
        (br_if $calls (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
      (br_if $rows (i32.lt_u (local.tee $row (i32.add (local.get $row) (i32.const 1))) (i32.const 12))))
    (call $mark (i32.const 12))
    (drop (call $seek (global.get $fd) (i64.const 0) (i32.const 0) (i32.const 1024)))
    (call $must (call $close (global.get $fd)))
    (call $must (call $unlink (i32.const 3) (i32.const 64) (i32.const 7)))))
