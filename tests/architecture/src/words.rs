//! Comments and pages call a thread "it", and use the words of the glossary.
//!
//! - Words for persons ([`PERSONS`]) are for persons: their sentence names one ([`NAMED`]).
//! - A word in the column *not* of the glossary in `docs/architecture.md` is not used. One in
//!   parentheses there has another meaning elsewhere, so it is not looked for.
//!
//! Text between backticks is code, and text between fences is a program or its output. Neither is
//! checked.

use std::ops::Range;
use std::path::Path;

use crate::prose::{self, Line};

/// Words that mean a person.
pub const PERSONS: [&str; 17] = [
    "who",
    "whoever",
    "whom",
    "somebody",
    "someone",
    "nobody",
    "anybody",
    "anyone",
    "everybody",
    "everyone",
    "he",
    "she",
    "his",
    "him",
    "her",
    "himself",
    "herself",
];

/// Persons that this project has to do with. (A reader is a thread, here.)
pub const NAMED: [&str; 19] = [
    "attacker",
    "attackers",
    "author",
    "authors",
    "contributor",
    "contributors",
    "developer",
    "developers",
    "embedder",
    "embedders",
    "maintainer",
    "maintainers",
    "people",
    "person",
    "persons",
    "programmer",
    "programmers",
    "user",
    "users",
];

/// Words below `root` that should be others, a line for each place.
///
/// # Panics
///
/// Panics on a file that cannot be read.
#[must_use]
pub fn findings(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let page = root.join("docs/architecture.md");
    let avoided = avoided(&std::fs::read_to_string(&page).unwrap_or_default());
    // Without them the check would pass whatever the tree says.
    if page.is_file() && avoided.is_empty() {
        found.push("docs/architecture.md: *Words* has no words to avoid".to_owned());
    }
    for file in prose::files(root) {
        let text = std::fs::read_to_string(&file).unwrap();
        let below = file.strip_prefix(root).unwrap();
        // The glossary itself has the words that are not to be used.
        let lines = prose::lines(&file, &text);
        let glossary = match glossary(&lines) {
            Some(glossary) if below == Path::new("docs/architecture.md") => glossary,
            _ => 0..0,
        };
        let mut tell = |number, word: &str, instead: &str| {
            let file = below.display();
            found.push(format!("{file}:{number}: \"{word}\": {instead}"));
        };
        for paragraph in Paragraph::all(&lines) {
            if glossary.contains(&paragraph.line_at(0)) {
                continue;
            }
            for sentence in paragraph.sentences() {
                let words = paragraph.words(sentence);
                let is_of_person = words.iter().any(|(_, word)| NAMED.contains(&&**word));
                for (at, word) in &words {
                    if PERSONS.contains(&&**word) && !is_of_person {
                        tell(
                            paragraph.line_at(*at),
                            word,
                            "a thread or a program is \"it\"",
                        );
                    }
                }
                for (phrase, instead) in &avoided {
                    if let Some(at) = find(&words, phrase) {
                        let instead = format!("the glossary has \"{instead}\"");
                        tell(paragraph.line_at(at), phrase, &instead);
                    }
                }
            }
        }
    }
    found
}

