//! Transfers, polls, listings: what is done to both sides and taken out before comparing.

use crate::op::{At, Buf, EVENT, Fd, Io, LIST, OUT, SUBSCRIPTION};
use crate::side::Side;
use crate::twins::{Kind, Twins, i};
use std::collections::BTreeSet;
use wasmtime::Val;

/// Of the memory.
const SIZE: u64 = 65536;

const LISTING: u32 = 0x3000;
const LISTING_LEN: u32 = 0x2000;

impl Twins {
    pub(crate) fn transfer(
        &mut self,
        name: &str,
        fd: Fd,
        Io {
            buf,
            mut list,
            mut out,
        }: Io,
        offset: Option<i64>,
    ) -> Result<(), String> {
        let is_out_of_bounds = buf.len != 0 && u64::from(buf.at) + u64::from(buf.len) > SIZE;
        if is_out_of_bounds {
            (list, out) = (LIST, OUT);
        }
        if u64::from(list) + 8 <= SIZE {
            self.write(list, &buf.at.to_le_bytes());
            self.write(list + 4, &buf.len.to_le_bytes());
        }
        let mut args = vec![i(list), i(1)];
        args.extend(offset.map(Val::I64));
        args.push(i(out));
        if is_out_of_bounds {
            return self.transfer_out_of_bounds(name, fd, buf, &args);
        }
        self.with_fd(name, fd, &args).map(drop)
    }

    /// A trap here. The peer traps when it comes to the end of the memory, after it has read the
    /// file. If the file has no more bytes than there is room for, it does not trap.
    fn transfer_out_of_bounds(
        &mut self,
        name: &str,
        fd: Fd,
        buf: Buf,
        args: &[Val],
    ) -> Result<(), String> {
        let (ours, theirs) = self.numbers(fd);
        let answer = self.theirs.call(name, &[&[i(theirs)], args].concat());
        let count = self.theirs.u32(OUT);
        self.write(OUT, &[0; 4]);
        let reads = name.ends_with("read");
        // Which leaves a time of access behind.
        self.read_there_only |= reads;
        if answer == Some(0) && count != 0 {
            if !reads
                || buf
                    .at
                    .checked_add(count)
                    .is_none_or(|end| u64::from(end) > SIZE)
            {
                return Err(format!("the peer's {name} transferred {count} bytes"));
            }
            let before = self.ours.read(buf.at, count);
            self.theirs.write(buf.at, &before);
            self.align_cursors(fd)?;
        }
        match self.ours.call(name, &[&[i(ours)], args].concat()) {
            None => Ok(()),
            errno => Err(format!("{name} out of bounds answers {errno:?}")),
        }
    }

    /// After a call that moves only the peer's cursor. (An empty write with `APPEND` moves it to
    /// the end.)
    pub(crate) fn align_cursors(&mut self, fd: Fd) -> Result<(), String> {
        let (ours, theirs) = self.numbers(fd);
        if self.kind(fd) != Some(Kind::File) {
            return Ok(());
        }
        if self.theirs.call("fd_tell", &[i(theirs), i(OUT)]) == Some(0) {
            let at = self.theirs.u64(OUT);
            let args = [i(ours), Val::I64(at as i64), i(0), i(OUT)];
            if self.ours.call("fd_seek", &args) != Some(0) {
                return Err("a file that the peer has a cursor in has none here".to_owned());
            }
            self.write(OUT, &[0; 8]);
        }
        Ok(())
    }

    /// Twin files have inodes of their own, and times of real events; times that were set are old.
    pub(crate) fn mask_stat(&mut self, answer: Option<i32>, out: u32) {
        const OLD: u64 = 1_000_000_000_000;
        match answer {
            Some(0) => {}
            Some(_) => return,
            None => return self.spoilt(out),
        }
        for offset in [40, 48] {
            let (a, b) = (self.ours.u64(out + offset), self.theirs.u64(out + offset));
            let accessed = offset == 40 && self.read_there_only && b > OLD;
            if a > OLD && b > OLD || accessed {
                self.write(out + offset, &[0; 8]);
            }
        }
        self.write(out + 8, &[0; 8]);
        self.write(out + 56, &[0; 8]);
    }

    /// What a call that trapped has written before it found out is not compared.
    pub(crate) fn spoilt(&mut self, at: At) {
        let len = SIZE.saturating_sub(at.into()).min(256);
        if len > 0 {
            self.write(at, &vec![0; len as usize]);
        }
    }

    pub(crate) fn strings(&mut self, name: &str, buf: Buf, out: At) -> Result<(), String> {
        let answer = self.alike(name, &[i(out), i(buf.at)])?;
        // Pointers and strings in one place: either may have been written last.
        if answer.is_none() || out.abs_diff(buf.at) < 16 {
            self.spoilt(out);
            self.spoilt(buf.at);
        }
        Ok(())
    }

