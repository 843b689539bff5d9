//! How large a module may be.

use std::{error, fmt};

use wasmparser::{Parser, Payload};

use crate::place::places;

/// How large a module may be. It is for hosts that compile what others give them: a compilation
/// takes time and memory, and nothing interrupts it.
///
/// `None`, the default of all three, is no limit. Together they bound what a compiler is given. A
/// compiler's time grows with the number of functions, and faster than the size of the largest.
/// [`check`](Self::check) looks at sections and bodies only from the outside, so it takes a
/// fraction of the time of a validation.
///
/// ```
/// use interruptible_wasm::ModuleLimits;
///
/// let mut limits = ModuleLimits::default();
/// limits.size = Some(50 << 20);
/// limits.functions = Some(1);
/// let two = wat::parse_str("(module (func) (func))").expect("valid text");
/// let error = limits.check(&two).unwrap_err();
/// assert_eq!(error.to_string(), "the module has 2 functions, and the limit is 1");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ModuleLimits {
    /// Bytes of the module in the binary format.
    pub size: Option<usize>,
    /// Functions, those that it imports included.
    pub functions: Option<u32>,
    /// Bytes of the code of one function.
    pub function_size: Option<usize>,
}

/// What a module has too much of.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TooLarge {
    /// What is limited: `bytes`, `functions`, `bytes in a function`.
    pub what: &'static str,
    /// How many it has, or would at least have.
    pub found: u64,
    /// The limit.
    pub limit: u64,
}

impl fmt::Display for TooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let TooLarge { what, found, limit } = self;
        write!(f, "the module has {found} {what}, and the limit is {limit}")
    }
}

impl error::Error for TooLarge {}

fn within(what: &'static str, found: u64, limit: Option<u64>) -> Result<(), TooLarge> {
    match limit {
        Some(limit) if found > limit => Err(TooLarge { what, found, limit }),
        _ => Ok(()),
    }
}

impl ModuleLimits {
    /// Whether `bytes`, a module in the binary format, is within the limits. If it is no valid
    /// module, only the part before the fault is looked at; the validation refuses it.
    ///
    /// # Errors
    ///
    /// [`TooLarge`], with the first that is.
    pub fn check(&self, bytes: &[u8]) -> Result<(), TooLarge> {
        within(
            "bytes",
            bytes.len() as u64,
            self.size.map(|size| size as u64),
        )?;
        if self.functions.is_none() && self.function_size.is_none() {
            return Ok(());
        }
        let mut functions = 0_u64;
        for payload in Parser::new(0).parse_all(bytes) {
            match payload {
                Ok(Payload::ImportSection(imports)) => {
                    let imported = imports.into_imports();
                    let is_function = |import: &wasmparser::Import<'_>| {
                        matches!(
                            import.ty,
                            wasmparser::TypeRef::Func(_) | wasmparser::TypeRef::FuncExact(_)
                        )
                    };
                    functions += imported.map_while(Result::ok).filter(is_function).count() as u64;
                }
                Ok(Payload::FunctionSection(section)) => functions += u64::from(section.count()),
                Ok(Payload::CodeSectionEntry(body)) => {
                    let limit = self.function_size.map(|size| size as u64);
                    let range = places(body.range());
                    within("bytes in a function", range.len() as u64, limit)?;
                }
                Ok(_) => {}
                Err(_) => break,
            }
            within("functions", functions, self.functions.map(u64::from))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(limits: &ModuleLimits, bytes: &[u8]) -> Option<(&'static str, u64)> {
        limits
            .check(bytes)
            .err()
            .map(|error| (error.what, error.found))
    }

    #[test]
    fn each_limit_is_the_most_that_there_may_be() {
        let text = r#"(module (import "m" "f" (func)) (import "m" "g" (global i32)) (memory 1)
                       (func) (func nop nop nop nop))"#;
        let bytes = wat::parse_str(text).unwrap();
        let limits = |size, functions, function_size| ModuleLimits {
            size,
            functions,
            function_size,
        };
        assert_eq!(found(&ModuleLimits::default(), &bytes), None);
        let size = bytes.len();
        assert_eq!(found(&limits(Some(size), Some(3), Some(6)), &bytes), None);
        let too_large = found(&limits(Some(size - 1), None, None), &bytes);
        assert_eq!(too_large, Some(("bytes", size as u64)));
        let too_many = found(&limits(None, Some(2), None), &bytes);
        assert_eq!(too_many, Some(("functions", 3)));
        let too_long = found(&limits(None, None, Some(5)), &bytes);
        assert_eq!(too_long, Some(("bytes in a function", 6)));
        // Cut anywhere, it is looked at as far as it goes.
        for length in 0..size {
            let _ = limits(None, Some(2), Some(5)).check(&bytes[..length]);
        }
    }
}
