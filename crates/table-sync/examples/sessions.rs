//! The table by itself, without WebAssembly: sessions of a server, found by handles that clients
//! hold, used by many threads at once.
//!
//! ```sh
//! cargo run -p table-sync --example sessions
//! ```
#![allow(clippy::print_stdout)]

use table_sync::{Error, Handle, Table};

/// A session in the table. Values of any type may be in it, and of different types at once.
struct Session {
    user: String,
    requests: u32,
}

/// A request names its session by a number, as a client does, which may be old, or made up.
fn request(table: &Table, session: u64) -> Result<u32, Error> {
    let session = Handle::<Session>::from_raw(session).ok_or(Error::NotPresent)?;
    // Waits for others that use this session, and for no other session.
    let mut session = table.get_mut(&session)?;
    session.requests += 1;
    Ok(session.requests)
}

fn main() -> Result<(), Error> {
    let table = Table::new();
    let mut sessions = Vec::new();
    for user in ["ada", "grace", "edsger"] {
        let session = table.push(Session {
            user: user.to_owned(),
            requests: 0,
        })?;
        sessions.push(session.to_raw());
    }

    // Four threads, each with requests to all sessions.
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for n in 0..3000 {
                    let session = sessions[n % sessions.len()];
                    assert!(request(&table, session).is_ok());
                }
            });
        }
    });
    for session in &sessions {
        let session = Handle::<Session>::from_raw(*session).ok_or(Error::NotPresent)?;
        let session = table.get(&session)?;
        println!("{}: {} requests", session.user, session.requests);
    }

    // A session ends while another thread still looks at it. Only that thread still has it.
    let ada = Handle::<Session>::from_raw(sessions[0]).ok_or(Error::NotPresent)?;
    let held = table.get(&ada)?;
    table.detach(Handle::<Session>::from_raw(sessions[0]).ok_or(Error::NotPresent)?)?;
    println!("later: {}", request(&table, sessions[0]).unwrap_err());
    println!("the holder still sees {}", held.user);
    drop(held);

    // Its slot is used again; the old number still names nothing, and not the new session.
    let new = table.push(Session {
        user: "alan".to_owned(),
        requests: 0,
    })?;
    println!(
        "the old number: {}",
        request(&table, sessions[0]).unwrap_err()
    );
    println!("the new one: request {}", request(&table, new.to_raw())?);
    Ok(())
}
