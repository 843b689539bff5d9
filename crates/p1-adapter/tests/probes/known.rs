//! The cells in which a guest is meant to differ from its native twin, and why.

/// A difference that is meant.
pub(crate) struct Known {
    /// Runs and cells it is about, as patterns of `RUN CELL`.
    cells: &'static [&'static str],
    /// Patterns of what the native twin says and of what the guest is told.
    says: (&'static str, &'static str),
    pub(crate) why: &'static str,
}

impl Known {
    /// Whether it is about this cell with these values.
    pub(crate) fn is_about(&self, run: &str, cell: &str, native: &str, guest: &str) -> bool {
        let name = format!("{run} {cell}");
        self.cells.iter().any(|pattern| matches(pattern, &name))
            && matches(self.says.0, native)
            && matches(self.says.1, guest)
    }
}

/// Whether `text` is like `pattern`, in which `*` stands for anything.
fn matches(pattern: &str, text: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(text) = text.strip_prefix(start) else {
        return false;
    };
    (0..=text.len())
        .filter(|at| text.is_char_boundary(*at))
        .any(|at| matches(rest, &text[at..]))
}

pub(crate) const ALL: &[Known] = &[];
