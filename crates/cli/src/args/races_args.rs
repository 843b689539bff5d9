//! The value of `--races`.

use std::path::PathBuf;

/// Status of a program whose races were told, if nothing else is said: ThreadSanitizer's.
const STATUS: u8 = 66;
/// Bytes of a mebibyte.
const MIB: usize = 1 << 20;

/// How races are looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RacesOption {
    /// The status of a program that ends by itself, if races were told; 0 leaves it its own.
    pub(crate) exit: u8,
    /// Lists of races that are not told.
    pub(crate) suppress: Vec<PathBuf>,
    /// Whether those of the C library and of Rust's are left out that do no harm.
    pub(crate) default_list: bool,
    /// Bytes of shadow memory.
    pub(crate) memory: usize,
    /// Whether the run is made again to find out where the other thread was.
    pub(crate) stacks: bool,
    /// Whether the threads run at once.
    pub(crate) parallel: bool,
    /// Whether races of what looks like a sequence lock count for the status.
    pub(crate) strict: bool,
}

impl Default for RacesOption {
    fn default() -> Self {
        Self {
            exit: STATUS,
            suppress: Vec::new(),
            default_list: true,
            memory: 1024 * MIB,
            stacks: true,
            parallel: false,
            strict: false,
        }
    }
}

/// `exit=N`, `suppress=FILE`, `no-default`, `memory=MIB`, `no-stacks`, `parallel`, `strict`, with
/// commas in between.
pub(crate) fn parse(typed: &str) -> Result<RacesOption, String> {
    let mut option = RacesOption::default();
    for part in typed.split(',').filter(|part| !part.is_empty()) {
        let (name, value) = match part.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (part, None),
        };
        match (name, value) {
            ("exit", Some(value)) => {
                let what = || format!("`{value}` is no status: a number from 0 to 255");
                option.exit = value.parse().map_err(|_| what())?;
            }
            ("suppress", Some(value)) if !value.is_empty() => option.suppress.push(value.into()),
            ("memory", Some(value)) => {
                let mebibytes = value
                    .parse::<usize>()
                    .ok()
                    .filter(|mebibytes| *mebibytes > 0);
                let bytes = mebibytes.and_then(|mebibytes| mebibytes.checked_mul(MIB));
                let what = || format!("`{value}` is no size: a number of mebibytes, from 1 on");
                option.memory = bytes.ok_or_else(what)?;
            }
            ("no-default", None) => option.default_list = false,
            ("no-stacks", None) => option.stacks = false,
            ("parallel", None) => option.parallel = true,
            ("strict", None) => option.strict = true,
            _ => {
                return Err(format!(
                    "`{part}` is not known: there are exit=..., suppress=..., memory=..., no-default, no-stacks, parallel and strict"
                ));
            }
        }
    }
    Ok(option)
}

#[cfg(test)]
mod tests {
    use super::{MIB, RacesOption, parse};

    #[test]
    fn values() {
        assert_eq!(parse(""), Ok(RacesOption::default()));
        let typed = "exit=0,suppress=a.supp,suppress=b,memory=3,no-default,no-stacks";
        let option = parse(typed).unwrap();
        assert_eq!((option.exit, option.memory), (0, 3 * MIB));
        assert_eq!(
            option.suppress,
            ["a.supp", "b"].map(std::path::PathBuf::from)
        );
        assert!(!option.default_list && !option.stacks);
        assert!(!option.parallel && !option.strict);
        let option = parse("parallel,strict").unwrap();
        assert!(option.parallel && option.strict);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for typed in [
            "exit",
            "exit=256",
            "exit=-1",
            "suppress=",
            "memory=0",
            "memory=1G",
            "memory=99999999999999999999",
            "no-default=1",
            "parallel=2",
            "all",
        ] {
            let said = parse(typed).unwrap_err();
            let value = typed.split_once('=').map_or(typed, |(_, value)| value);
            assert!(said.contains(value), "{typed}: {said}");
        }
    }
}
