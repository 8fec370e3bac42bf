//! SHA-256 in hexadecimal digits.

use sha2::{Digest, Sha256};

/// All 64 digits.
pub(crate) fn sha256(bytes: impl AsRef<[u8]>) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The first 16 of them, which tell names apart.
pub(crate) fn short(bytes: impl AsRef<[u8]>) -> String {
    let mut digits = sha256(bytes);
    digits.truncate(16);
    digits
}
