# The entry of a spawned thread (wasi-threads: `wasi_thread_start`, called with
# the thread id and the pointer given to `thread-spawn`). In assembly because
# every instance starts with its own `__stack_pointer`, which must be set before
# any C code runs.
#
# The pointer is to a `struct thread` (thread.h), whose first two words are the
# top of the thread's stack and the word its joiner waits on. That word is set
# here, after the C code has returned, so that the stack can be used again the
# moment a join returns.
	.globaltype	__stack_pointer, i32
	.functype	guest_thread_main (i32, i32) -> ()
	.export_name	wasi_thread_start, wasi_thread_start
	.globl	wasi_thread_start
	.type	wasi_thread_start,@function
wasi_thread_start:
	.functype	wasi_thread_start (i32, i32) -> ()
	local.get	1
	i32.load	0
	global.set	__stack_pointer
	local.get	0
	local.get	1
	call	guest_thread_main
	local.get	1
	i32.const	1
	i32.atomic.store	4
	local.get	1
	i32.const	-1
	memory.atomic.notify	4
	drop
	end_function
