//! Compiled files and entries of the cache that are not as they were written.

use std::cell::Cell;
use std::hash::{Hash, Hasher};
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex, PoisonError};

use tempfile::TempDir;
use wasi_threads::{Stamp, StampError, Stamped, ThreadModule, prepare};
use wasmtime::{Cache, CacheConfig, Config, Engine};
use wasmtime_internal_cache::ModuleCacheEntry;

use crate::input::Input;
use crate::plant::planted;

const MODULES: [&str; 3] = [
    "(module
       (import \"env\" \"memory\" (memory 1 2 shared))
       (memory $own 1 1 shared)
       (data (i32.const 0) \"active\")
       (func (result i32) (memory.atomic.notify (i32.const 0) (i32.const 0)))
       (func (result i32) (memory.atomic.wait32 $own (i32.const 0) (i32.const 0) (i64.const 0)))
       (func $start) (start $start))",
    "(module)",
    "(module (func $f) (start $f))",
];

/// The parts of the end of a file: three lengths, the checksum, and the bytes that identify it.
const FOOTER: usize = 8 + 8 + 4 + 4 + 16;
const KNOWN_BY: usize = 16;

/// A module, its file, and how long the code in it is.
struct File {
    module: ThreadModule,
    bytes: Vec<u8>,
    compiled: usize,
}

static FILES: LazyLock<Vec<File>> = LazyLock::new(|| {
    let mut config = Config::new();
    config.wasm_threads(true).shared_memory(true);
    let engine = Engine::new(&config).expect("an engine");
    let file = |text: &&str| {
        let wasm = wat::parse_str(text).expect("a module");
        let module = prepare(&engine, &wasm).expect("a module to prepare");
        let bytes = module.serialize_with(b"attached").expect("bytes");
        let compiled = Stamped::parse(&bytes).expect("a stamp").compiled().len();
        File {
            module,
            bytes,
            compiled,
        }
    };
    MODULES.iter().map(file).collect()
});

pub(crate) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    match input.u8() % 4 {
        0 => any_bytes(input.rest()),
        1 => other_stamp(&mut input),
        2 => changed_file(&mut input),
        _ => changed_entry(&mut input),
    }
}

/// Both ways to read it say the same.
fn parse(bytes: &[u8]) -> Result<Stamped<'_>, StampError> {
    let parsed = Stamped::parse(bytes);
    let read = Stamp::read(&mut Cursor::new(bytes));
    let said = |error: &StampError| error.to_string();
    assert_eq!(
        parsed.as_ref().err().map(said),
        read.as_ref().err().map(said),
        "a file and its bytes"
    );
    parsed
}

fn any_bytes(bytes: &[u8]) {
    if let Ok(stamped) = parse(bytes) {
        assert!(stamped.compiled().len() < bytes.len());
    }
}

/// The code of one module with any stamp, and a checksum that fits.
fn other_stamp(input: &mut Input<'_>) {
    let file = &FILES[input.below(FILES.len())];
    let other = &FILES[input.below(FILES.len())];
    let own = match input.u8() & 1 {
        // What was written, with changes.
        0 => other.bytes[other.compiled + 8..other.bytes.len() - FOOTER].to_vec(),
        _ => Vec::new(),
    };
    let stamp = match own.is_empty() {
        true => input.rest().to_vec(),
        false => edited(own, input),
    };
    let mut bytes = file.bytes[..file.compiled].to_vec();
    bytes.extend(&stamp);
    bytes.extend((file.compiled as u64).to_le_bytes());
    bytes.extend(0_u64.to_le_bytes());
    bytes.extend((stamp.len() as u32).to_le_bytes());
    bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
    bytes.extend(&file.bytes[file.bytes.len() - KNOWN_BY..]);
    let Ok(stamped) = parse(&bytes) else { return };
    match stamped.into_module(file.module.module().clone()) {
        Ok(module) => {
            // What it says of itself is asked for, and it can be written again.
            let _ = (module.start_export(), module.waits_reach_group());
            let again = module.serialize().expect("bytes");
            parse(&again).expect("what was just written");
        }
        Err(error) => assert!(matches!(error, StampError::Foreign(_)), "{error}"),
    }
}

