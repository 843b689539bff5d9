//! `fd_readdir`.
//!
//! The cookie of an entry stands for the operating system's own position behind it (`d_off`). So it
//! stays good while entries come and go: an entry that is there throughout is reported once,
//! whatever happens to the others. Two threads may read one directory at different places.
//! [`Cookies`](crate::descriptor::cookies::Cookies) has the numbers.
//!
//! Where the embedder wants listings in order, a listing that begins is read whole and kept, and a
//! cookie is a place in it: [`NameList`].
//!
//! A directory's names come from the kernel, not from the guest, and are single components; looking
//! at one of them without following links does not resolve a path. Where a listing says of a file
//! what a look at it says, no look is made: it costs more than all else of a listing.

use crate::abi::convert;
use crate::abi::error::Result;
use crate::abi::types::{Dircookie, Dirent, Errno, Fd, Filetype, Rights, Size};
use crate::budget::MemoryBudget;
use crate::call::Call;
use crate::ctx::hooks::HostHooks;
use crate::descriptor::cookies::{Cookies, Place};
use crate::descriptor::made::OpenMadeFolder;
use crate::descriptor::name_list::NameList;
use crate::descriptor::{Dir, Kind};
use crate::guest::memory::write_bytes;
use crate::made::{MadeKind, stat};
use crate::sys::errno::Errno as Os;
use crate::sys::listing::{ListedFile, Listing};
use std::ffi::CStr;
use std::mem::MaybeUninit;
use std::sync::Arc;
use wiggle::{GuestMemory, GuestPtr, GuestType as _};

/// Room for entries on their way from the kernel: at least one of the longest names, at most a few
/// pages.
const KERNEL_BUFFER: std::ops::RangeInclusive<usize> = 1024..=(32 << 10);

/// How many bytes of entries go to the guest at once, about.
const PIECE: usize = 16 << 10;

/// Fills `buf` with entries from behind `cookie` on. The last one may be cut off. A result less
/// than `len` means the end of the directory, and so does a cookie that was never given out. If the
/// directory has more entries than small numbers, such a cookie may have been given out; then the
/// result is `inval`.
///
/// A name that is not UTF-8 is left out: no call could be made with it. An entry that cannot be
/// looked at has the type and the inode that the directory itself says.
pub(crate) fn readdir(
    call: &mut Call<'_>,
    memory: &mut GuestMemory<'_>,
    fd: Fd,
    buf: GuestPtr<u8>,
    len: Size,
    cookie: Dircookie,
) -> Result<Size> {
    let descriptor = call.fd(fd)?;
    let dir = descriptor.as_dir();
    let shared = call.shared;
    let scratch = &mut *call.scratch;
    scratch.entries.clear();
    scratch.positions.clear();
    let mut out = EntryWriter {
        memory,
        at: buf,
        left: len,
        bytes: &mut scratch.entries,
        positions: &mut scratch.positions,
        cookies: dir.map(|dir| &dir.cookies),
        after: cookie,
        hooks: &shared.hooks,
        budget: shared.budget.as_ref(),
    };
    if !descriptor.is_dir() {
        return Err(Errno::Notdir.into());
    }
    descriptor.allow(Rights::FD_READDIR)?;
    if let Kind::MadeFolder(folder) = descriptor.kind()? {
        out.made(folder, cookie)?;
    }
    if let Some(dir) = dir {
        let room = (len as usize).clamp(*KERNEL_BUFFER.start(), *KERNEL_BUFFER.end());
        let kernel = &mut scratch.dirents;
        if kernel.len() < room {
            kernel.resize(room, MaybeUninit::uninit());
        }
        match shared.hooks.ordered_listings {
            true => out.ordered(dir, cookie, &mut kernel[..room])?,
            false => out.entries(dir, cookie, &mut kernel[..room])?,
        }
    }
    out.flush()?;
    let written = len - out.left;
    call.used("fd_readdir", buf.offset(), written, true);
    Ok(written)
}

/// What a listing goes on with behind an entry.
enum Next {
    Cookie(Dircookie),
    /// The cookie that stands for this position of the system's.
    Behind(u64),
}

/// The guest's buffer, filled from the front.
struct EntryWriter<'a, 'm> {
    memory: &'a mut GuestMemory<'m>,
    at: GuestPtr<u8>,
    left: Size,
    /// What is to be written next, so that the guest's memory is looked up once for many entries.
    bytes: &'a mut Vec<u8>,
    /// Where in these bytes a cookie is still to be put, and the position that it stands for.
    positions: &'a mut Vec<(usize, u64)>,
    cookies: Option<&'a Cookies>,
    /// The last cookie that was put.
    after: Dircookie,
    hooks: &'a HostHooks,
    /// The budget from which a descriptor takes what it keeps of listings.
    budget: Option<&'a Arc<dyn MemoryBudget>>,
}

impl EntryWriter<'_, '_> {
    /// As the system lists them, from behind the position that `cookie` stands for.
    fn entries(&mut self, dir: &Dir, cookie: u64, kernel: &mut [MaybeUninit<u8>]) -> Result<()> {
        let position = match dir.cookies.place(cookie) {
            Place::Start => None,
            Place::At(position) => Some(position),
            Place::Nowhere => return Ok(()),
            Place::Cut => return Err(Errno::Inval.into()),
        };
        // A cursor of this call's own.
        let listing = Listing::open(dir.fd()?, position, &dir.known)?;
        let mut entries = listing.entries(kernel);
        while self.left != 0 {
            let Some(entry) = entries.next()? else { break };
            let (name, said) = (entry.name(), entry.said());
            let find = || listing.find_just_listed(name, said);
            self.entry(&listing, name, find, Next::Behind(entry.position()))?;
        }
        Ok(())
    }

