//! `include/wasi_threads.h` agrees with the sources: its declarations and their documentation are
//! generated from `src/ffi`.
//!
//! `UPDATE_HEADER=1 cargo test --workspace --test header` writes it.

use std::fmt::Write;
use std::path::Path;

use syn::{Attribute, Expr, FnArg, Item, Lit, Meta, Pat, PathArguments, ReturnType, Type};

/// Sources, in the order of the header.
const SOURCES: [&str; 6] = ["engine", "module", "config", "group", "outcome", "strings"];

#[test]
fn the_header_is_that_of_the_sources() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = root.join("include/wasi_threads.h");
    let made = header(&root.join("src/ffi"));
    if std::env::var_os("UPDATE_HEADER").is_some() {
        std::fs::write(&path, &made).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap();
    let differs = kept.lines().zip(made.lines()).find(|(a, b)| a != b);
    assert!(
        kept == made,
        "run `UPDATE_HEADER=1 cargo test --workspace --test header`; the first line that differs: {differs:?}"
    );
}

/// Every function of the library is declared, and nothing else.
#[test]
fn every_exported_function_is_declared() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let header = std::fs::read_to_string(root.join("include/wasi_threads.h")).unwrap();
    let mut functions = 0;
    for source in std::fs::read_dir(root.join("src/ffi")).unwrap() {
        let text = std::fs::read_to_string(source.unwrap().path()).unwrap();
        for line in text.lines() {
            let Some((_, after)) = line.split_once("extern \"C\" fn ") else {
                continue;
            };
            let name = after.split('(').next().unwrap();
            if !name.starts_with("wt_") {
                continue;
            }
            assert!(header.contains(&format!("{name}(")), "{name}");
            functions += 1;
        }
    }
    assert!(functions > 30, "{functions}");
}

fn header(folder: &Path) -> String {
    let mut out = String::from("/*\n");
    for line in wasi_threads_c::INTRODUCTION.lines() {
        out += format!(" * {line}").trim_end();
        out.push('\n');
    }
    out += " */\n#ifndef WASI_THREADS_H\n#define WASI_THREADS_H\n\n";
    out += "#include <stdbool.h>\n#include <stddef.h>\n#include <stdint.h>\n\n";
    out += "#ifdef __cplusplus\nextern \"C\" {\n#endif\n";
    let files: Vec<syn::File> = SOURCES
        .iter()
        .map(|name| {
            let text = std::fs::read_to_string(folder.join(format!("{name}.rs"))).unwrap();
            syn::parse_file(&text).unwrap()
        })
        .collect();
    // Types come first, because functions of one source take types of another.
    for item in files.iter().flat_map(|file| &file.items) {
        declare_type(&mut out, item);
    }
    for item in files.iter().flat_map(|file| &file.items) {
        declare_function(&mut out, item);
    }
    out += "\n#ifdef __cplusplus\n}\n#endif\n\n#endif\n";
    out
}

fn declare_type(out: &mut String, item: &Item) {
    match item {
        Item::Struct(item) if is_public(&item.vis) => {
            comment(out, &item.attrs, "");
            let name = snake(&item.ident.to_string());
            writeln!(out, "typedef struct {name} {name};").unwrap();
        }
        Item::Enum(item) if is_public(&item.vis) => {
            comment(out, &item.attrs, "");
            let name = snake(&item.ident.to_string());
            writeln!(out, "typedef enum {name} {{").unwrap();
            for variant in &item.variants {
                comment(out, &variant.attrs, "  ");
                let (_, value) = variant.discriminant.as_ref().unwrap();
                let name = snake(&variant.ident.to_string()).to_uppercase();
                writeln!(out, "  WT_{name} = {},", number(value)).unwrap();
            }
            writeln!(out, "}} {name};").unwrap();
        }
        Item::Const(item) if is_public(&item.vis) => {
            comment(out, &item.attrs, "");
            writeln!(out, "#define {} {}u", item.ident, number(&item.expr)).unwrap();
        }
        _ => {}
    }
}

