//! What an operating system says of a disk that does not take or give what a program wants.

/// The error of a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DiskError {
    /// No room, or no more of it for this user.
    Full,
    /// Mounted to be read only, or made so after errors.
    ReadOnly,
    /// The disk, or the file server, does not answer as it should.
    Broken,
    /// The user may not.
    Denied,
    /// The folder itself is not there.
    Missing,
}

impl DiskError {
    /// Reads an error.
    pub(crate) fn read(text: &str) -> Option<Self> {
        const WORDS: &[(DiskError, &[&str])] = &[
            (DiskError::Full, &["no space left on device", "disk quota exceeded"]),
            (DiskError::ReadOnly, &["read-only file system"]),
            (DiskError::Broken, &["input/output error", "stale file handle", "stale nfs file handle"]),
            (DiskError::Denied, &["permission denied", "operation not permitted"]),
            (DiskError::Missing, &["no such file or directory"]),
        ];
        let lower = text.to_ascii_lowercase();
        WORDS.iter().find(|(_, words)| words.iter().any(|w| lower.contains(w))).map(|(error, _)| *error)
    }
}
