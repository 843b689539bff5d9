//! `--invoke FUNCTION ARGS`: parameters from text, results to text.

use std::fmt::Write as _;
use std::num::ParseIntError;

use wasmtime::{FuncType, Val, ValType};

use crate::message::{Message, Result};

/// The parameters of `function`, from the arguments after the module. As with `wasmtime run`, the
/// rest are arguments of the program.
pub(crate) fn params(function: &str, ty: &FuncType, args: &[String]) -> Result<Vec<Val>> {
    let mut args = args.iter();
    let mut params = Vec::new();
    for (index, ty) in ty.params().enumerate() {
        let Some(arg) = args.next() else {
            return Err(
                Message::usage(format!("not enough arguments for `{function}`"))
                    .why(format!("parameter {} of type {ty} is missing", index + 1))
                    .help("give parameters after the module, in their order"),
            );
        };
        let param = param(&ty, arg).map_err(|why| {
            Message::usage(format!("`{arg}` is no parameter for `{function}`"))
                .why(format!("parameter {} is of type {ty}: {why}", index + 1))
        })?;
        params.push(param);
    }
    Ok(params)
}

fn param(ty: &ValType, arg: &str) -> std::result::Result<Val, String> {
    let hexadecimal = arg.strip_prefix("0x").or_else(|| arg.strip_prefix("0X"));
    let said = |error: ParseIntError| error.to_string();
    match ty {
        ValType::I32 => match hexadecimal {
            // Hexadecimal gives all bits: 0xffffffff is -1.
            Some(digits) => u32::from_str_radix(digits, 16).map(u32::cast_signed),
            None => arg.parse(),
        }
        .map(Val::I32)
        .map_err(said),
        ValType::I64 => match hexadecimal {
            Some(digits) => u64::from_str_radix(digits, 16).map(u64::cast_signed),
            None => arg.parse(),
        }
        .map(Val::I64)
        .map_err(said),
        ValType::F32 => arg
            .parse()
            .map(|number: f32| Val::F32(number.to_bits()))
            .map_err(|error| error.to_string()),
        ValType::F64 => arg
            .parse()
            .map(|number: f64| Val::F64(number.to_bits()))
            .map_err(|error| error.to_string()),
        _ => Err("only numbers can be given".into()),
    }
}

/// The results, one per line, as `wasmtime run` prints them.
pub(crate) fn results(results: &[Val]) -> String {
    let mut text = String::new();
    for result in results {
        // Writing to a string cannot fail.
        let _ = match result {
            Val::I32(number) => writeln!(text, "{number}"),
            Val::I64(number) => writeln!(text, "{number}"),
            Val::F32(bits) => writeln!(text, "{}", f32::from_bits(*bits)),
            Val::F64(bits) => writeln!(text, "{}", f64::from_bits(*bits)),
            Val::V128(bits) => writeln!(text, "{}", bits.as_u128()),
            Val::FuncRef(reference) => writeln!(text, "{}", name("funcref", reference.is_none())),
            Val::ExternRef(reference) => {
                writeln!(text, "{}", name("externref", reference.is_none()))
            }
            Val::AnyRef(reference) => writeln!(text, "{}", name("anyref", reference.is_none())),
            Val::ExnRef(reference) => writeln!(text, "{}", name("exnref", reference.is_none())),
            Val::ContRef(reference) => writeln!(text, "{}", name("contref", reference.is_none())),
        };
    }
    text
}

fn name(reference: &str, null: bool) -> String {
    match null {
        true => format!("<null {reference}>"),
        false => format!("<{reference}>"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn i32_of(arg: &str) -> Option<i32> {
        param(&ValType::I32, arg).ok().and_then(|val| val.i32())
    }

    #[test]
    fn integers() {
        assert_eq!(i32_of("-5"), Some(-5));
        assert_eq!(i32_of("0x10"), Some(16));
        assert_eq!(i32_of("0xffffffff"), Some(-1));
        assert_eq!(i32_of("4294967296"), None);
        assert_eq!(i32_of("x"), None);
        let long = param(&ValType::I64, "0x8000000000000000").ok();
        assert_eq!(long.and_then(|val| val.i64()), Some(i64::MIN));
        assert!(param(&ValType::V128, "1").is_err());
    }

    #[test]
    fn as_text() {
        let values = [Val::I32(-1), Val::F64(1.5f64.to_bits()), Val::FuncRef(None)];
        assert_eq!(results(&values), "-1\n1.5\n<null funcref>\n");
    }
}
