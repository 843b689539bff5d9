//! Host calls, side by side with native code and with the peers; see `benches`.

fn main() -> Result<(), benches::Failure> {
    benches::main("Host calls", &benches::rows::calls())
}
