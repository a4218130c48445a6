//! The two names of a file's bytes: SHA-256 for large ones, git's id of a blob for the others.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use ring::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY, SHA256};

use super::listing::Name;

/// How much of a file is read at once.
const PIECE: usize = 256 << 10;

/// Bytes on their way into a name.
#[derive(Clone)]
pub(super) struct Hasher(Context);

impl Hasher {
    /// For a file that is to have this name, of this many bytes.
    pub(super) fn for_name(name: &Name, bytes: u64) -> Self {
        match name {
            Name::Sha256(_) => Self::sha256(),
            Name::Git(_) => Self::git(bytes),
        }
    }

    /// For SHA-256.
    pub(super) fn sha256() -> Self {
        Self(Context::new(&SHA256))
    }

    /// For git's id of a blob of this many bytes, which is the SHA-1 of a head and the bytes.
    pub(super) fn git(bytes: u64) -> Self {
        let mut context = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
        context.update(format!("blob {bytes}\0").as_bytes());
        Self(context)
    }

    /// Takes the next bytes.
    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The name, in hexadecimal digits.
    pub(super) fn finish(self) -> String {
        self.0.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// Feeds a whole file; gives how many bytes that were.
pub(super) fn feed(hasher: &mut Hasher, path: &Path) -> io::Result<u64> {
    let mut file = File::open(path)?;
    let mut piece = vec![0; PIECE];
    let mut fed = 0;
    loop {
        let read = file.read(&mut piece)?;
        if read == 0 {
            return Ok(fed);
        }
        hasher.update(&piece[..read]);
        fed += read as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_git_and_sha256sum() {
        // `printf hello | git hash-object --stdin`, `printf hello | sha256sum`
        let mut git = Hasher::git(5);
        git.update(b"hello");
        assert_eq!(git.finish(), "b6fc4c620b67d95f953a5c1c1230aaab5db5a1b0");
        let mut sha256 = Hasher::sha256();
        sha256.update(b"hel");
        sha256.update(b"lo");
        assert_eq!(sha256.finish(), "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824");
    }
}
