//! The allocator of a binary whose C library is musl. musl's own has one lock for all threads. With
//! many threads, and blocks of some size, it takes 4 to 50 times as long.

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
