//! The sections of a module that say what its functions are called and where they came from.

use std::borrow::Cow;
use std::fmt;

use gimli::{Dwarf, EndianSlice, LittleEndian};
use wasmparser::{BinaryReader, Chunk, Name, NameSectionReader, Parser, Payload};

use crate::limits::{Bound, Budget, Stop};

/// Bytes of debug information.
pub(crate) type Slice<'a> = EndianSlice<'a, LittleEndian>;

/// In what [`Symbols::keep`] writes: where the contents of the code section were, eight bytes.
const CODE: &str = "wasm-symbols.code";

/// All that is kept of a module, and read.
const KEPT: [&str; 10] = [
    "name",
    ".debug_abbrev",
    ".debug_addr",
    ".debug_info",
    ".debug_line",
    ".debug_line_str",
    ".debug_ranges",
    ".debug_rnglists",
    ".debug_str",
    ".debug_str_offsets",
];

/// The bytes in which a module's functions are looked up. Nothing is read before a trace is asked
/// for.
pub struct Symbols(Bytes);

enum Bytes {
    Held(Vec<u8>),
    Asked(Box<dyn Fn() -> Option<Vec<u8>> + Send + Sync>),
}

impl Symbols {
    /// The symbols of a module in the binary format, or of what [`keep`](Self::keep) made of it.
    /// Any bytes are accepted: what is no module has no names.
    pub fn new(module: Vec<u8>) -> Self {
        Symbols(Bytes::Held(module))
    }

    /// Whether a module has debug information. If it has none and its names are known otherwise,
    /// its bytes need not be kept.
    pub fn has_debug_info(module: &[u8]) -> bool {
        let mut has = false;
        let looked = sections(module, |section| {
            has |= matches!(section, Section::Custom(".debug_info", data) if !data.is_empty());
            Ok(())
        });
        looked.is_ok() && has
    }

    /// The symbols of a module that is fetched, from a file for example, each time a trace is asked
    /// for. `None` counts as a module without names. The function is called on the thread of
    /// [`Printer`](crate::Printer), and its time counts.
    pub fn fetched(module: impl Fn() -> Option<Vec<u8>> + Send + Sync + 'static) -> Self {
        Symbols(Bytes::Asked(Box::new(module)))
    }

    /// The part of a module's bytes that a lookup needs, as a module of custom sections: the names,
    /// the debug information, and where the code was. Copies these sections, and reads only the
    /// lengths of the others.
    pub fn keep(module: &[u8]) -> Vec<u8> {
        let mut kept = b"\0asm\x01\0\0\0".to_vec();
        let mut code = None;
        sections(module, |section| {
            match section {
                Section::Code(at) => code = Some(at),
                Section::Custom(name, data) if KEPT.contains(&name) => {
                    write_custom(&mut kept, name, data);
                }
                Section::Custom(..) => {}
            }
            Ok(())
        })
        .unwrap_or_default();
        if let Some(at) = code {
            write_custom(&mut kept, CODE, &at.to_le_bytes());
        }
        kept
    }

    pub(crate) fn bytes(&self) -> Cow<'_, [u8]> {
        match &self.0 {
            Bytes::Held(bytes) => Cow::Borrowed(bytes),
            Bytes::Asked(fetch) => Cow::Owned(fetch().unwrap_or_default()),
        }
    }
}

impl fmt::Debug for Symbols {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Symbols").finish_non_exhaustive()
    }
}

fn write_custom(to: &mut Vec<u8>, name: &str, data: &[u8]) {
    // A module that could be read has no section beyond 32 bits.
    let length = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
    let mut name_length = Vec::new();
    write_leb(&mut name_length, length(name.len()));
    to.push(0);
    write_leb(to, length(name_length.len() + name.len() + data.len()));
    to.extend_from_slice(&name_length);
    to.extend_from_slice(name.as_bytes());
    to.extend_from_slice(data);
}

fn write_leb(to: &mut Vec<u8>, mut value: u32) {
    while value >= 0x80 {
        to.push(value as u8 | 0x80);
        value >>= 7;
    }
    to.push(value as u8);
}

/// A section of interest.
enum Section<'a> {
    /// Where its contents begin.
    Code(u64),
    Custom(&'a str, &'a [u8]),
}

/// Goes through a module's sections, as far as they can be read.
fn sections<'a>(
    module: &'a [u8],
    mut found: impl FnMut(Section<'a>) -> Result<(), Stop>,
) -> Result<(), Stop> {
    let mut parser = Parser::new(0);
    let mut rest = module;
    while let Ok(Chunk::Parsed { consumed, payload }) = parser.parse(rest, true) {
        rest = &rest[consumed..];
        match payload {
            Payload::CodeSectionStart { range, size, .. } => {
                parser.skip_section();
                let Some(behind) = rest.get(size as usize..) else {
                    break;
                };
                rest = behind;
                found(Section::Code(range.start as u64))?;
            }
            Payload::CustomSection(custom) => found(match custom.name() {
                CODE => Section::Code(custom.data().try_into().map_or(0, u64::from_le_bytes)),
                name => Section::Custom(name, custom.data()),
            })?,
            Payload::End(_) => break,
            // Costs as much as one section: an unknown one is skipped whole.
            _ => found(Section::Custom("", &[]))?,
        }
    }
    Ok(())
}

