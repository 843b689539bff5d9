//! The cells in which a guest is meant to differ from its native twin, and why.

/// A difference that is meant.
pub(crate) struct Known {
    /// Runs and cells it is about, as patterns of `RUN CELL`.
    cells: &'static [&'static str],
    /// What the native twin says and what the guest is told: each pair that is meant, as patterns.
    says: &'static [(&'static str, &'static str)],
    pub(crate) why: &'static str,
}

impl Known {
    /// Whether it is about this cell with these values.
    pub(crate) fn is_about(&self, run: &str, cell: &str, native: &str, guest: &str) -> bool {
        let name = format!("{run} {cell}");
        let mut says = self.says.iter();
        self.cells.iter().any(|pattern| matches(pattern, &name))
            && says.any(|(said, told)| matches(said, native) && matches(told, guest))
    }
}

/// Whether `text` is like `pattern`, in which `*` stands for anything.
fn matches(pattern: &str, text: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(text) = text.strip_prefix(start) else {
        return false;
    };
    (0..=text.len())
        .filter(|at| text.is_char_boundary(*at))
        .any(|at| matches(rest, &text[at..]))
}

const LONG_PATH: &str = "what counts is the path that is left when `./` is resolved; the limit of the path itself is the context's";
const FOLDER_STREAM: &str = "a folder as a standard stream is a stream without bytes, and no way to the files below it, which nobody has allowed";
const LISTENER_SHARED: &str = "a listener is not shut: it may be shared with other processes";