/// The numbers of the lines of the part *Words*.
fn glossary(lines: &[Line<'_>]) -> Option<Range<usize>> {
    let begin = lines.iter().position(|line| line.text == "## Words")?;
    let rest = &lines[begin + 1..];
    let end = rest.iter().find(|line| line.text.starts_with("## "));
    Some(lines[begin].number..end.map_or(usize::MAX, |line| line.number))
}

/// Where `phrase` begins among `words`.
fn find(words: &[(usize, String)], phrase: &str) -> Option<usize> {
    let parts: Vec<&str> = phrase.split(' ').collect();
    let found = words
        .windows(parts.len())
        .find(|window| window.iter().map(|(_, word)| word).eq(&parts))?;
    Some(found[0].0)
}

/// The words of the glossary's column *not* but [`PERSONS`], each with the word to use.
fn avoided(page: &str) -> Vec<(String, String)> {
    let part = page.split("\n## ").find(|part| part.starts_with("Words\n"));
    let mut avoided = Vec::new();
    for row in part
        .unwrap_or_default()
        .lines()
        .filter(|line| line.starts_with('|'))
        .skip(2)
    {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        if let [_, word, _, not, ..] = cells[..] {
            let not = not
                .split(", ")
                .filter(|one| !one.is_empty() && !one.starts_with('('))
                .filter(|one| !PERSONS.contains(one));
            avoided.extend(not.map(|not| (not.to_owned(), word.to_owned())));
        }
    }
    avoided
}

/// Lines without one that is empty between them, as one text.
struct Paragraph {
    text: String,
    /// Where each line begins in `text`, and its number.
    lines: Vec<(usize, usize)>,
}

impl Paragraph {
    fn all(lines: &[Line<'_>]) -> Vec<Self> {
        let mut all: Vec<Self> = Vec::new();
        let mut last = 0;
        for line in lines
            .iter()
            .filter(|line| !line.is_fenced && !line.text.is_empty())
        {
            let goes_on = line.number == last + 1 && !line.text.starts_with(['|', '#']);
            if all.is_empty() || !goes_on {
                all.push(Self {
                    text: String::new(),
                    lines: Vec::new(),
                });
            }
            let paragraph = all.last_mut().expect("one was just added");
            paragraph.lines.push((paragraph.text.len(), line.number));
            paragraph.text.push_str(line.text);
            paragraph.text.push(' ');
            last = line.number;
        }
        for paragraph in &mut all {
            paragraph.text = without_code(&paragraph.text);
        }
        all
    }

    /// Where its sentences are, and the cells of its tables.
    fn sentences(&self) -> Vec<Range<usize>> {
        let mut sentences = Vec::new();
        let mut begin = 0;
        for (at, pair) in self.text.as_bytes().windows(2).enumerate() {
            if b".:;!?|".contains(&pair[0]) && pair[1] == b' ' {
                sentences.push(begin..at);
                begin = at + 1;
            }
        }
        sentences.push(begin..self.text.len());
        sentences
    }

    /// The words in `range` in lower case, and where they are.
    fn words(&self, range: Range<usize>) -> Vec<(usize, String)> {
        let mut words = Vec::new();
        let mut begin = None;
        for (at, char) in self.text[range.clone()]
            .char_indices()
            .chain([(range.len(), ' ')])
        {
            let at = range.start + at;
            match (begin, char.is_alphanumeric() || char == '_') {
                (None, true) => begin = Some(at),
                (Some(from), false) => {
                    words.push((from, self.text[from..at].to_lowercase()));
                    begin = None;
                }
                _ => {}
            }
        }
        words
    }

    fn line_at(&self, at: usize) -> usize {
        let line = self.lines.iter().rev().find(|(begin, _)| *begin <= at);
        line.map_or(0, |(_, number)| *number)
    }
}

/// `text` with spaces for what stands between backticks.
fn without_code(text: &str) -> String {
    let mut is_code = false;
    let blank = text.chars().map(|char| {
        is_code ^= char == '`';
        if is_code || char == '`' {
            "_".repeat(char.len_utf8())
        } else {
            char.to_string()
        }
    });
    blank.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "# A\n\n## Words\n\n| word | means | not |\n|---|---|---|\n\
                        | thread | who runs | worker, throw out, (process) |\n\n## Locks\n\nworker\n";

    #[test]
    fn persons_and_words_of_the_glossary_are_found() {
        let root = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(root.path().join(name), text).unwrap();
        std::fs::create_dir(root.path().join("docs")).unwrap();
        write("docs/architecture.md", PAGE);
        write(
            "a.rs",
            "//! A thread\n//! who waits. A user, who waits; whoever `who`\n// waits.\n\n\
             let who = \"// who\"; // who\n    /// A Worker, of a process.\n",
        );
        write(
            "b.md",
            "```\nwho\n```\n| nobody | a user, who `reads |\n\nthrow it out, throw\nout\n",
        );
        assert_eq!(
            findings(root.path()),
            [
                "a.rs:2: \"who\": a thread or a program is \"it\"",
                "a.rs:2: \"whoever\": a thread or a program is \"it\"",
                "a.rs:6: \"worker\": the glossary has \"thread\"",
                "b.md:4: \"nobody\": a thread or a program is \"it\"",
                "b.md:6: \"throw out\": the glossary has \"thread\"",
                "docs/architecture.md:11: \"worker\": the glossary has \"thread\"",
            ]
        );
    }
}
