//! For the shell: completion scripts and the manual page, made from the options.

use std::io::{self, Write as _};

use crate::args;
use crate::message::exit::Exit;
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

/// Prints one manual page, with the subcommands at its end.
pub(crate) fn man() -> Result<Exit> {
    let mut page = Vec::new();
    render(&mut page)
        .map_err(|error| Message::failure("the manual page cannot be made").why(error))?;
    print(&String::from_utf8_lossy(&page))?;
    Ok(Exit::Success)
}

fn render(page: &mut Vec<u8>) -> io::Result<()> {
    let mut command = args::command();
    command.build();
    // The options of `run` are those of the program itself.
    let subcommands: Vec<_> = command
        .get_subcommands()
        .filter(|sub| !["run", "help"].contains(&sub.get_name()))
        .cloned()
        .collect();
    let whole = clap_mangen::Man::new(command);
    whole.render_title(page)?;
    whole.render_name_section(page)?;
    whole.render_synopsis_section(page)?;
    whole.render_description_section(page)?;
    whole.render_options_section(page)?;
    for sub in subcommands {
        writeln!(page, ".SH \"SUBCOMMAND {}\"", sub.get_name().to_uppercase())?;
        let mut part = Vec::new();
        let man = clap_mangen::Man::new(sub);
        man.render_synopsis_section(&mut part)?;
        man.render_description_section(&mut part)?;
        man.render_options_section(&mut part)?;
        // Sections of a subcommand's page become subsections here.
        page.extend(
            String::from_utf8_lossy(&part)
                .replace(".SH ", ".SS ")
                .bytes(),
        );
    }
    whole.render_extra_section(page)?;
    whole.render_version_section(page)
}