    pub(crate) fn poll_fds(
        &mut self,
        fd: Fd,
        write: bool,
        and: Option<(Fd, bool)>,
    ) -> Result<(), String> {
        const PLACES: [At; 3] = [SUBSCRIPTION, EVENT, OUT];
        let subscriptions = |this: &Self, fd: Fd, write: bool| {
            let (a, b) = this.numbers(fd);
            [a, b].map(|fd| {
                let mut bytes = [0; 48];
                bytes[8] = 1 + u8::from(write);
                bytes[16..20].copy_from_slice(&fd.to_le_bytes());
                bytes
            })
        };
        // The peer finds out by reading whether there is something to read.
        self.read_there_only |= !write || and.is_some_and(|(_, write)| !write);
        let [ours, theirs] = subscriptions(self, fd, write);
        let one = self.poll(&ours, &theirs, PLACES)?;
        let Some((fd, write)) = and else {
            return Ok(());
        };
        let [our_other, their_other] = subscriptions(self, fd, write);
        let other = self.poll(&our_other, &their_other, PLACES)?;
        // The peer fails for one that is at fault, this adapter reports it beside the others.
        if (one, other) == (Some(0), Some(0)) {
            let ours = [ours, our_other].concat();
            let theirs = [theirs, their_other].concat();
            self.poll(&ours, &theirs, PLACES)?;
            // And of several that are ready not all are reported there.
            self.write(EVENT, &[0; 64]);
            self.write(OUT, &[0; 4]);
        }
        Ok(())
    }

    pub(crate) fn poll(
        &mut self,
        ours: &[u8],
        theirs: &[u8],
        places: [At; 3],
    ) -> Result<Option<i32>, String> {
        let [subscriptions, events, _] = places;
        if u64::from(subscriptions) + ours.len() as u64 <= SIZE {
            self.ours.write(subscriptions, ours);
            self.theirs.write(subscriptions, theirs);
        }
        let count = (ours.len() / 48) as u32;
        let [subscription, event, out] = places.map(i);
        let told =
            |this: &Self| (u64::from(events) + 32 <= SIZE).then(|| this.theirs.read(events, 32));
        let before = told(self);
        let answer = self.alike("poll_oneoff", &[subscription, event, i(count), out])?;
        // Of a directory, which is ready here and a fault there, the peer tells no event.
        let failed_there = answer == Some(0) && told(self) == before;
        if u64::from(subscriptions) + 96 <= SIZE {
            self.write(subscriptions, &[0; 96]);
        }
        if answer.is_none() {
            self.spoilt(events);
        }
        if failed_there {
            self.write_if_there(places[2], &[0; 4]);
        }
        if u64::from(events) + 32 <= SIZE {
            match failed_there {
                true => self.write(events, &[0; 32]),
                // The peer reports 1 byte for whatever is ready, and no end as hung up.
                false => self.write(events + 16, &[0; 10]),
            }
        }
        Ok(answer)
    }

    fn write_if_there(&mut self, at: At, bytes: &[u8]) {
        if u64::from(at) + bytes.len() as u64 <= SIZE {
            self.write(at, bytes);
        }
    }

    /// The names and types of a whole listing.
    pub(crate) fn list(&mut self, fd: Fd, out: At) -> Result<(), String> {
        fn entries<T: Send>(side: &Side<T>, len: u32) -> BTreeSet<(Vec<u8>, u8)> {
            let rest = side.read(LISTING, len);
            let mut rest = &rest[..];
            let mut all = BTreeSet::new();
            while let Some((head, tail)) = rest.split_at_checked(24) {
                let (name, tail) =
                    tail.split_at(u32::from_le_bytes(head[16..20].try_into().unwrap()) as usize);
                assert!(all.insert((name.to_vec(), head[20])), "listed twice");
                rest = tail;
            }
            all
        }
        if self.with_fd(
            "fd_readdir",
            fd,
            &[i(LISTING), i(LISTING_LEN), Val::I64(0), i(out)],
        )? == Some(0)
        {
            let (ours, theirs) = (
                entries(&self.ours, self.ours.u32(out)),
                entries(&self.theirs, self.theirs.u32(out)),
            );
            // A directory that has been removed: the peer makes these two up.
            let made_up = [(b".".to_vec(), 3), (b"..".to_vec(), 3)];
            if ours.is_empty() && theirs.iter().eq(&made_up) {
                self.write(out, &[0; 4]);
            } else if ours != theirs {
                return Err(format!("listings differ: {ours:?}, the peer's {theirs:?}"));
            }
        }
        self.write(LISTING, &vec![0; LISTING_LEN as usize]);
        Ok(())
    }
}