/// The sections of one module.
pub(crate) struct Sections<'a> {
    /// Where the code's contents begin, from which DWARF counts.
    pub(crate) code: u64,
    /// The sections of [`KEPT`] that there are.
    custom: Vec<(&'static str, &'a [u8])>,
}

impl<'a> Sections<'a> {
    pub(crate) fn read(module: &'a [u8], budget: &mut Budget) -> Result<Self, Stop> {
        let mut read = Sections {
            code: 0,
            custom: Vec::new(),
        };
        sections(module, |section| {
            budget.spend(10)?;
            match section {
                Section::Code(at) => read.code = at,
                Section::Custom(name, data) => {
                    let kept = KEPT.iter().find(|kept| **kept == name);
                    if let Some(kept) = kept
                        && read.custom(kept).is_empty()
                    {
                        read.custom.push((kept, data));
                    }
                }
            }
            Ok(())
        })?;
        Ok(read)
    }

    fn custom(&self, name: &str) -> &'a [u8] {
        let found = self.custom.iter().find(|(kept, _)| *kept == name);
        found.map_or(&[], |(_, data)| data)
    }

    /// The debug information; `None` if there is none.
    pub(crate) fn dwarf(&self, budget: &Budget) -> Result<Option<Dwarf<Slice<'a>>>, Stop> {
        if self.custom(".debug_info").is_empty() {
            return Ok(None);
        }
        let most = budget.limits.section_bytes;
        let load = |id: gimli::SectionId| match self.custom(id.name()) {
            data if data.len() > most => Err(Stop::Bound(Bound::SectionBytes)),
            data => Ok(EndianSlice::new(data, LittleEndian)),
        };
        Dwarf::load(load).map(Some)
    }

    /// Asks `wanted` of each function's index whether it wants the name. Ends where the section
    /// cannot be read.
    pub(crate) fn names(
        &self,
        budget: &mut Budget,
        mut wanted: impl FnMut(u32) -> bool,
        mut found: impl FnMut(u32, &'a str),
    ) -> Result<(), Stop> {
        let reader = BinaryReader::new(self.custom("name"), 0);
        for names in NameSectionReader::new(reader) {
            let Ok(Name::Function(functions)) = names else {
                budget.spend(10)?;
                continue;
            };
            for naming in functions {
                let Ok(naming) = naming else {
                    return Ok(());
                };
                budget.spend(1 + naming.name.len() as u64 / 64)?;
                if wanted(naming.index) {
                    found(naming.index, naming.name);
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::Limits;
    use std::time::{Duration, Instant};

    fn budget() -> Budget {
        Budget::new(&Limits::default(), Instant::now() + Duration::from_secs(60))
    }

    #[test]
    fn what_is_kept_is_read_as_the_module_is() {
        let mut module = b"\0asm\x01\0\0\0".to_vec();
        write_custom(&mut module, ".debug_info", b"info");
        // A type, a function of it, its code.
        module.extend_from_slice(b"\x01\x04\x01\x60\0\0\x03\x02\x01\0\x0a\x04\x01\x02\0\x0b");
        write_custom(&mut module, "producers", b"much");
        write_custom(&mut module, "name", b"\x01\x07\x02\0\x01f\x07\x01g");
        let kept = Symbols::keep(&module);
        assert!(kept.len() < module.len() + 20);
        assert_eq!(Symbols::keep(&kept), kept);
        for bytes in [&module, &kept] {
            let mut budget = budget();
            let read = Sections::read(bytes, &mut budget).unwrap();
            assert_eq!(read.custom(".debug_info"), b"info");
            assert_eq!(module[read.code as usize..][..4], *b"\x01\x02\0\x0b");
            let mut names = Vec::new();
            let found = |index, name: &str| names.push((index, name.to_owned()));
            read.names(&mut budget, |_| true, found).unwrap();
            assert_eq!(names, [(0, "f".to_owned()), (7, "g".to_owned())]);
        }
    }

    #[test]
    fn what_is_no_module_has_no_sections() {
        for bytes in [&b""[..], b"\0asm", b"\x7fELF", &[0xff; 100]] {
            let read = Sections::read(bytes, &mut budget()).unwrap();
            assert!(read.dwarf(&budget()).unwrap().is_none());
            assert_eq!(Symbols::keep(bytes), b"\0asm\x01\0\0\0");
        }
    }
}
