//! Threads and waits, side by side with native code and with the peers; see `benches`.

fn main() -> Result<(), benches::Failure> {
    benches::main("Threads and waits", &benches::rows::spawn())
}
