;; Counts primes on several threads: a whole wasi-threads program in one file.
;;
;;     wasi-threads-run examples/primes.wat [THREADS [LIMIT]]
;;
;; prints how many primes lie below LIMIT (2,000,000 unless told), how many
;; threads counted them (4 unless told, 64 at most) and how long it took.
;;
;; What makes it a wasi-threads program are four things, marked (1) to (4):
;; it imports a shared memory, imports `thread-spawn`, exports
;; `wasi_thread_start`, and talks between threads through atomic instructions.
(module
  ;; WASI preview1: what the program asks of the world outside.
  (import "wasi_snapshot_preview1" "args_sizes_get"
    (func $args_sizes_get (param $argc_at i32) (param $bytes_at i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_get"
    (func $args_get (param $argv_at i32) (param $buffer_at i32) (result i32)))
  (import "wasi_snapshot_preview1" "clock_time_get"
    (func $clock_time_get (param $clock i32) (param $precision i64) (param $time_at i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write"
    (func $fd_write (param $fd i32) (param $iovecs i32) (param $count i32) (param $written_at i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit"
    (func $proc_exit (param $status i32)))

  ;; (1) One memory for all threads: imported, so that each thread's instance
  ;; gets the same one, and `shared`, which needs a maximum (here 64 KiB pages,
  ;; 1 of 1). It is exported again because that is where WASI looks for it.
  (import "env" "memory" (memory $memory 1 1 shared))
  (export "memory" (memory $memory))

  ;; (2) Starts a thread. The argument is handed to the thread; the result is
  ;; the new thread's id, above 0, or a negative number if there is none.
  (import "wasi" "thread-spawn" (func $thread_spawn (param $argument i32) (result i32)))

  ;; Where things are in the memory. It starts as all zeros; nothing is stored
  ;; into it when an instance is made, because one is made for every thread.
  ;;    0  next number not looked at yet            (atomic)
  ;;    4  primes found                             (atomic)
  ;;    8  threads still counting                   (atomic; waited on)
  ;;   12  LIMIT                                    (written before any thread starts)
  ;;   16  time, as clock_time_get gives it
  ;;   32  the length and the text being put together for printing
  ;; 1024  argv, then the arguments' bytes
  (global $next i32 (i32.const 0))
  (global $found i32 (i32.const 4))
  (global $counting i32 (i32.const 8))
  (global $limit i32 (i32.const 12))
  (global $time i32 (i32.const 16))
  (global $iovec i32 (i32.const 32))  ;; address, length, bytes written
  (global $text i32 (i32.const 48))
  (global $argc i32 (i32.const 1024))
  (global $argv i32 (i32.const 1032))
  (global $batch i32 (i32.const 2000))  ;; numbers a thread takes at a time

  (func $is_prime (param $n i32) (result i32)
    (local $d i32)
    (if (i32.lt_u (local.get $n) (i32.const 2)) (then (return (i32.const 0))))
    (if (i32.lt_u (local.get $n) (i32.const 4)) (then (return (i32.const 1))))
    (if (i32.eqz (i32.and (local.get $n) (i32.const 1))) (then (return (i32.const 0))))
    (local.set $d (i32.const 3))
    (block $prime
      (loop $divide
        (br_if $prime (i64.gt_u (i64.mul (i64.extend_i32_u (local.get $d)) (i64.extend_i32_u (local.get $d)))
                                (i64.extend_i32_u (local.get $n))))
        (if (i32.eqz (i32.rem_u (local.get $n) (local.get $d))) (then (return (i32.const 0))))
        (local.set $d (i32.add (local.get $d) (i32.const 2)))
        (br $divide)))
    (i32.const 1))

  ;; What each thread does: take a batch, count in it, add to the sum, again.
  (func $count
    (local $n i32) (local $end i32) (local $limit_ i32) (local $here i32)
    (local.set $limit_ (i32.load (global.get $limit)))
    (block $done
      (loop $take
        ;; Reads the number and moves it on in one step, so that no two threads
        ;; ever take the same batch.
        (local.set $n (i32.atomic.rmw.add (global.get $next) (global.get $batch)))
        (br_if $done (i32.ge_u (local.get $n) (local.get $limit_)))
        (local.set $end (i32.add (local.get $n) (global.get $batch)))
        (if (i32.gt_u (local.get $end) (local.get $limit_)) (then (local.set $end (local.get $limit_))))
        (local.set $here (i32.const 0))
        (loop $each
          (local.set $here (i32.add (local.get $here) (call $is_prime (local.get $n))))
          (local.set $n (i32.add (local.get $n) (i32.const 1)))
          (br_if $each (i32.lt_u (local.get $n) (local.get $end))))
        (drop (i32.atomic.rmw.add (global.get $found) (local.get $here)))
        (br $take))))

  ;; (3) Where a spawned thread begins, in an instance of its own on the shared
  ;; memory: globals and tables are the thread's own, the memory is shared by all.
  (func (export "wasi_thread_start") (param $thread_id i32) (param $argument i32)
    (call $count)
    ;; (4) Done: one thread less is counting; wake the main thread to look.
    (drop (i32.atomic.rmw.sub (global.get $counting) (i32.const 1)))
    (drop (memory.atomic.notify (global.get $counting) (i32.const 1))))

  (func (export "_start")
    (local $threads i32) (local $i i32) (local $left i32) (local $start i64)
    (call $read_arguments)
    (local.set $threads (call $argument_or (i32.const 1) (i32.const 4)))
    (i32.store (global.get $limit) (call $argument_or (i32.const 2) (i32.const 2000000)))
    (if (i32.or (i32.eqz (local.get $threads)) (i32.gt_u (local.get $threads) (i32.const 64)))
      (then (call $put_words (i32.const 43) (i32.const 24))
            (call $print (i32.const 2))
            (call $proc_exit (i32.const 1))))

    (local.set $start (call $now))
    (i32.atomic.store (global.get $counting) (local.get $threads))
    (loop $spawn
      (if (i32.lt_s (call $thread_spawn (i32.const 0)) (i32.const 0))
        ;; No more threads to be had: go on with those there are.
        (then (drop (i32.atomic.rmw.sub (global.get $counting) (i32.const 1)))
              (local.set $threads (i32.sub (local.get $threads) (i32.const 1))))
        (else (local.set $i (i32.add (local.get $i) (i32.const 1)))))
      (br_if $spawn (i32.lt_u (local.get $i) (local.get $threads))))
    ;; The main thread counts only when it is alone.
    (if (i32.eqz (local.get $threads)) (then (call $count)))

    ;; Sleep until no thread is counting. The wait returns at once if the number
    ;; has changed since it was read, so no wake-up can be missed.
    (block $all_done
      (loop $wait
        (local.set $left (i32.atomic.load (global.get $counting)))
        (br_if $all_done (i32.eqz (local.get $left)))
        (drop (memory.atomic.wait32 (global.get $counting) (local.get $left) (i64.const -1)))
        (br $wait)))

    ;; "148933 primes below 2000000, counted by 4 threads in 103 ms"
    (call $put_number (i32.atomic.load (global.get $found)))
    (call $put_words (i32.const 0) (i32.const 14))
    (call $put_number (i32.load (global.get $limit)))
    (call $put_words (i32.const 14) (i32.const 13))
    (call $put_number (local.get $threads))
    (call $put_words (i32.const 27) (i32.const 12))
    (call $put_number (i32.wrap_i64 (i64.div_u (i64.sub (call $now) (local.get $start)) (i64.const 1000000))))
    (call $put_words (i32.const 39) (i32.const 4))
    (call $print (i32.const 1)))

  ;; ---- What a libc would do: arguments, time, printing. -------------------

  (func $now (result i64)
    ;; Clock 1 is the monotonic one, in nanoseconds.
    (drop (call $clock_time_get (i32.const 1) (i64.const 1) (global.get $time)))
    (i64.load (global.get $time)))

  (func $read_arguments
    (drop (call $args_sizes_get (global.get $argc) (i32.add (global.get $argc) (i32.const 4))))
    ;; argv, and behind it the bytes: 63 KiB is all there is.
    (if (i32.gt_u (i32.add (i32.mul (i32.load (global.get $argc)) (i32.const 4))
                           (i32.load offset=4 (global.get $argc)))
                  (i32.const 60000))
      (then (call $proc_exit (i32.const 1))))
    (drop (call $args_get (global.get $argv)
      (i32.add (global.get $argv) (i32.mul (i32.load (global.get $argc)) (i32.const 4))))))

  ;; Argument number $which as a number; $otherwise if there is none.
  (func $argument_or (param $which i32) (param $otherwise i32) (result i32)
    (local $at i32) (local $n i32) (local $digit i32)
    (if (i32.ge_u (local.get $which) (i32.load (global.get $argc))) (then (return (local.get $otherwise))))
    (local.set $at (i32.load (i32.add (global.get $argv) (i32.mul (local.get $which) (i32.const 4)))))
    (block $end
      (loop $next_digit
        (local.set $digit (i32.sub (i32.load8_u (local.get $at)) (i32.const 48)))
        (br_if $end (i32.gt_u (local.get $digit) (i32.const 9)))
        (local.set $n (i32.add (i32.mul (local.get $n) (i32.const 10)) (local.get $digit)))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br $next_digit)))
    (local.get $n))

  ;; Adds one byte to the text. iovec + 4 is the text's length.
  (func $put (param $byte i32)
    (i32.store8 (i32.add (global.get $text) (i32.load offset=4 (global.get $iovec))) (local.get $byte))
    (i32.store offset=4 (global.get $iovec) (i32.add (i32.load offset=4 (global.get $iovec)) (i32.const 1))))

  ;; The words of the messages. A passive segment: it is copied where it is
  ;; needed. An active one would be written into the shared memory again for
  ;; every thread that starts.
  (data $words " primes below , counted by  threads in  ms\nTHREADS must be 1 to 64\n")

  ;; Adds $length bytes of $words, from byte $from on.
  (func $put_words (param $from i32) (param $length i32)
    (memory.init $words
      (i32.add (global.get $text) (i32.load offset=4 (global.get $iovec)))
      (local.get $from) (local.get $length))
    (i32.store offset=4 (global.get $iovec)
      (i32.add (i32.load offset=4 (global.get $iovec)) (local.get $length))))

  (func $put_number (param $n i32)
    (if (i32.ge_u (local.get $n) (i32.const 10))
      (then (call $put_number (i32.div_u (local.get $n) (i32.const 10)))))
    (call $put (i32.add (i32.const 48) (i32.rem_u (local.get $n) (i32.const 10)))))

  ;; Writes the text in one call, so that threads' lines would not mix.
  (func $print (param $fd i32)
    (i32.store (global.get $iovec) (global.get $text))
    (drop (call $fd_write (local.get $fd) (global.get $iovec) (i32.const 1)
                          (i32.add (global.get $iovec) (i32.const 8))))
    (i32.store offset=4 (global.get $iovec) (i32.const 0))))
