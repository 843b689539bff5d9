//! The walk along frame pointers, and the scan of a stack for where such a walk begins.
//!
//! Runs in signal handlers, on the thread whose stack it is: it allocates nothing, takes no lock,
//! and reads only between the stack pointer and the end of the stack.

use std::sync::atomic::Ordering;

use super::super::{Code, HARMLESS};
use super::slots::{FRAMES, HostSlot};

/// How much of a stack is looked through for the first frame of wasm.
const SCAN: usize = 256 << 10;

/// How many frames are followed for that, from all places together. A stack of wasm has no more. A
/// handler that followed so many from each place would take minutes.
const FOLLOWED: usize = 1 << 20;

/// What a thread was at when the signal came.
#[derive(Clone, Copy)]
pub(super) struct Registers {
    pub(super) pc: usize,
    fp: usize,
    sp: usize,
    /// The return address of a function that has not saved it on the stack yet, on processors that
    /// have a register for it.
    link: usize,
}

impl Registers {
    /// The registers of the calling thread, which is in host code: only the depth of its stack
    /// matters there.
    #[inline(never)]
    pub(super) fn here() -> Self {
        let here = 0_usize;
        Self {
            pc: 0,
            fp: 0,
            sp: std::hint::black_box(&raw const here).addr(),
            link: 0,
        }
    }

    /// Those in `context`.
    ///
    /// # Safety
    ///
    /// `context` is what the kernel gave a handler, which is running.
    #[allow(clippy::cast_sign_loss, reason = "addresses")]
    pub(super) unsafe fn of(context: *const libc::c_void) -> Self {
        // SAFETY: the kernel gives handlers with `SA_SIGINFO` a `ucontext_t`.
        let context = unsafe { &*context.cast::<libc::ucontext_t>() };
        #[cfg(target_arch = "x86_64")]
        {
            let registers = &context.uc_mcontext.gregs;
            Self {
                pc: registers[libc::REG_RIP as usize] as usize,
                fp: registers[libc::REG_RBP as usize] as usize,
                sp: registers[libc::REG_RSP as usize] as usize,
                link: 0,
            }
        }
        #[cfg(target_arch = "aarch64")]
        {
            let registers = &context.uc_mcontext;
            Self {
                pc: registers.pc as usize,
                fp: registers.regs[29] as usize,
                sp: registers.sp as usize,
                link: registers.regs[30] as usize,
            }
        }
    }
}

/// The part of the calling thread's stack that is in use: from the stack pointer upwards.
struct StackInUse {
    from: usize,
    /// To here it is mapped; beyond, up to the end, it is asked for each word.
    sure: usize,
    end: usize,
}

impl StackInUse {
    /// The word at `address`, if it is on the stack.
    fn word(&self, address: usize) -> Option<usize> {
        let fits = address >= self.from
            && address.is_multiple_of(size_of::<usize>())
            && address.checked_add(size_of::<usize>())? <= self.end
            && (address < self.sure || is_readable(address));
        // SAFETY: it lies within the part of the calling thread's own stack that is in use, so it
        // is mapped, and no other thread writes it. Or, where a fiber's stack may have ended
        // before, the system has just read it. It is aligned. Its meaning is not relied on.
        fits.then(|| unsafe { *std::ptr::with_exposed_provenance::<usize>(address) })
    }
}

/// Whether the system can read the word at `address`.
fn is_readable(address: usize) -> bool {
    let none = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    let operation = libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG;
    // SAFETY: the system reads four aligned bytes, or says that it cannot; if they are 0, it waits
    // for no time. `errno` is the thread's, and the handlers put it back.
    unsafe {
        let word = std::ptr::with_exposed_provenance::<u32>(address);
        libc::syscall(libc::SYS_futex, word, operation, 0, &raw const none, 0, 0) == 0
            || *libc::__errno_location() != libc::EFAULT
    }
}

