//! Patterns of names.

use std::fmt;

/// A part of a name: `*` stands for anything, `^` in front for the beginning, `$` at the end for
/// the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pattern {
    parts: Vec<String>,
    from_begin: bool,
    to_end: bool,
}

impl Pattern {
    pub(super) fn new(text: &str) -> Self {
        let (text, from_begin) = match text.strip_prefix('^') {
            Some(rest) => (rest, true),
            None => (text, false),
        };
        let (text, to_end) = match text.strip_suffix('$') {
            Some(rest) => (rest, true),
            None => (text, false),
        };
        Self {
            parts: text.split('*').map(str::to_owned).collect(),
            from_begin,
            to_end,
        }
    }

    /// Whether it is in the name. Takes time for each part and byte of the name at most.
    pub(super) fn matches(&self, name: &str) -> bool {
        let mut rest = name;
        let last = self.parts.len() - 1;
        for (at, part) in self.parts.iter().enumerate() {
            if at == 0 && self.from_begin {
                let Some(behind) = rest.strip_prefix(part.as_str()) else {
                    return false;
                };
                rest = behind;
                if last == 0 {
                    return !self.to_end || rest.is_empty();
                }
            } else if at == last && self.to_end {
                return rest.ends_with(part.as_str());
            } else {
                let Some(found) = rest.find(part.as_str()) else {
                    return false;
                };
                rest = &rest[found + part.len()..];
            }
        }
        true
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (begin, end) = (["", "^"], ["", "$"]);
        f.write_str(begin[usize::from(self.from_begin)])?;
        f.write_str(&self.parts.join("*"))?;
        f.write_str(end[usize::from(self.to_end)])
    }
}

#[cfg(test)]
mod tests {
    use super::Pattern;

    #[test]
    fn patterns_are_parts_of_names() {
        for (pattern, name, matches) in [
            ("lock", "__unlock_it", true),
            ("^lock", "__unlock_it", false),
            ("^__un", "__unlock_it", true),
            ("lock$", "__unlock", true),
            ("lock$", "__unlock_it", false),
            ("^lock$", "lock", true),
            ("^lock$", "locked", false),
            ("a*b", "xxaxxbxx", true),
            ("a*b", "xxbxxaxx", false),
            ("^a*b$", "ab", true),
            ("^a*a$", "a", false),
            ("^a*", "a", true),
            ("*", "", true),
            ("", "anything", true),
            ("^$", "x", false),
            ("^std::*::drop", "std::sync::Arc<T>::drop", true),
        ] {
            let parsed = Pattern::new(pattern);
            assert_eq!(parsed.matches(name), matches, "{pattern} in {name}");
            assert_eq!(parsed.to_string(), pattern);
        }
    }
}
