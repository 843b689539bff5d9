//! The cells in which a guest is meant to differ from its native twin, and why.

/// A difference that is meant.
pub(crate) struct Known {
    /// Runs and cells it is about, as patterns of `RUN CELL`.
    cells: &'static [&'static str],
    /// Patterns of what the native twin says and of what the guest is told.
    says: (&'static str, &'static str),
    pub(crate) why: &'static str,
}

impl Known {
    /// Whether it is about this cell with these values.
    pub(crate) fn is_about(&self, run: &str, cell: &str, native: &str, guest: &str) -> bool {
        let name = format!("{run} {cell}");
        self.cells.iter().any(|pattern| matches(pattern, &name))
            && matches(self.says.0, native)
            && matches(self.says.1, guest)
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

/// Every known difference. Where several are about one cell the first counts.
pub(crate) const ALL: &[Known] = &[
    Known {
        cells: &["* paths.*.dot dot", "* paths.*.above"],
        says: ("*", "EPERM"),
        why: "the sandbox: nothing leads above a preopened folder",
    },
    Known {
        cells: &["* paths.*.root", "* paths.*.root file"],
        says: ("*", "*"),
        why: "the sandbox: a path that starts with a slash is taken by the C library to lie below the working folder",
    },
    Known {
        cells: &["* paths.*.not UTF-8"],
        says: ("*", "EILSEQ"),
        why: "preview1: a path is a string, and a string is UTF-8",
    },
    Known {
        cells: &["* directories.list.odd names"],
        says: ("*n? file*", "4: *"),
        why: "a name that is not UTF-8 is left out of a listing, since no call could be made with it",
    },
    Known {
        cells: &["* paths.*.4096 bytes"],
        says: ("ENAMETOOLONG", "*"),
        why: "what counts is the path that is left when `./` is resolved; the limit of the path itself is the context's",
    },
    Known {
        cells: &["* paths.link following.*"],
        says: ("*", "EINVAL"),
        why: "a link is not followed by path_link: what it leads to could be swapped between the look and the link",
    },
    Known {
        cells: &["* errors.symlink.absolute"],
        says: ("0", "EPERM"),
        why: "the sandbox: no link that is not relative is made, which other programs might follow",
    },
    Known {
        cells: &[
            "*.fstat*.*PIPE*",
            "*.fstat*.fifo*",
            "* pipes streams.fstat*",
        ],
        says: ("fifo", "no type"),
        why: "preview1 has no type for a FIFO",
    },
    Known {
        cells: &["* folder streams.*"],
        says: ("*", "*"),
        why: "a folder as a standard stream is a stream without bytes, and no way to the files below it, which nobody has allowed",
    },
    Known {
        cells: &[
            "*.poll*.PIPE*",
            "*.poll*.fifo to read",
            "*.poll*.LISTENER",
            "* pipes streams.poll*",
            "*.poll*.BROKEN_PIPE",
        ],
        says: ("*", "*nval"),
        why: "a direction that a stream does not have is a fault of the subscription, where Linux waits forever",
    },
    Known {
        cells: &["*.poll out*.BROKEN_PIPE"],
        says: ("1 out err", "1 hup"),
        why: "preview1 has one flag for what ails a stream",
    },
    Known {
        cells: &["*.pread.*", "*.pwrite*.*"],
        says: ("ESPIPE", "EBADF"),
        why: "both errors apply; the direction is looked at first, as wasmtime-wasi does",
    },
    Known {
        cells: &["*descriptors.*.LISTENER"],
        says: ("*", "*"),
        why: "a listener accepts, and does nothing else: it may be shared with other processes",
    },
    Known {
        cells: &[
            "* descriptors.*seek*.*folder",
            "* descriptors.tell*.*folder",
        ],
        says: ("*", "EBADF"),
        why: "a folder has no position but the cookies of its listing",
    },
    Known {
        cells: &[
            "* descriptors.*flags.*folder",
            "* descriptors.set *.*folder",
            "* descriptors.get *.*folder",
        ],
        says: ("*", "*"),
        why: "a folder has no flags: nothing waits for it and nothing is appended to it",
    },
    Known {
        cells: &["* descriptors.advise.*folder"],
        says: ("0", "EBADF"),
        why: "advice is for files (the published test suite asks for this)",
    },
    Known {
        cells: &["* descriptors.read at the end.*folder"],
        says: ("EINVAL", "EISDIR"),
        why: "ext4 looks at the position first, and a folder has none here",
    },
    Known {
        cells: &["*.set append.*"],
        says: ("0", "EINVAL"),
        why: "a stream has no end to append to",
    },
    Known {
        cells: &["*.get append.*"],
        says: ("* append nonblock", "* nonblock"),
        why: "a stream has no end to append to",
    },
    Known {
        cells: &["*.times.*", "*.times now.*"],
        says: ("*", "EBADF"),
        why: "what was not opened by a path has no times for a guest to set",
    },
    Known {
        cells: &[
            "*.write nothing.full",
            "* devices streams.write nothing.output",
        ],
        says: ("ENOSPC", "0"),
        why: "no bytes are nothing to do, and no call to a device",
    },
    Known {
        cells: &["*.seek before the start.*"],
        says: ("0", "EINVAL"),
        why: "a place before the start is refused before the device is asked, which would take any",
    },
    Known {
        cells: &["*.shutdown neither.*"],
        says: ("*", "EINVAL"),
        why: "the C library of the guest refuses it before it asks",
    },
    Known {
        cells: &["* surroundings.nanosleep.negative"],
        says: ("EINVAL", "0"),
        why: "the C library of the guest takes it for a time that has passed",
    },
    Known {
        cells: &["*.isatty.urandom"],
        says: ("EINVAL", "ENOTTY"),
        why: "the C library of the guest has one error for what is no terminal",
    },
];
