//! For the shell: completion scripts and the manual page, made from the options.

use crate::args;
use crate::exit::Exit;
use crate::message::{Message, Result, print};

/// Prints the completion script for `shell`.
pub(crate) fn completion(shell: clap_complete::Shell) -> Result<Exit> {
    let mut script = Vec::new();
    let mut command = args::command();
    let name = command.get_name().to_owned();
    clap_complete::generate(shell, &mut command, name, &mut script);
    print(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Success)
}

/// Prints the manual page.
pub(crate) fn man() -> Result<Exit> {
    let mut page = Vec::new();
    clap_mangen::Man::new(args::command())
        .render(&mut page)
        .map_err(|error| Message::failure("the manual page cannot be made").why(error))?;
    print(&String::from_utf8_lossy(&page))?;
    Ok(Exit::Success)
}
