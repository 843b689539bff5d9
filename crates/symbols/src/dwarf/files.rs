//! The files of a line table: their paths, each put together when it is asked for.

use std::borrow::Cow;

use gimli::{AttributeValue, Reader};

use crate::dwarf::lines::LineTable;
use crate::limits::{Budget, Stop};
use crate::sections::Slice;

/// Bytes of a folder or a file's name that are looked at: its last ones.
const PATH_BYTES: usize = 4096;

impl<'a> LineTable<'_, 'a> {
    /// The path of a file, its end if it is long; `None` if there is no such file.
    pub(super) fn path(&self, file: u64, budget: &mut Budget) -> Result<Option<String>, Stop> {
        let mut lists = self.lists;
        let mut path = Path(String::new());
        if let Some(folder) = self.unit.comp_dir {
            path.push(folder.slice());
        }
        let (folder, name) = if self.version >= 5 {
            let folders = lists;
            self.entry(&mut lists, None, budget)?;
            let Some((name, folder)) = self.entry(&mut lists, Some(file), budget)? else {
                return Ok(None);
            };
            let folder = match folder {
                0 => None,
                index => self.entry(&mut { folders }, Some(index), budget)?,
            };
            (folder.map(|(folder, _)| folder), name)
        } else {
            let folders = lists;
            while !string(&mut lists, budget)?.is_empty() {}
            let Some((name, folder)) = self.old_entry(lists, file, budget)? else {
                return Ok(None);
            };
            let mut found = None;
            let mut folders = folders;
            for _ in 0..folder {
                found = Some(string(&mut folders, budget)?).filter(|folder| !folder.is_empty());
                if found.is_none() {
                    break;
                }
            }
            (found, name)
        };
        if let Some(folder) = folder {
            path.push(folder.slice());
        }
        path.push(name.slice());
        Ok(Some(path.0))
    }

    /// The name and the folder of a file, before version 5.
    fn old_entry(
        &self,
        mut files: Slice<'a>,
        file: u64,
        budget: &mut Budget,
    ) -> Result<Option<(Slice<'a>, u64)>, Stop> {
        if file == 0 {
            return Ok(self.unit.name.map(|name| (name, 0)));
        }
        for index in 1.. {
            let name = string(&mut files, budget)?;
            if name.is_empty() {
                break;
            }
            let folder = files.read_uleb128()?;
            // When it was changed, how long it is.
            files.skip_leb128()?;
            files.skip_leb128()?;
            if index == file {
                return Ok(Some((name, folder)));
            }
        }
        Ok(None)
    }

    /// Reads a list of version 5 to its end, or to an entry, whose path and folder it gives.
    fn entry(
        &self,
        list: &mut Slice<'a>,
        index: Option<u64>,
        budget: &mut Budget,
    ) -> Result<Option<(Slice<'a>, u64)>, Stop> {
        let mut formats = Vec::new();
        for _ in 0..list.read_u8()? {
            formats.push((list.read_uleb128()?, list.read_uleb128()?));
        }
        let count = list.read_uleb128()?;
        if formats.is_empty() && count > 0 {
            return Err(Stop::Wrong);
        }
        for at in 0..count {
            let (mut path, mut folder) = (None, 0);
            for (content, form) in &formats {
                budget.spend(1)?;
                let value = self.form(list, *form)?;
                match gimli::DwLnct(*content as u16) {
                    gimli::DW_LNCT_path => path = Some(value),
                    gimli::DW_LNCT_directory_index => {
                        folder = value.udata_value().ok_or(Stop::Wrong)?;
                    }
                    _ => {}
                }
            }
            if index == Some(at) {
                let path = self
                    .dwarf
                    .attr_string(&self.unit, path.ok_or(Stop::Wrong)?)?;
                return Ok(Some((path, folder)));
            }
        }
        Ok(None)
    }

    /// A value in a list of version 5. Each takes at least a byte, so that a list cannot be longer
    /// than it is.
    fn form(&self, list: &mut Slice<'a>, form: u64) -> Result<AttributeValue<Slice<'a>>, Stop> {
        let form = u16::try_from(form).map_err(|_| Stop::Wrong)?;
        Ok(match gimli::DwForm(form) {
            gimli::DW_FORM_string => AttributeValue::String(list.read_null_terminated_slice()?),
            gimli::DW_FORM_line_strp => AttributeValue::DebugLineStrRef(gimli::DebugLineStrOffset(
                list.read_offset(self.format)?,
            )),
            gimli::DW_FORM_strp => {
                AttributeValue::DebugStrRef(gimli::DebugStrOffset(list.read_offset(self.format)?))
            }
            gimli::DW_FORM_strx => index(list.read_uleb128()?)?,
            gimli::DW_FORM_strx1 => index(list.read_u8()?.into())?,
            gimli::DW_FORM_strx2 => index(list.read_u16()?.into())?,
            gimli::DW_FORM_strx4 => index(list.read_u32()?.into())?,
            gimli::DW_FORM_udata => AttributeValue::Udata(list.read_uleb128()?),
            gimli::DW_FORM_data1 => AttributeValue::Udata(list.read_u8()?.into()),
            gimli::DW_FORM_data2 => AttributeValue::Udata(list.read_u16()?.into()),
            gimli::DW_FORM_data4 => AttributeValue::Udata(list.read_u32()?.into()),
            gimli::DW_FORM_data8 => AttributeValue::Udata(list.read_u64()?),
            // A checksum.
            gimli::DW_FORM_data16 => AttributeValue::Block(list.split(16)?),
            gimli::DW_FORM_block => {
                let length = usize::try_from(list.read_uleb128()?).map_err(|_| Stop::Wrong)?;
                AttributeValue::Block(list.split(length)?)
            }
            _ => return Err(Stop::Wrong),
        })
    }
}

fn index<'a>(index: u64) -> Result<AttributeValue<Slice<'a>>, Stop> {
    let index = usize::try_from(index).map_err(|_| Stop::Wrong)?;
    Ok(AttributeValue::DebugStrOffsetsIndex(
        gimli::DebugStrOffsetsIndex(index),
    ))
}

fn string<'a>(input: &mut Slice<'a>, budget: &mut Budget) -> Result<Slice<'a>, Stop> {
    let string = input.read_null_terminated_slice()?;
    budget.spend(1 + string.len() as u64 / 64)?;
    Ok(string)
}

/// A path that is put together from folders and a file's name.
struct Path(String);

impl Path {
    fn push(&mut self, part: &[u8]) {
        let rooted = |part: &[u8], root: u8| {
            part.first() == Some(&root) || part.get(1..3) == Some(&[b':', root])
        };
        let end = &part[part.len().saturating_sub(PATH_BYTES)..];
        let end = match end.len() == part.len() {
            true => String::from_utf8_lossy(end),
            false => Cow::Owned(format!(
                "{}{}",
                crate::escape::CUT,
                String::from_utf8_lossy(end)
            )),
        };
        if rooted(part, b'/') || rooted(part, b'\\') {
            self.0 = end.into_owned();
            return;
        }
        let separator = match rooted(self.0.as_bytes(), b'\\') {
            true => '\\',
            false => '/',
        };
        if !self.0.is_empty() && !self.0.ends_with(separator) {
            self.0.push(separator);
        }
        self.0.push_str(&end);
    }
}
