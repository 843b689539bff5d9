//! spin up to 0.9.7, RUSTSEC-2023-0031, zesterer/spin-rs#148: a thread that waits for an
//! initialisation that fails gets a value that is not there.

static ONCE: spin::Once<Box<u32>> = spin::Once::new();

pub fn run() {
    let fails = std::thread::spawn(|| {
        let _ = ONCE.try_call_once(|| {
            std::thread::yield_now();
            Err(())
        });
    });
    let value = **ONCE.call_once(|| Box::new(7));
    fails.join().unwrap();
    assert_eq!(value, 7);
}
