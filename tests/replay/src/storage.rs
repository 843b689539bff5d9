//! A database, and files.

use std::io::Write;
use std::path::Path;
use std::sync::Mutex;
use std::time::SystemTime;

use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};

use crate::on_threads;

const TABLE: TableDefinition<u64, u64> = TableDefinition::new("numbers");

/// Four threads write to a database; which comes when is in it.
pub fn database(folder: &Path) {
    let database = Database::create(folder.join("numbers.redb")).unwrap();
    on_threads(|number| {
        for _ in 0..3 {
            let write = database.begin_write().unwrap();
            {
                let mut table = write.open_table(TABLE).unwrap();
                let next = table.iter().unwrap().count() as u64;
                table.insert(next, number as u64).unwrap();
            }
            write.commit().unwrap();
        }
    });
    let read = database.begin_read().unwrap();
    let table = read.open_table(TABLE).unwrap();
    for entry in table.iter().unwrap() {
        let (key, value) = entry.unwrap();
        println!("{} {}", key.value(), value.value());
    }
}

/// Four threads make files, append to one of all, and list the folder.
pub fn files(folder: &Path) {
    let log = Mutex::new(std::fs::File::create(folder.join("log")).unwrap());
    on_threads(|number| {
        for round in 0..4 {
            std::fs::write(folder.join(format!("{number}.{round}")), "text").unwrap();
            let seen = std::fs::read_dir(folder).unwrap().count();
            writeln!(log.lock().unwrap(), "{number} {round} saw {seen}").unwrap();
        }
    });
    print!("{}", std::fs::read_to_string(folder.join("log")).unwrap());
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let changed = entry.metadata().unwrap().modified().unwrap();
        let changed = changed.duration_since(SystemTime::UNIX_EPOCH).unwrap();
        println!("{:?} {changed:?}", entry.file_name());
    }
}