    /// In order, from the place `cookie` on: the names that were there when the listing began and
    /// still are.
    fn ordered(&mut self, dir: &Dir, cookie: u64, kernel: &mut [MaybeUninit<u8>]) -> Result<()> {
        let listing = Listing::open(dir.fd()?, None, &dir.known)?;
        let list = match dir.cookies.list().filter(|_| cookie != 0) {
            Some(list) => list,
            None => {
                let list = Arc::new(NameList::read(&listing, kernel, self.budget)?);
                dir.cookies.keep_list(Arc::clone(&list));
                list
            }
        };
        for (next, name, said) in list.behind(cookie) {
            if self.left == 0 {
                break;
            }
            self.entry(
                &listing,
                name,
                || listing.find(name, said),
                Next::Cookie(next),
            )?;
        }
        Ok(())
    }

    /// In a folder that the host makes up, a cookie is a place in the listing, behind the two dots.
    fn made(&mut self, folder: &OpenMadeFolder, cookie: u64) -> Result<()> {
        let listing = folder.listing(cookie, self.budget)?;
        let own = folder.filestat()?.ino;
        let dots = [".", ".."].map(|name| (name, Filetype::Directory, own));
        let entries = listing.entries.iter().map(|entry| {
            let d_type = match entry.kind {
                MadeKind::Folder => Filetype::Directory,
                MadeKind::File => Filetype::RegularFile,
                MadeKind::Link => Filetype::SymbolicLink,
            };
            (&*entry.name, d_type, stat::inode(entry.inode))
        });
        let all = dots.into_iter().chain(entries);
        let from = usize::try_from(cookie).unwrap_or(usize::MAX);
        for (next, (name, d_type, d_ino)) in (1..).zip(all).skip(from) {
            if self.left == 0 {
                break;
            }
            let dirent = Dirent {
                d_next: next,
                d_ino,
                d_namlen: name.len().try_into()?,
                d_type,
            };
            self.put_entry(&dirent, name.as_bytes())?;
        }
        Ok(())
    }

    /// One entry with its cookie, unless `find` finds nothing or its name is not UTF-8.
    fn entry(
        &mut self,
        listing: &Listing,
        c_name: &CStr,
        find: impl FnOnce() -> std::result::Result<Option<ListedFile>, Os>,
        next: Next,
    ) -> Result<()> {
        let Ok(name) = std::str::from_utf8(c_name.to_bytes()) else {
            return Ok(());
        };
        let (found, d_type) = if name == "." || name == ".." {
            // The guest must not learn what lies above: `..` is reported with this directory's own
            // number.
            (listing.itself()?, Filetype::Directory)
        } else {
            let Some(found) = find()? else {
                return Ok(());
            };
            let d_type = convert::file_type(found.file_type);
            (found, d_type)
        };
        let inode = convert::inode(found.device, found.inode);
        let d_next = match next {
            Next::Cookie(cookie) => cookie,
            Next::Behind(position) => {
                self.positions.push((self.bytes.len(), position));
                0
            }
        };
        let dirent = Dirent {
            d_next,
            d_ino: self.hooks.inode(inode),
            d_namlen: name.len().try_into()?,
            d_type,
        };
        self.put_entry(&dirent, name.as_bytes())
    }

    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        let n = bytes.len().min(self.left as usize);
        self.bytes.extend_from_slice(&bytes[..n]);
        self.left -= n as Size;
        match self.bytes.len() < PIECE {
            true => Ok(()),
            false => self.flush(),
        }
    }

    /// Writes what was put so far.
    fn flush(&mut self) -> Result<()> {
        if !self.bytes.is_empty() {
            self.put_cookies();
            self.at = write_bytes(self.memory, self.at, self.bytes)?;
            self.bytes.clear();
        }
        Ok(())
    }

    /// Puts the cookies of the entries that wait for theirs: all at once, as that takes a lock.
    fn put_cookies(&mut self) {
        if let Some(cookies) = self.cookies {
            let positions = self.positions.iter_mut().map(|(_, position)| position);
            cookies.of(positions, self.after, self.budget);
        }
        for (at, cookie) in self.positions.drain(..) {
            self.after = cookie;
            // The last entry may be cut off.
            let room = &mut self.bytes[at..];
            let n = room.len().min(8);
            room[..n].copy_from_slice(&cookie.to_le_bytes()[..n]);
        }
    }

    /// Field by field, so that nothing of the host's gets into the padding.
    fn put_entry(&mut self, dirent: &Dirent, name: &[u8]) -> Result<()> {
        let mut bytes = [0; 24];
        debug_assert_eq!(Dirent::guest_size() as usize, bytes.len());
        bytes[..8].copy_from_slice(&dirent.d_next.to_le_bytes());
        bytes[8..16].copy_from_slice(&dirent.d_ino.to_le_bytes());
        bytes[16..20].copy_from_slice(&dirent.d_namlen.to_le_bytes());
        bytes[20] = dirent.d_type as u8;
        self.put(&bytes)?;
        self.put(name)
    }
}