/// Every known difference. Where several are about one cell the first counts.
pub(crate) const ALL: &[Known] = &[
    Known {
        cells: &["* paths.*.dot dot", "* paths.*.above"],
        says: &[("*", "EPERM")],
        why: "the sandbox: nothing leads above a preopened folder",
    },
    Known {
        cells: &["* paths.*.not UTF-8"],
        says: &[("*", "EILSEQ")],
        why: "preview1: a path is a string, and a string is UTF-8",
    },
    Known {
        cells: &["* directories.list.odd names", "* unreachable.list.*"],
        says: &[(
            "5: . folder, .. folder, n? file, plain file, ??n??code file,",
            "4: . folder, .. folder, plain file, ??n??code file,",
        )],
        why: "a name that is not UTF-8 is left out of a listing, since no call could be made with it",
    },
    Known {
        cells: &[
            "* paths.link following.4096 bytes",
            "* paths.readlink.4096 bytes",
        ],
        says: &[("ENAMETOOLONG", "EINVAL")],
        why: LONG_PATH,
    },
    Known {
        cells: &[
            "* paths.link to.4096 bytes",
            "* paths.mkdir.4096 bytes",
            "* paths.symlink at.4096 bytes",
        ],
        says: &[("ENAMETOOLONG", "EEXIST")],
        why: LONG_PATH,
    },
    Known {
        cells: &[
            "* paths.rename folder to.4096 bytes",
            "* paths.rename full to.4096 bytes",
            "* paths.rename from to slash.4096 bytes",
            "* paths.rmdir.4096 bytes",
        ],
        says: &[("ENAMETOOLONG", "ENOTDIR")],
        why: LONG_PATH,
    },
    Known {
        cells: &["* paths.lutimens.4096 bytes", "* paths.utimens.4096 bytes"],
        says: &[("ENAMETOOLONG", "0 file")],
        why: LONG_PATH,
    },
    Known {
        cells: &[
            "* paths.rename file to.4096 bytes",
            "* paths.utimens now.4096 bytes",
        ],
        says: &[("ENAMETOOLONG", "0")],
        why: LONG_PATH,
    },
    Known {
        cells: &["* paths.link from.4096 bytes"],
        says: &[("ENAMETOOLONG", "0 new=3")],
        why: LONG_PATH,
    },
    Known {
        cells: &["* paths.rename from.4096 bytes"],
        says: &[("ENAMETOOLONG", "0 file=- new=3")],
        why: LONG_PATH,
    },
    Known {
        cells: &["* paths.rename link to.4096 bytes"],
        says: &[("ENAMETOOLONG", "0 file=l lfile=-")],
        why: LONG_PATH,
    },
    Known {
        cells: &["* paths.unlink.4096 bytes"],
        says: &[("ENAMETOOLONG", "0 file=-")],
        why: LONG_PATH,
    },
    Known {
        cells: &["* paths.link following.*"],
        says: &[("*", "EINVAL")],
        why: "a link is not followed by path_link: what it leads to could be swapped between the look and the link",
    },
    Known {
        cells: &["* errors.symlink.absolute"],
        says: &[("0", "EPERM")],
        why: "the sandbox: no link that is not relative is made, which other programs might follow",
    },
    Known {
        cells: &[
            "*.fstat*.*PIPE*",
            "*.fstat*.fifo*",
            "* pipes* streams.fstat*",
        ],
        says: &[("fifo", "no type")],
        why: "preview1 has no type for a FIFO",
    },
    Known {
        cells: &[
            "*.poll*.PIPE*",
            "*.poll*.fifo to read",
            "*.poll*.LISTENER",
            "* pipes* streams.poll*",
            "*.poll*.BROKEN_PIPE",
        ],
        says: &[
            ("0", "1 nval"),
            ("1 in", "1 in nval"),
            ("1 out", "1 out nval"),
            ("1 in hup", "1 in hup nval"),
            ("1 hup", "1 nval"),
            ("1 err", "1 nval"),
            ("1 out err", "1 hup nval"),
        ],
        why: "a direction that a stream does not have is a fault of the subscription, where Linux waits forever",
    },
    Known {
        cells: &["*.poll out*.BROKEN_PIPE"],
        says: &[("1 out err", "1 hup")],
        why: "preview1 has one flag for what ails a stream",
    },
    Known {
        cells: &["*.pread.*", "*.pwrite*.*"],
        says: &[("ESPIPE", "EBADF")],
        why: "both errors apply; the direction is looked at first, as wasmtime-wasi does",
    },
    Known {
        cells: &[
            "* descriptors.*append.LISTENER",
            "* descriptors.get *flags.LISTENER",
            "* descriptors.get nonblock.LISTENER",
        ],
        says: &[
            ("both", "neither"),
            ("both nonblock", "neither"),
            ("both nonblock", "neither nonblock"),
            ("both append nonblock", "neither nonblock"),
        ],
        why: "a listener can neither be read nor written",
    },
    Known {
        cells: &[
            "* descriptors.allocate.LISTENER",
            "* descriptors.append.LISTENER",
            "* descriptors.read*.LISTENER",
            "* descriptors.write*.LISTENER",
        ],
        says: &[
            ("0", "EBADF"),
            ("EINVAL", "EBADF"),
            ("ENODEV", "EBADF"),
            ("ENOTCONN", "EBADF"),
        ],
        why: "a listener can neither be read nor written",
    },
    Known {
        cells: &["* connections.renumber.onto a free number"],
        says: &[("0", "EBADF")],
        why: "fd_renumber replaces a descriptor; a number that nobody has cannot be chosen, as wasmtime-wasi has it",
    },
    Known {
        cells: &["* descriptors.recv*.LISTENER"],
        says: &[("EINVAL", "ENOTCONN")],
        why: "a socket that listens is not connected (POSIX)",
    },
    Known {
        cells: &["* descriptors.shutdown *.LISTENER"],
        says: &[("0", "ENOTCONN")],
        why: LISTENER_SHARED,
    },
    Known {
        cells: &["* descriptors.poll after shutdown.LISTENER"],
        says: &[("1 in hup", "0")],
        why: LISTENER_SHARED,
    },
    Known {
        cells: &[
            "* descriptors.*seek*.*folder",
            "* descriptors.tell*.*folder",
        ],
        says: &[("*", "EBADF")],
        why: "a folder has no position but the cookies of its listing",
    },
    Known {
        cells: &[
            "* descriptors.clear flags.*folder",
            "* descriptors.set *.*folder",
        ],
        says: &[("0", "EBADF")],
        why: "a folder has no flags: nothing waits for it and nothing is appended to it",
    },
    Known {
        cells: &["* descriptors.get *.*folder"],
        says: &[("read nonblock", "read"), ("read append nonblock", "read")],
        why: "a folder has no flags: nothing waits for it and nothing is appended to it",
    },
    Known {
        cells: &["* descriptors.advise.*folder"],
        says: &[("0", "EBADF")],
        why: "advice is for files (the published test suite asks for this)",
    },
    Known {
        cells: &["* descriptors.read at the end.*folder"],
        says: &[("EINVAL", "EISDIR")],
        why: "ext4 looks at the position first, and a folder has none here",
    },
    Known {
        cells: &["*.set sync.*"],
        says: &[("0", "EINVAL")],
        why: "when a file is synchronised is said when it is opened; a change that Linux ignores is refused",
    },
    Known {
        cells: &["*.advise oddly.*", "*.seek oddly.*"],
        says: &[("ESPIPE", "EINVAL"), ("EBADF", "EINVAL")],
        why: "both errors apply; an argument that there is not is found before the descriptor is looked at",
    },
    Known {
        cells: &["* streams.left.*"],
        says: &[("*", "* nonblock")],
        why: "a guest's NONBLOCK is its own: clearing it reaches nobody else who has the description",
    },
    Known {
        cells: &["*.set append.*"],
        says: &[("0", "EINVAL")],
        why: "a stream has no end to append to",
    },
    Known {
        cells: &["*.get append.*"],
        says: &[("* append nonblock", "* nonblock")],
        why: "a stream has no end to append to",
    },
    Known {
        cells: &["*.times.*", "*.times now.*"],
        says: &[("*", "EBADF")],
        why: "what was not opened by a path has no times for a guest to set",
    },
    Known {
        cells: &[
            "*.write nothing.full",
            "* devices streams.write nothing.output",
        ],
        says: &[("ENOSPC", "0")],
        why: "no bytes are nothing to do, and no call to a device",
    },
    Known {
        cells: &["*.seek before the start.*"],
        says: &[("0", "EINVAL")],
        why: "a place before the start is refused before the device is asked, which would take any",
    },
    Known {
        cells: &["*.shutdown neither.*"],
        says: &[("*", "EINVAL")],
        why: "the C library of the guest refuses it before it asks",
    },
    Known {
        cells: &["* surroundings.nanosleep.negative"],
        says: &[("EINVAL", "0")],
        why: "the C library of the guest takes it for a time that has passed",
    },
    Known {
        cells: &["*.isatty.urandom"],
        says: &[("EINVAL", "ENOTTY")],
        why: "the C library of the guest has one error for what is no terminal",
    },
    Known {
        cells: &["* folder streams.fstat*"],
        says: &[("folder", "no type")],
        why: FOLDER_STREAM,
    },
    Known {
        cells: &[
            "* folder streams.* below.*",
            "* folder streams.stat itself.*",
            "* folder streams.list.*",
        ],
        says: &[
            ("0", "ENOTDIR"),
            ("1", "ENOTDIR"),
            ("folder", "ENOTDIR"),
            ("entries", "ENOTDIR"),
            ("EISDIR", "ENOTDIR"),
            ("ENOENT", "ENOTDIR"),
        ],
        why: FOLDER_STREAM,
    },
    Known {
        cells: &["* folder streams.seek*", "* folder streams.tell*"],
        says: &[
            ("0", "ESPIPE"),
            ("2", "ESPIPE"),
            ("3", "ESPIPE"),
            ("1000", "ESPIPE"),
            ("9223372036854775807", "ESPIPE"),
            ("EINVAL", "ESPIPE"),
        ],
        why: FOLDER_STREAM,
    },
    Known {
        cells: &["* folder streams.poll *"],
        says: &[("1 out", "1 nval"), ("1 in out", "1 in nval")],
        why: FOLDER_STREAM,
    },
    Known {
        cells: &["* folder streams.read nothing.*"],
        says: &[("EISDIR", "0")],
        why: FOLDER_STREAM,
    },
    Known {
        cells: &["* folder streams.read at the end.*"],
        says: &[("EINVAL", "EISDIR")],
        why: FOLDER_STREAM,
    },
    Known {
        cells: &["* folder streams.pread.*"],
        says: &[("EISDIR", "ESPIPE")],
        why: FOLDER_STREAM,
    },
];

/// What differs in qemu 7.2 only.
pub(crate) const IN_AN_EMULATOR: &[Known] = &[Known {
    cells: &["* descriptors.recv nothing.DATAGRAM"],
    says: &[("EAGAIN", "0")],
    why: "its `recvmsg` of no buffers reads nothing, and says that it did",
}];