/// Writes where in wasm the calling thread is into the slot, which is that thread's. In wasm the
/// walk begins with the registers. In host code it begins with the first frame on the stack from
/// which a chain leads through wasm to a trampoline.
pub(super) fn write(slot: &HostSlot, registers: &Registers) {
    let mut len = 0;
    let mut push = |address: usize| {
        if let Some(frame) = slot.frames.get(len) {
            frame.store(address, Ordering::Relaxed);
        }
        len += 1;
        len <= FRAMES
    };
    let in_wasm = is_in_wasm(slot, registers);
    walk(slot, registers, &mut push);
    slot.in_wasm.store(u32::from(in_wasm), Ordering::Relaxed);
    slot.len.store(len, Ordering::Relaxed);
}

/// Whether the thread, whose slot this is, executes code of its group, on its own stack.
pub(super) fn is_in_wasm(slot: &HostSlot, registers: &Registers) -> bool {
    let has = |code: &Code| code.has(registers.pc);
    has_stack(slot, registers.sp) && slot.code().is_some_and(has)
}

fn has_stack(slot: &HostSlot, sp: usize) -> bool {
    (slot.low.load(Ordering::Relaxed)..slot.high.load(Ordering::Relaxed)).contains(&sp)
}

/// Gives `push` where in wasm the calling thread is, the innermost first, until `push` returns
/// false. The slot is the calling thread's.
pub(super) fn walk(slot: &HostSlot, registers: &Registers, push: &mut impl FnMut(usize) -> bool) {
    if let Some(code) = slot.code()
        && has_stack(slot, registers.sp)
    {
        let high = slot.high.load(Ordering::Relaxed);
        let stack = StackInUse {
            from: registers.sp,
            sure: slot.sure.load(Ordering::Relaxed),
            end: high,
        };
        if code.has(registers.pc) {
            from_registers(code, &stack, registers, push);
        } else {
            let word = slot.word() & !HARMLESS;
            let start = registers.sp.max(if word < high { word } else { 0 });
            from_scan(code, &stack, start, push);
        }
    }
}

/// From the instruction the thread is at.
fn from_registers(
    code: &Code,
    stack: &StackInUse,
    registers: &Registers,
    push: &mut impl FnMut(usize) -> bool,
) {
    if !push(registers.pc) {
        return;
    }
    if let Some(caller) = without_frame(stack, registers)
        && (!code.has(caller) || !push(caller))
    {
        return;
    }
    along(code, stack, registers.fp, push);
}

/// The return address of a function whose frame is not there yet, or no longer. `None` if the frame
/// is there. Wasmtime gives every function a frame, leaves and trampolines included, so all have
/// the same first and last instructions.
fn without_frame(stack: &StackInUse, registers: &Registers) -> Option<usize> {
    let Registers { pc, sp, link, .. } = *registers;
    let bytes = |from: usize, len: usize| {
        // SAFETY: `pc` lies in a text of a module, which is mapped and readable. Texts are padded,
        // so no function has the first or the last few bytes of their pages; at most two words
        // around an instruction are read.
        unsafe { std::slice::from_raw_parts(std::ptr::with_exposed_provenance::<u8>(from), len) }
    };
    if cfg!(target_arch = "x86_64") {
        let _ = link;
        match bytes(pc, 1) {
            // `ret`, and the one that takes arguments off.
            [0xc3 | 0xc2] => stack.word(sp),
            // `push %rbp`, before `mov %rsp, %rbp`.
            [0x55] if bytes(pc, 4) == [0x55, 0x48, 0x89, 0xe5] => stack.word(sp),
            // `mov %rsp, %rbp`, behind `push %rbp`.
            [0x48] if bytes(pc, 3) == [0x48, 0x89, 0xe5] && bytes(pc - 1, 1) == [0x55] => {
                stack.word(sp.wrapping_add(8))
            }
            _ => None,
        }
    } else {
        let instruction = |at: usize| {
            let bytes = bytes(at, 4);
            u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
        };
        // `ret`; `stp x29, x30, [sp, #-16]!`, perhaps behind `paciasp`; `mov x29, sp` behind it.
        match instruction(pc) {
            0xd65f_03c0 | 0xa9bf_7bfd | 0xd503_233f => Some(link),
            0x9100_03fd if instruction(pc - 4) == 0xa9bf_7bfd => Some(link),
            _ => None,
        }
    }
}

