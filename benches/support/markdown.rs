//! Results as Markdown.

use std::fmt::Write as _;

use crate::Compared;
use crate::rows::Kind;
use crate::sample::Samples;
use crate::sides::Side;

/// All tables of a run: threaded rows, rows of guests with their own memory, and
/// how each side scales from one thread to two.
#[must_use]
pub fn tables(results: &[Compared<'_>]) -> String {
    let mut text = String::new();
    for (kind, title) in [
        (Kind::Threaded, "Shared memory"),
        (Kind::Single, "A memory of its own, one thread"),
    ] {
        let rows: Vec<&Compared<'_>> = results.iter().filter(|one| one.row.kind == kind).collect();
        if !rows.is_empty() {
            table(&mut text, title, &rows);
        }
    }
    scaling(&mut text, results);
    text
}

/// Nanoseconds per operation; ratios are to native code. Every value has half the distance of its
/// quartiles behind it. The last ratio is of the best runs of this project and of native code: on a
/// busy machine it says more. A limit that the median of ours is beyond is marked.
fn table(text: &mut String, title: &str, rows: &[&Compared<'_>]) {
    let sides: Vec<Side> = rows[0].sides.iter().map(|(side, _)| *side).collect();
    let wanted = rows.iter().any(|one| one.row.limit.is_some());
    let floors = rows.iter().any(|one| one.floor.is_some());
    line(text, format_args!("### {title}\n"));
    let mut head = String::from("| operation | threads | native ns/op |");
    for side in &sides[1..] {
        let _ = write!(head, " {side} ns/op | ratio |");
    }
    head.push_str(" ours, best runs |");
    if floors {
        head.push_str(" floor |");
    }
    if wanted {
        head.push_str(" limit |");
    }
    line(text, format_args!("{head}"));
    let columns = head.matches('|').count() - 1;
    line(
        text,
        format_args!("|---{}", "|---:".repeat(columns - 1) + "|"),
    );
    for one in rows {
        let native = one.sides[0].1.median();
        let mut row = format!(
            "| {} | {} | {} |",
            one.row.operation(),
            one.row.threads,
            value(&one.sides[0].1)
        );
        for (_, samples) in &one.sides[1..] {
            let _ = write!(
                row,
                " {} | {:.2} |",
                value(samples),
                samples.median() / native
            );
        }
        let ours = one.sides.iter().find(|(side, _)| *side == Side::Ours);
        match ours {
            Some((_, samples)) => {
                _ = write!(row, " {:.2} |", samples.best() / one.sides[0].1.best());
            }
            None => row.push_str("  |"),
        }
        if floors {
            let floor = one.floor.as_ref().map(Samples::median);
            let _ = match floor {
                Some(floor) => write!(row, " {floor:.1} |"),
                None => write!(row, "  |"),
            };
        }
        if wanted {
            let _ = match one.limit() {
                Some(limit) if one.is_beyond() => write!(row, " **beyond {}** |", short(limit)),
                Some(limit) => write!(row, " {} |", short(limit)),
                None => write!(row, "  |"),
            };
        }
        line(text, format_args!("{row}"));
    }
    line(text, format_args!(""));
}

/// Throughput of two threads over that of one, for rows that have both.
fn scaling(text: &mut String, results: &[Compared<'_>]) {
    let mut rows = String::new();
    let mut sides: &[(Side, Samples)] = &[];
    for one in results
        .iter()
        .filter(|one| one.row.threads == 1 && one.row.kind == Kind::Threaded)
    {
        let two = results.iter().find(|two| {
            two.row.threads == 2
                && two.row.kind == one.row.kind
                && two.row.operation() == one.row.operation()
        });
        let Some(two) =
            two.filter(|_| one.row.program != "micro" || one.row.operation != Some("mutex"))
        else {
            continue;
        };
        sides = &one.sides;
        let factors: Vec<f64> = one
            .sides
            .iter()
            .zip(&two.sides)
            .map(|((_, one), (_, two))| one.median() / two.median())
            .collect();
        let mut row = format!("| {} |", one.row.operation());
        for factor in &factors {
            let _ = write!(row, " {factor:.2} |");
        }
        line(
            &mut rows,
            format_args!("{row} {:.2} |", factors[1] / factors[0]),
        );
    }
    if rows.is_empty() {
        return;
    }
    line(
        text,
        format_args!("### Throughput of two threads over that of one\n"),
    );
    let names: String = sides.iter().map(|(side, _)| format!(" {side} |")).collect();
    line(
        text,
        format_args!("| operation |{names} ours over native |"),
    );
    line(
        text,
        format_args!("|---{}|", "|---:".repeat(sides.len() + 1)),
    );
    line(text, format_args!("{rows}"));
}

fn value(samples: &Samples) -> String {
    let median = samples.median();
    let spread = samples.spread() * 100.0;
    format!("{} ±{spread:.0}%", short(median))
}

/// So many digits as say something.
fn short(nanoseconds: f64) -> String {
    if nanoseconds < 100.0 {
        format!("{nanoseconds:.1}")
    } else {
        format!("{nanoseconds:.0}")
    }
}

/// Writing to a string cannot fail.
fn line(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    let _ = writeln!(text, "{arguments}");
}

#[cfg(test)]
mod tests {
    use super::tables;
    use crate::Compared;
    use crate::rows::calls;
    use crate::sample::{Report, Samples};
    use crate::sides::Side;

    fn took(nanoseconds: u64) -> Samples {
        let mut samples = Samples::default();
        samples.push(Report {
            ops: 10,
            nanoseconds,
            check: "0".into(),
        });
        samples
    }

    #[test]
    fn ratios_are_to_native_and_scaling_to_native_scaling() {
        let rows = calls();
        let (one, two) = (&rows[0], &rows[1]);
        assert_eq!((one.threads, two.threads), (1, 2));
        let results = [
            Compared {
                row: one,
                sides: vec![(Side::Native, took(1_000)), (Side::Ours, took(1_500))],
                floor: Some(took(60)),
            },
            Compared {
                row: two,
                sides: vec![(Side::Native, took(500)), (Side::Ours, took(1_000))],
                floor: None,
            },
        ];
        let text = tables(&results);
        assert!(
            text.contains("| clock | 1 | 100 ±0% | 150 ±0% | 1.50 | 1.50 | 6.0 | **beyond 109** |"),
            "{text}"
        );
        assert!(text.contains("| clock | 2.00 | 1.50 | 0.75 |"), "{text}");
        // Every line of a table has as many columns as its head.
        for table in text.split("###").skip(1) {
            let bars: Vec<usize> = table
                .lines()
                .filter(|line| line.starts_with('|'))
                .map(|line| line.matches('|').count())
                .collect();
            assert!(
                bars.len() >= 3 && bars.iter().all(|count| *count == bars[0]),
                "{table}"
            );
        }
    }
}
