//! Races that are not told, or told as harmless, by the names of functions and files.

mod pattern;

use std::fmt;

use pattern::Patterns;

/// A function of a stack, as far as it is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Its name.
    pub function: Option<&'a str>,
    /// The path of its file.
    pub file: Option<&'a str>,
    /// Whether the compiler has put it into the next one.
    pub inlined: bool,
}

/// What a race is taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is told.
    Told,
    /// It is told as one that was found to do no harm.
    Harmless,
    /// It is not told.
    Suppressed,
}

/// Which of a frame's names a rule is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Subject {
    Either,
    Function,
    File,
}

/// One line of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    verdict: Verdict,
    subject: Subject,
    /// Only the function that accesses, not those that called it.
    top: bool,
    /// Both stacks must have it.
    both: bool,
    pattern: Patterns,
    line: usize,
}

impl Rule {
    /// The line that it was read from, from 1 on.
    pub fn line(&self) -> usize {
        self.line
    }

    /// What it says of the races that it is about.
    pub fn verdict(&self) -> Verdict {
        self.verdict
    }

    fn is_about(&self, stack: &[Frame<'_>]) -> bool {
        // Without debug information it is not known what was inlined: a rule means the same there.
        let own = stack.iter().position(|frame| !frame.inlined);
        let top = own.map_or(stack.len(), |own| own + 1);
        let stack = if self.top { &stack[..top] } else { stack };
        stack.iter().any(|frame| {
            let function = frame.function.filter(|_| self.subject != Subject::File);
            let file = frame.file.filter(|_| self.subject != Subject::Function);
            let mut names = function.into_iter().chain(file);
            names.any(|name| self.pattern.matches(name))
        })
    }
}

impl fmt::Display for Rule {
    /// As it is written in a file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let harmless = if self.verdict == Verdict::Harmless {
            "harmless "
        } else {
            ""
        };
        let subject = match self.subject {
            Subject::Either => "race",
            Subject::Function => "function",
            Subject::File => "file",
        };
        let top = match (self.top, self.both) {
            (false, _) => "",
            (true, false) => "_top",
            (true, true) => "_tops",
        };
        write!(f, "{harmless}{subject}{top}:{}", self.pattern)
    }
}

/// A line that is no rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "line {line}: `{text}` is no rule: {rules} are known, each with a colon and a part of a name behind it"
)]
pub struct LineError {
    /// Which line, from 1 on.
    pub line: usize,
    /// What it says, 80 characters of it at most.
    pub text: String,
    rules: &'static str,
}

const RULES: &str = "race, function and file, race_top, function_top and file_top, race_tops, function_tops and file_tops";

/// What ThreadSanitizer's lists may have beside races.
const OF_OTHERS: [&str; 5] = ["thread", "mutex", "signal", "deadlock", "called_from_lib"];

/// A list of rules. Of several that are about a race, the first counts.
///
/// Each line is a rule. `race:NAME` matches a race if NAME is part of the name of a function, or of
/// the path of a file, in the stack of either access. `function:` looks at names only, `file:` at
/// paths only. `race_top:`, `function_top:` and `file_top:` look only at the functions that access.
/// `race_tops:`, `function_tops:` and `file_tops:` must match both of these, and may name several
/// with `|` between them. `*` stands for anything, `^` for the beginning, `$` for the end. With
/// `harmless ` in front the race is told as harmless. `#` begins a comment line. Lists of
/// ThreadSanitizer are read, too: rules in them that are not about races are passed over.
///
/// ```
/// use wasm_races::{Frame, Suppressions, Verdict};
///
/// let lines = "# it is read again if it was torn\nharmless race_top:^seq_read$\nfile:/dlmalloc.c";
/// let list = Suppressions::parse(lines)?;
/// let frame = |function| Frame {
///     function: Some(function),
///     file: Some("src/seq.c"),
///     inlined: false,
/// };
/// let (verdict, rule) = list.judge([&[frame("seq_read"), frame("main")], &[frame("seq_write")]]);
/// assert_eq!(verdict, Verdict::Harmless);
/// assert_eq!(rule.unwrap().line(), 2);
/// # Ok::<(), wasm_races::LineError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Suppressions {
    rules: Vec<Rule>,
}