fn declare_function(out: &mut String, item: &Item) {
    let Item::Fn(item) = item else { return };
    if !is_public(&item.vis) {
        return;
    }
    let exported = |attr: &Attribute| attr.path().is_ident("unsafe");
    assert!(item.attrs.iter().any(exported), "{}", item.sig.ident);
    comment(out, &item.attrs, "");
    let result = match &item.sig.output {
        ReturnType::Default => "void ".to_owned(),
        ReturnType::Type(_, ty) => c_type(ty),
    };
    let parameters: Vec<String> = item.sig.inputs.iter().map(parameter).collect();
    let list = match parameters.is_empty() {
        true => "void".to_owned(),
        false => parameters.join(", "),
    };
    let line = format!("{result}{}({list});", item.sig.ident);
    match line.len() {
        0..=90 => writeln!(out, "{line}").unwrap(),
        _ => {
            let list = parameters.join(",\n    ");
            writeln!(out, "{result}{}(\n    {list});", item.sig.ident).unwrap();
        }
    }
}

fn parameter(input: &FnArg) -> String {
    let FnArg::Typed(input) = input else {
        panic!("a method");
    };
    let Pat::Ident(name) = &*input.pat else {
        panic!("a pattern");
    };
    format!("{}{}", c_type(&input.ty), name.ident)
}

/// A type of C, with the text between it and a name.
fn c_type(ty: &Type) -> String {
    match ty {
        Type::Ptr(pointer) => {
            let to = c_type(&pointer.elem);
            let constant = match pointer.mutability {
                Some(_) => "",
                None => "const ",
            };
            format!(
                "{constant}{}*",
                if to.ends_with('*') {
                    to
                } else {
                    to.trim_end().to_owned() + " "
                }
            )
        }
        Type::Path(path) => {
            let segment = path.path.segments.last().unwrap();
            assert!(matches!(segment.arguments, PathArguments::None));
            let name = segment.ident.to_string();
            let c = match name.as_str() {
                "c_char" => "char",
                "c_int" => "int",
                "u8" => "uint8_t",
                "u32" => "uint32_t",
                "u64" => "uint64_t",
                "i32" => "int32_t",
                "usize" => "size_t",
                "bool" => "bool",
                _ => {
                    assert!(name.starts_with("Wt"), "no type of C's: {name}");
                    return snake(&name) + " ";
                }
            };
            format!("{c} ")
        }
        _ => panic!("a type that C has not"),
    }
}

/// The documentation as a comment of C. Rust's section on safety says what the caller ensures.
fn comment(out: &mut String, attrs: &[Attribute], indent: &str) {
    let mut lines = Vec::new();
    for attr in attrs {
        let Meta::NameValue(value) = &attr.meta else {
            continue;
        };
        if !value.path.is_ident("doc") {
            continue;
        }
        let Expr::Lit(literal) = &value.value else {
            panic!("a comment that is no text");
        };
        let Lit::Str(text) = &literal.lit else {
            panic!("a comment that is no text");
        };
        lines.push(text.value().trim().to_owned());
    }
    assert!(!lines.is_empty(), "something public without documentation");
    let text = lines
        .join("\n")
        .replace("# Safety\n\n", "The caller ensures: ");
    if indent.is_empty() {
        out.push('\n');
    }
    let paragraphs: Vec<String> = text
        .split("\n\n")
        .map(|paragraph| paragraph.replace('\n', " "))
        .collect();
    writeln!(out, "{indent}/**").unwrap();
    for (at, paragraph) in paragraphs.iter().enumerate() {
        if at > 0 {
            writeln!(out, "{indent} *").unwrap();
        }
        let mut line = String::new();
        for word in paragraph.split_whitespace() {
            if line.len() + word.len() > 76 {
                writeln!(out, "{indent} *{line}").unwrap();
                line.clear();
            }
            line.push(' ');
            line.push_str(word);
        }
        writeln!(out, "{indent} *{line}").unwrap();
    }
    writeln!(out, "{indent} */").unwrap();
}

fn is_public(visibility: &syn::Visibility) -> bool {
    matches!(visibility, syn::Visibility::Public(_))
}

fn number(expr: &Expr) -> String {
    let Expr::Lit(literal) = expr else {
        panic!("no number");
    };
    let Lit::Int(number) = &literal.lit else {
        panic!("no number");
    };
    number.base10_digits().to_owned()
}

/// `TimedOut` as `timed_out`.
fn snake(name: &str) -> String {
    let mut out = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !out.is_empty() {
            out.push('_');
        }
        out.extend(letter.to_lowercase());
    }
    out
}
