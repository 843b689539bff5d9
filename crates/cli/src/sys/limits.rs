//! Limits of the system, by the errors that tell of them.

/// A limit that the system has set for this process or for all.
#[cfg_attr(not(unix), allow(dead_code, reason = "elsewhere one is told"))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LimitReached {
    /// How many files this process may have open.
    OpenFiles,
    /// How many files all processes may have open.
    FilesOfAll,
    /// How large a file this process may make.
    FileSize,
}

/// The numbers that the system gives its errors.
#[cfg(unix)]
const NUMBERS: [(LimitReached, i32); 3] = [
    (LimitReached::OpenFiles, libc::EMFILE),
    (LimitReached::FilesOfAll, libc::ENFILE),
    (LimitReached::FileSize, libc::EFBIG),
];

/// `ERROR_TOO_MANY_OPEN_FILES`. The others are not there.
#[cfg(not(unix))]
const NUMBERS: [(LimitReached, i32); 1] = [(LimitReached::OpenFiles, 4)];

impl LimitReached {
    /// The limit that an error is about, if the standard library made the error's text.
    pub(crate) fn said(error: &str) -> Option<Self> {
        let says = |number: i32| error.contains(&format!("(os error {number})"));
        let mut known = NUMBERS.into_iter();
        known.find_map(|(limit, number)| says(number).then_some(limit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    #[test]
    fn limits_by_what_is_said() {
        for (limit, number) in NUMBERS {
            let error = io::Error::from_raw_os_error(number);
            assert_eq!(LimitReached::said(&error.to_string()), Some(limit));
        }
        let other = io::Error::from(io::ErrorKind::StorageFull);
        assert_eq!(LimitReached::said(&other.to_string()), None);
    }

    #[test]
    #[cfg(unix)]
    fn a_full_disk_is_no_limit() {
        let error = io::Error::from_raw_os_error(libc::ENOSPC);
        assert_eq!(LimitReached::said(&error.to_string()), None);
    }
}
