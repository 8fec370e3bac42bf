//! Files of strangers, read with a bound: no device, no pipe that nobody writes to, no end that is not there.

use std::io::{Error, Read, Result};
use std::path::Path;

/// Reads a file of at most `limit` bytes.
///
/// # Errors
/// What the system says; that it is larger; that it is no file.
pub(crate) fn read(path: &Path, limit: u64) -> Result<Vec<u8>> {
    let meta = std::fs::metadata(path)?;
    // What a shell puts in the place of a command's output is open already, so that somebody writes to it.
    let is_open = ["/dev/fd/", "/proc/self/fd/", "/dev/stdin"].iter().any(|open| path.starts_with(open));
    if !meta.is_file() && !is_open {
        return Err(Error::other("is no file but a pipe, a socket or a device"));
    }
    if meta.len() > limit {
        return Err(too_large(limit));
    }
    all(std::fs::File::open(path)?, limit)
}

/// Reads all of a stream of at most `limit` bytes.
///
/// # Errors
/// What the system says; that it is larger.
pub(crate) fn all(stream: impl Read, limit: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    stream.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit { Err(too_large(limit)) } else { Ok(bytes) }
}

fn too_large(limit: u64) -> Error {
    Error::other(format!("is larger than {} MiB", limit >> 20))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_end_is_refused() {
        assert!(all(std::io::repeat(0), 1 << 20).is_err());
        assert_eq!(all(&b"abc"[..], 3).expect("it fits"), b"abc");
        assert!(all(&b"abcd"[..], 3).expect_err("too large").to_string().contains("larger"));
    }

    #[cfg(unix)]
    #[test]
    fn devices_pipes_and_holes_are_refused() {
        let told = |path: &str| read(Path::new(path), 1 << 20).expect_err(path).to_string();
        assert!(told("/dev/zero").contains("device"), "{}", told("/dev/zero"));
        let dir = tempfile::tempdir().expect("a folder");
        let holes = dir.path().join("list.json");
        std::fs::File::create(&holes).and_then(|f| f.set_len(3 << 30)).expect("a sparse file");
        assert!(told(holes.to_str().expect("UTF-8")).contains("larger than 1 MiB"));
        let pipe = dir.path().join("pipe.yaml");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status().expect("mkfifo runs");
        assert!(made.success());
        assert!(told(pipe.to_str().expect("UTF-8")).contains("pipe"));
    }
}
