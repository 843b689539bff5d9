//! Modules with debug information that no compiler writes.

/// A section: its name, and what is in it.
pub type Section = (&'static str, Vec<u8>);

/// Where the module's one function traps, as debug information counts: from the beginning of the
/// code.
pub const TRAPS_AT: u32 = 3;

/// Addresses that its function has.
const LENGTH: u32 = 4;

/// A module whose `_start` traps at [`TRAPS_AT`], with these custom sections. `name` is what its
/// name section calls the function, and the module itself.
pub fn trapping(name: &str, sections: &[Section]) -> Vec<u8> {
    let mut module = b"\0asm\x01\0\0\0".to_vec();
    // A type, a function of it, a memory of a page; both exported. The function is `unreachable`.
    module.extend(b"\x01\x04\x01\x60\0\0\x03\x02\x01\0\x05\x03\x01\0\x01");
    module.extend(b"\x07\x13\x02\x06_start\0\0\x06memory\x02\0");
    module.extend(b"\x0a\x05\x01\x03\0\0\x0b");
    let mut module = attached(module, sections);
    let mut names = Vec::new();
    let mut of_module = Vec::new();
    text(&mut of_module, name);
    subsection(&mut names, 0, &of_module);
    let mut of_functions = vec![1, 0];
    text(&mut of_functions, name);
    subsection(&mut names, 1, &of_functions);
    custom(&mut module, "name", &names);
    module
}

/// `depth` inlined functions, one in the other. With `full` each covers the function and says where
/// it was called. Otherwise they are entries of one byte, so 8 KB have room for 4,000.
pub fn nested(depth: usize, full: bool) -> Vec<Section> {
    if !full {
        return of_inlined(depth, &[], &[]);
    }
    let attributes = [(0x03, 0x08), (0x11, 0x01), (0x12, 0x06), (0x59, 0x0b)];
    let length = LENGTH.to_le_bytes();
    of_inlined(
        depth,
        &attributes,
        &[b"inner\0\0\0\0\0", &length[..], &[7]].concat(),
    )
}

/// `depth` inlined functions, one in the other. They have no name and were called nowhere. Each
/// covers `length` addresses, like the function that they are in.
pub fn unnamed(depth: usize, length: u32) -> Vec<Section> {
    let mut sections = of_inlined(
        depth,
        &[(0x11, 0x01), (0x12, 0x06)],
        &[[0; 4], length.to_le_bytes()].concat(),
    );
    // The unit's, behind its header and a code; the function's, behind another and its name.
    let entries = &mut sections[1].1;
    for at in [16, 31] {
        entries[at..at + 4].copy_from_slice(&length.to_le_bytes());
    }
    sections
}

/// A function named `outer`, and in it `depth` entries of inlined ones with these attributes.
fn of_inlined(depth: usize, attributes: &[(u8, u8)], values: &[u8]) -> Vec<Section> {
    let mut abbreviations = Vec::new();
    abbreviation(&mut abbreviations, 1, 0x11, &[(0x11, 0x01), (0x12, 0x06)]);
    let of_function = [(0x03, 0x08), (0x11, 0x01), (0x12, 0x06)];
    abbreviation(&mut abbreviations, 2, 0x2e, &of_function);
    abbreviation(&mut abbreviations, 3, 0x1d, attributes);
    abbreviations.push(0);
    let mut entries = vec![1];
    entries.extend([0; 4]);
    entries.extend(LENGTH.to_le_bytes());
    entries.extend(b"\x02outer\0");
    entries.extend([0; 4]);
    entries.extend(LENGTH.to_le_bytes());
    entries.extend([&[3], values].concat().repeat(depth));
    entries.extend(vec![0; depth + 2]);
    vec![
        (".debug_abbrev", abbreviations),
        (".debug_info", unit(&entries)),
    ]
}

/// `functions` functions without a name, one in the other. Each has `ranges` ranges, all to the
/// same address. The first range of each begins one behind the last of the function around it.
pub fn ranged(functions: u32, ranges: u32) -> Vec<Section> {
    let mut abbreviations = Vec::new();
    abbreviation(&mut abbreviations, 1, 0x11, &[(0x11, 0x01), (0x12, 0x06)]);
    abbreviation(&mut abbreviations, 2, 0x2e, &[(0x55, 0x17)]);
    abbreviations.push(0);
    let end = 1_u32 << 24;
    let mut entries = vec![1];
    entries.extend([0; 4]);
    entries.extend(end.to_le_bytes());
    let mut lists = Vec::new();
    for function in 0..functions {
        entries.push(2);
        entries.extend((lists.len() as u32).to_le_bytes());
        for range in 1..=ranges {
            lists.extend((function * ranges + range).to_le_bytes());
            lists.extend(end.to_le_bytes());
        }
        lists.extend([0; 8]);
    }
    entries.extend(vec![0; functions as usize + 1]);
    vec![
        (".debug_abbrev", abbreviations),
        (".debug_info", unit(&entries)),
        (".debug_ranges", lists),
    ]
}

/// A line table that has `files` files, of a unit that was compiled in a folder whose name has
/// `folder` bytes.
pub fn line_table(folder: usize, files: usize) -> Vec<Section> {
    let mut abbreviations = Vec::new();
    let of_unit = [(0x1b, 0x08), (0x10, 0x17), (0x11, 0x01), (0x12, 0x06)];
    abbreviation(&mut abbreviations, 1, 0x11, &of_unit);
    abbreviations.push(0);
    let mut entries = vec![1];
    entries.extend(vec![b'd'; folder]);
    entries.extend([0; 5]);
    entries.extend([0; 4]);
    entries.extend(LENGTH.to_le_bytes());
    entries.push(0);

    let mut header = vec![1, 1, 1, 0xfb, 14, 13, 0, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0, 1, 0];
    for _ in 0..files {
        header.extend(b"f\0\0\0\0");
    }
    header.push(0);
    // Address 0; file `files`, line 8; the end.
    let mut program = b"\0\x05\x02\0\0\0\0\x04".to_vec();
    leb(&mut program, files);
    program.extend(b"\x03\x07\x01\x02\x04\0\x01\x01");
    let mut table = 4_u16.to_le_bytes().to_vec();
    table.extend((header.len() as u32).to_le_bytes());
    table.extend(header);
    table.extend(program);
    vec![
        (".debug_abbrev", abbreviations),
        (".debug_info", unit(&entries)),
        (".debug_line", with_length(&table)),
    ]
}

/// A mangled C++ name in which each argument has the one before twice. 300 bytes stand for more
/// than 69 MB.
pub fn mangled_bomb() -> String {
    let mut name = "_Z1fI1aIiiE".to_owned();
    for last in "123456789ABCDEFGHIJKLMNOPQ".chars() {
        name.push_str(&format!("S0_IS{last}_S{last}_E"));
    }
    name + "Evv"
}

/// A unit of version 4 with these entries.
pub fn unit(entries: &[u8]) -> Vec<u8> {
    // Abbreviations from the beginning on, addresses of four bytes.
    let mut unit = b"\x04\0\0\0\0\0\x04".to_vec();
    unit.extend(entries);
    with_length(&unit)
}

/// The module with these custom sections behind it.
pub fn attached(mut module: Vec<u8>, sections: &[Section]) -> Vec<u8> {
    for (name, data) in sections {
        custom(&mut module, name, data);
    }
    module
}

/// Adds an abbreviation of entries with children: its code, its tag, attributes and their forms.
pub fn abbreviation(to: &mut Vec<u8>, code: u8, tag: u8, attributes: &[(u8, u8)]) {
    to.extend([code, tag, 1]);
    to.extend(attributes.iter().flat_map(|(name, form)| [*name, *form]));
    to.extend([0, 0]);
}

/// The bytes, with their length before them.
pub fn with_length(bytes: &[u8]) -> Vec<u8> {
    let mut all = (bytes.len() as u32).to_le_bytes().to_vec();
    all.extend(bytes);
    all
}

fn custom(module: &mut Vec<u8>, name: &str, data: &[u8]) {
    let mut section = Vec::new();
    text(&mut section, name);
    section.extend(data);
    subsection(module, 0, &section);
}

fn subsection(to: &mut Vec<u8>, id: u8, data: &[u8]) {
    to.push(id);
    leb(to, data.len());
    to.extend(data);
}

fn text(to: &mut Vec<u8>, text: &str) {
    leb(to, text.len());
    to.extend(text.as_bytes());
}

fn leb(to: &mut Vec<u8>, mut value: usize) {
    while value >= 0x80 {
        to.push(value as u8 | 0x80);
        value >>= 7;
    }
    to.push(value as u8);
}