fn edited(mut bytes: Vec<u8>, input: &mut Input<'_>) -> Vec<u8> {
    while !input.is_empty() {
        let at = usize::from(input.u16()) % (bytes.len() + 1);
        let (how, byte) = (input.u8(), input.u8());
        match how % 4 {
            0 => bytes.insert(at, byte),
            1 if at < bytes.len() => drop(bytes.remove(at)),
            2 => bytes.truncate(at),
            _ if at < bytes.len() => bytes[at] ^= byte,
            _ => {}
        }
    }
    bytes
}

/// What is not as it was written is refused.
fn changed_file(input: &mut Input<'_>) {
    let file = &FILES[input.below(FILES.len())];
    let place = input.u8();
    let mut bytes = file.bytes.clone();
    if place & 1 != 0 {
        // Most of it is code: rather what is behind it.
        let end = bytes.split_off(file.compiled);
        bytes.extend(edited(end, input));
    } else {
        bytes = edited(bytes, input);
    }
    let same = bytes == file.bytes;
    let wrong_sum =
        bytes.len() == file.bytes.len() && bytes[..file.compiled] == file.bytes[..file.compiled];
    let taken = parse(&bytes).is_ok() || planted("sum-ignored") && wrong_sum && !same;
    assert_eq!(taken, same, "a file that was changed");
}

/// The folder of a cache with one entry.
struct Folder {
    _dir: TempDir,
    cache: Cache,
    entry: PathBuf,
    written: Vec<u8>,
}

static FOLDER: LazyLock<Mutex<Folder>> = LazyLock::new(|| {
    let dir = tempfile::tempdir().expect("a folder");
    let mut config = CacheConfig::new();
    config.with_directory(dir.path());
    let cache = Cache::new(config).expect("a cache");
    let bytes = &FILES[0].bytes;
    let made = get(&cache, bytes);
    assert!(made.1, "it was there already");
    let entry = only_file(dir.path()).expect("an entry");
    let written = std::fs::read(&entry).expect("the entry");
    Mutex::new(Folder {
        _dir: dir,
        cache,
        entry,
        written,
    })
});

/// What is asked for, and whether it had to be made.
struct Asked<'a> {
    bytes: &'a [u8],
    made: Cell<bool>,
}

impl Hash for Asked<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        1_u8.hash(state);
    }
}

/// What the cache has, and whether it had to be made.
fn get(cache: &Cache, bytes: &[u8]) -> (Vec<u8>, bool) {
    let asked = Asked {
        bytes,
        made: Cell::new(false),
    };
    let entry = ModuleCacheEntry::new("fuzzing", Some(cache));
    let got = entry.get_data_raw(
        &asked,
        |asked| {
            asked.made.set(true);
            Ok::<_, String>(asked.bytes.to_vec())
        },
        |_, bytes| Some(bytes.clone()),
        // As the binary does.
        |_, bytes| Stamped::parse(&bytes).is_ok().then(|| bytes.clone()),
    );
    (got.expect("it can be made"), asked.made.get())
}

/// The first file below `folder` that is no statistics.
fn only_file(folder: &Path) -> Option<PathBuf> {
    for entry in std::fs::read_dir(folder).ok()?.flatten() {
        let path = entry.path();
        if path.is_dir() {
            if let Some(found) = only_file(&path) {
                return Some(found);
            }
        } else if path.extension().is_none() {
            return Some(path);
        }
    }
    None
}

/// An entry of the cache that has changed since it was written counts as none.
fn changed_entry(input: &mut Input<'_>) {
    let folder = FOLDER.lock().unwrap_or_else(PoisonError::into_inner);
    let bytes = &FILES[0].bytes;
    let packed = |bytes: &[u8]| zstd::encode_all(bytes, 1).expect("memory");
    let content = match input.u8() % 4 {
        0 => input.rest().to_vec(),
        1 => packed(input.rest()),
        2 => packed(&edited(bytes.clone(), input)),
        _ => edited(folder.written.clone(), input),
    };
    std::fs::write(&folder.entry, &content).expect("the entry");
    let (mut got, made) = get(&folder.cache, bytes);
    if planted("entry-changed") && made && content.len() > 64 {
        got = content;
    }
    assert!(got == *bytes, "an entry that was changed is taken");
}