impl Suppressions {
    /// Reads a list.
    ///
    /// # Errors
    ///
    /// [`LineError`], of the first line that is no rule.
    pub fn parse(text: &str) -> Result<Self, LineError> {
        let mut rules = Vec::new();
        for (at, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let error = || LineError {
                line: at + 1,
                text: line.chars().take(80).collect(),
                rules: RULES,
            };
            let (verdict, rest) = match line.strip_prefix("harmless ") {
                Some(rest) => (Verdict::Harmless, rest.trim_start()),
                None => (Verdict::Suppressed, line),
            };
            let (kind, pattern) = rest.split_once(':').ok_or_else(error)?;
            let (what, top, both) = match kind.split_once('_') {
                None => (kind, false, false),
                Some((what, "top")) => (what, true, false),
                Some((what, "tops")) => (what, true, true),
                Some(_) => ("", false, false),
            };
            let subject = match what {
                "race" => Subject::Either,
                "function" => Subject::Function,
                "file" => Subject::File,
                _ if OF_OTHERS.contains(&kind) => continue,
                _ => return Err(error()),
            };
            let pattern = match both {
                _ if pattern.is_empty() => return Err(error()),
                true => Patterns::any(pattern).ok_or_else(error)?,
                false => Patterns::one(pattern),
            };
            rules.push(Rule {
                verdict,
                subject,
                top,
                both,
                pattern,
                line: at + 1,
            });
        }
        Ok(Self { rules })
    }

    /// The races of wasi-libc and of Rust's standard library that do no harm, as both are built for
    /// `wasm32-wasip1-threads`. They are plain accesses of words that others change by atomics. The
    /// functions that make them look again with an atomic. Each rule names the whole function that
    /// accesses.
    pub fn of_libraries() -> Self {
        // Read by a test.
        Self::parse(include_str!("libraries.supp")).unwrap_or_default()
    }

    /// Those of another list come after these.
    pub fn extend(&mut self, other: Self) {
        self.rules.extend(other.rules);
    }

