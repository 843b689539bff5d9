//! A date, or a date with a time, as typed.

/// Nanoseconds since 1970 of `YYYY-MM-DD` or `YYYY-MM-DDTHH:MM:SSZ`, in UTC.
pub(crate) fn parse_date(typed: &str) -> Result<u64, String> {
    let wrong = || {
        format!(
            "`{typed}` is not a date from 1970 to 2554, such as 2026-01-31 or 2026-01-31T23:59:59Z"
        )
    };
    seconds(typed)
        .and_then(|seconds| seconds.checked_mul(1_000_000_000))
        .ok_or_else(wrong)
}

fn seconds(typed: &str) -> Option<u64> {
    let (date, time) = match typed.split_once('T') {
        Some((date, time)) => (date, time.strip_suffix('Z')?),
        None => (typed, "00:00:00"),
    };
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let [hours, minutes, seconds] = numbers(time, ':', [2, 2, 2])?;
    let is_leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let length = |month| match month {
        2 => 28 + u64::from(is_leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    let exists = (1970..=2554).contains(&year)
        && (1..=12).contains(&month)
        && (1..=length(month)).contains(&day)
        && hours < 24
        && minutes < 60
        && seconds < 60;
    exists.then_some(())?;
    let years: u64 = (1970..year)
        .map(|year| 365 + u64::from(is_leap(year)))
        .sum();
    let months: u64 = (1..month).map(length).sum();
    let days = years + months + day - 1;
    Some(((days * 24 + hours) * 60 + minutes) * 60 + seconds)
}

/// Three numbers of so many digits.
fn numbers(typed: &str, between: char, digits: [usize; 3]) -> Option<[u64; 3]> {
    let parts: Vec<_> = typed.split(between).collect();
    let [first, second, third] = parts[..] else {
        return None;
    };
    let mut numbers = [0; 3];
    for (at, part) in [first, second, third].into_iter().enumerate() {
        let fits = part.len() == digits[at] && part.bytes().all(|byte| byte.is_ascii_digit());
        numbers[at] = fits.then(|| part.parse().ok()).flatten()?;
    }
    Some(numbers)
}

#[cfg(test)]
mod tests {
    use super::parse_date;

    #[test]
    fn dates_are_seconds() {
        for (typed, seconds) in [
            ("1970-01-01", 0),
            ("1970-01-01T00:00:01Z", 1),
            ("2000-03-01", 951_868_800),
            ("2024-02-29T12:00:00Z", 1_709_208_000),
            ("2026-01-01", 1_767_225_600),
            ("2100-03-01", 4_107_542_400),
        ] {
            assert_eq!(parse_date(typed), Ok(seconds * 1_000_000_000), "{typed}");
        }
        for typed in [
            "",
            "2026",
            "1969-12-31",
            "2026-13-01",
            "2025-02-29",
            "2100-02-29",
            "2026-1-1",
            "2026-01-01T24:00:00Z",
            "2026-01-01T00:00:00",
            "2554-12-31",
            "2026-01-01-01",
            "+026-01-01",
        ] {
            assert!(parse_date(typed).is_err(), "{typed}");
        }
    }
}