/// Along the chain of frames from `fp` on, as long as it stays in wasm.
fn along(code: &Code, stack: &StackInUse, mut fp: usize, push: &mut impl FnMut(usize) -> bool) {
    while let Some((next, pc)) = frame(stack, fp) {
        if !code.has(pc) || !push(pc) || next <= fp {
            return;
        }
        fp = next;
    }
}

/// The frame at `fp`: the frame pointer of its caller, and where it returns to.
fn frame(stack: &StackInUse, fp: usize) -> Option<(usize, usize)> {
    let next = stack.word(fp)?;
    let pc = stack.word(fp.wrapping_add(size_of::<usize>()))?;
    Some((next, pc))
}

/// From the first frame of wasm above `start`.
fn from_scan(code: &Code, stack: &StackInUse, start: usize, push: &mut impl FnMut(usize) -> bool) {
    let mut at = start.next_multiple_of(size_of::<usize>());
    let end = stack.end.min(at.saturating_add(SCAN));
    let mut left = FOLLOWED;
    while at < end && left > 0 {
        if let Some((next, pc)) = frame(stack, at)
            && next > at
            && code.has(pc)
            // The call into the host goes through a trampoline, whose own frame is this one.
            && code.is_body(pc) != Some(false)
            && ends_well(code, stack, next, &mut left)
        {
            push(pc);
            along(code, stack, next, push);
            return;
        }
        at += size_of::<usize>();
    }
}

/// Whether the frames from `fp` on are wasm's, down to a trampoline that host code called. Follows
/// at most `left` frames, and subtracts those that it has followed from `left`.
fn ends_well(code: &Code, stack: &StackInUse, mut fp: usize, left: &mut usize) -> bool {
    let mut last_is_trampoline = false;
    while *left > 0 {
        *left -= 1;
        let Some((next, pc)) = frame(stack, fp) else {
            return false;
        };
        if !code.has(pc) {
            return last_is_trampoline;
        }
        last_is_trampoline = code.is_body(pc) != Some(true);
        if next <= fp {
            return false;
        }
        fp = next;
    }
    false
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use wasmtime::{Engine, Module};

    use super::*;

    fn scanned(code: &Code, words: &[usize]) -> Vec<usize> {
        let from = words.as_ptr().expose_provenance();
        let end = from + size_of_val(words);
        let stack = StackInUse {
            from,
            sure: end,
            end,
        };
        let mut found = Vec::new();
        from_scan(code, &stack, from, &mut |address| {
            found.push(address);
            true
        });
        found
    }

    /// A stack full of pairs that look like frames. Each leads through all those behind it to
    /// nothing.
    #[test]
    fn a_scan_has_an_end_whatever_is_on_the_stack() {
        let bytes = wat::parse_str("(module (func (export \"f\")))").unwrap();
        let module = Module::new(&Engine::default(), bytes).unwrap();
        let function = module.functions().next().unwrap();
        let code = Code::new(std::iter::once(module.clone()));
        code.list_bodies();
        let body = code.texts()[0].start + function.offset + 1;
        let outside = code.texts()[0].end;
        let trampoline = (code.texts()[0].clone())
            .find(|address| code.is_body(*address) == Some(false))
            .unwrap();

        let frames = 1 << 20;
        let mut words = vec![0_usize; 2 * frames];
        let begin = words.as_ptr().expose_provenance();
        for frame in 0..frames {
            words[2 * frame] = begin + 2 * (frame + 1) * size_of::<usize>();
            words[2 * frame + 1] = body;
        }
        words[2 * frames - 1] = outside;
        let began = Instant::now();
        assert!(scanned(&code, &words).is_empty());
        assert!(began.elapsed() < Duration::from_secs(20));

        // One that is a stack of wasm, behind one that is not, is found.
        let at = |word: usize| begin + word * size_of::<usize>();
        words[..8].fill(0);
        (words[0], words[1]) = (at(4), body);
        (words[4], words[5]) = (at(6), outside);
        (words[8], words[9]) = (at(10), body);
        (words[10], words[11]) = (at(12), trampoline);
        (words[12], words[13]) = (0, outside);
        assert_eq!(scanned(&code, &words), [body, trampoline]);
    }
}