    /// What a race is taken for, and the rule that says so. In each of the two stacks the function
    /// that accesses comes first.
    pub fn judge(&self, stacks: [&[Frame<'_>]; 2]) -> (Verdict, Option<&Rule>) {
        let about = |rule: &&Rule| {
            let mut stacks = stacks.iter();
            match rule.both {
                true => stacks.all(|stack| rule.is_about(stack)),
                false => stacks.any(|stack| rule.is_about(stack)),
            }
        };
        let rule = self.rules.iter().find(about);
        (rule.map_or(Verdict::Told, |rule| rule.verdict), rule)
    }
}

#[cfg(test)]
mod tests {
    use super::{Frame, Suppressions, Verdict};

    fn judge(list: &str, stacks: [&[(&str, &str)]; 2]) -> Verdict {
        let list = Suppressions::parse(list).unwrap();
        let frames = stacks.map(|stack| {
            let frame = |(function, file): &(&'static str, &'static str)| Frame {
                function: Some(*function),
                file: Some(*file),
                inlined: function.starts_with("inlined"),
            };
            // The literals of the tests live long enough.
            stack
                .iter()
                .map(|names| frame(&leak(names)))
                .collect::<Vec<_>>()
        });
        list.judge([&frames[0], &frames[1]]).0
    }

    fn leak(names: &(&str, &str)) -> (&'static str, &'static str) {
        let leak = |name: &str| &*Box::leak(name.to_owned().into_boxed_str());
        (leak(names.0), leak(names.1))
    }

    #[test]
    fn rules_look_where_they_say() {
        let stacks: [&[(&str, &str)]; 2] = [
            &[("inner", "a/one.c"), ("outer", "a/two.c")],
            &[("other", "b/three.rs")],
        ];
        for (list, verdict) in [
            ("race:outer", Verdict::Suppressed),
            ("race_top:outer", Verdict::Told),
            ("race_top:other", Verdict::Suppressed),
            ("function:two.c", Verdict::Told),
            ("file:two.c", Verdict::Suppressed),
            ("file_top:two.c", Verdict::Told),
            ("file_top:^b/", Verdict::Suppressed),
            ("file:outer", Verdict::Told),
            ("function_top:^inner$", Verdict::Suppressed),
            ("harmless race:inner", Verdict::Harmless),
            ("harmless race:inner\nrace:inner", Verdict::Harmless),
            ("function_tops:^inner$", Verdict::Told),
            ("function_tops:^*ner$", Verdict::Told),
            ("function_tops:n", Verdict::Told),
            ("function_tops:^*e", Verdict::Suppressed),
            ("file_tops:/", Verdict::Suppressed),
            ("function_tops:^inner$|^outer$", Verdict::Told),
            ("function_tops:^nothing$|e", Verdict::Suppressed),
            ("thread:inner\nmutex:inner", Verdict::Told),
            ("", Verdict::Told),
        ] {
            assert_eq!(judge(list, stacks), verdict, "{list}");
        }
    }

    #[test]
    fn a_function_that_accesses_has_what_was_inlined_into_it() {
        let stacks: [&[(&str, &str)]; 2] = [
            &[("inlined", "a"), ("own", "b"), ("caller", "c")],
            &[("other", "d")],
        ];
        for (list, verdict) in [
            ("function_top:^inlined$", Verdict::Suppressed),
            ("function_top:^own$", Verdict::Suppressed),
            ("function_top:^caller$", Verdict::Told),
            ("function_tops:^o", Verdict::Suppressed),
            ("function_tops:^own$|^other$", Verdict::Suppressed),
            ("function_tops:^own$|^others$", Verdict::Told),
        ] {
            assert_eq!(judge(list, stacks), verdict, "{list}");
        }
    }

    #[test]
    fn the_libraries_rules_are_about_whole_names_of_functions_that_access() {
        let list = Suppressions::of_libraries();
        assert!(!list.rules.is_empty());
        for rule in &list.rules {
            let said = rule.to_string();
            // Or both functions are the allocator's.
            let exact = said
                .strip_prefix("function_top:^")
                .and_then(|name| name.strip_suffix('$'));
            let both = said.starts_with("function_tops:^");
            assert!(
                both || exact.is_some_and(|name| !name.contains('*')),
                "{said}"
            );
        }
    }

    /// `__tl_lock` reads the lock's word, and is inlined into functions that begin and end threads.
    /// Without debug information these have the access. What the program accesses is still told.
    #[test]
    fn the_lock_of_the_list_of_threads_is_known_without_debug_information() {
        let list = Suppressions::of_libraries();
        let judged = |one, other| {
            let stack = |name| Frame {
                function: Some(name),
                file: None,
                inlined: false,
            };
            let (one, other) = ([stack(one)], [stack(other)]);
            list.judge([&one, &other]).0
        };
        let starts = "__wasi_thread_start_C";
        for other in [starts, "wasi_thread_start", "__pthread_create"] {
            assert_eq!(judged(starts, other), Verdict::Suppressed, "{other}");
            assert_eq!(judged("app::work", other), Verdict::Told, "{other}");
        }
    }

    #[test]
    fn what_is_no_rule_is_named_with_its_line() {
        for (list, line) in [
            ("race_bottom:x", 1),
            ("top:x", 1),
            ("x", 1),
            ("# a\n\nrace:", 3),
            ("race:a\nracy:b", 2),
            ("harmless race", 1),
        ] {
            let error = Suppressions::parse(list).unwrap_err();
            assert_eq!(error.line, line, "{list}");
            assert!(error.to_string().contains("race_top"), "{error}");
        }
    }

    #[test]
    fn a_rule_is_written_as_it_was_read() {
        let list = Suppressions::parse("harmless file_top:^a*b$\nrace:x\nfunction_tops:y").unwrap();
        let rules: Vec<String> = list.rules.iter().map(ToString::to_string).collect();
        assert_eq!(
            rules,
            ["harmless file_top:^a*b$", "race:x", "function_tops:y"]
        );
    }
}
