//! Patterns of names.

use std::fmt;

/// One pattern, or several of which a name matches any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Patterns(Vec<Pattern>);

impl Patterns {
    /// The text as one pattern.
    pub(super) fn one(text: &str) -> Self {
        Self(vec![Pattern::new(text)])
    }

    /// The patterns between the `|` of the text; `None` if one of them is empty.
    pub(super) fn any(text: &str) -> Option<Self> {
        let mut parts = text.split('|');
        let all = !parts.clone().any(str::is_empty);
        all.then(|| Self(parts.by_ref().map(Pattern::new).collect()))
    }

    /// Whether any is in the name.
    pub(super) fn matches(&self, name: &str) -> bool {
        self.0.iter().any(|pattern| pattern.matches(name))
    }
}

impl fmt::Display for Patterns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, pattern) in self.0.iter().enumerate() {
            f.write_str(if at == 0 { "" } else { "|" })?;
            pattern.fmt(f)?;
        }
        Ok(())
    }
}

/// A part of a name: `*` stands for anything, `^` in front for the beginning, `$` at the end for
/// the end.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Pattern {
    parts: Vec<String>,
    from_begin: bool,
    to_end: bool,
}

impl Pattern {
    fn new(text: &str) -> Self {
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
    fn matches(&self, name: &str) -> bool {
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
