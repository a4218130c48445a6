//! What is meant by `owner/name@revision`.

use std::fmt;

use instil::{Error, Result};

/// What a repository of the Hub holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A model.
    Model,
    /// A dataset.
    Dataset,
}

impl Kind {
    /// The word in the Hub's API and in the cache, in the plural.
    fn plural(self) -> &'static str {
        match self {
            Self::Model => "models",
            Self::Dataset => "datasets",
        }
    }

    /// The word in a sentence.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Dataset => "dataset",
        }
    }
}

/// A repository of the Hub at a revision.
///
/// ```
/// use instil_remote::hub::{Kind, Repo};
/// let repo = Repo::parse("BatsResearch/bonito-v1@main", Kind::Model)?;
/// assert_eq!((repo.id(), repo.revision()), ("BatsResearch/bonito-v1", "main"));
/// assert_eq!(repo, Repo::parse("BatsResearch/bonito-v1", Kind::Model)?);
/// assert!(Repo::parse("../etc/passwd", Kind::Model).is_err());
/// # Ok::<(), instil::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repo {
    kind: Kind,
    id: String,
    revision: String,
}

impl Repo {
    /// Reads `owner/name`, or `name` alone for the few old ones without an owner, with `@` and a branch, tag or commit
    /// behind it if it isn't `main`.
    ///
    /// # Errors
    /// When it can't be the name of a repository: the Hub takes letters, digits, `-`, `_` and `.`.
    pub fn parse(named: &str, kind: Kind) -> Result<Self> {
        let wrong = |hint: String| {
            Error::usage(format!("`{named}` is no name of a {} on the Hub", kind.word())).with_hint(hint)
        };
        let form =
            || "it is `owner/name`, with `@` and a branch, tag or commit behind it where that isn't `main`";
        if let Some((_, rest)) = named.split_once("://") {
            let rest = rest.split_once('/').map_or("", |(_, path)| path);
            let (datasets, rest) = rest.strip_prefix("datasets/").map_or((false, rest), |rest| (true, rest));
            let id: Vec<&str> = rest.split('/').take(2).collect();
            let flag = if datasets { " --dataset" } else { "" };
            return Err(wrong(format!("give what stands behind the address: `{}`{flag}", id.join("/"))));
        }
        if let Some(id) = named.strip_prefix("datasets/") {
            return Err(wrong(format!("for a dataset give `--dataset {id}`")));
        }
        let (id, revision) = named.split_once('@').unwrap_or((named, "main"));
        let is_id = id.len() <= 96
            && id.split('/').count() <= 2
            && id.split('/').all(is_segment)
            && !id.contains("--")
            && !id.contains("..")
            && !id.ends_with(".git");
        if !is_id || !is_revision(revision) {
            return Err(wrong(form().to_owned()));
        }
        Ok(Self { kind, id: id.to_owned(), revision: revision.to_owned() })
    }

    /// What it holds.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// `owner/name`.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The branch, tag or commit.
    pub fn revision(&self) -> &str {
        &self.revision
    }

    /// The commit, where the revision is one in full.
    pub(super) fn commit(&self) -> Option<&str> {
        is_commit(&self.revision).then_some(&self.revision)
    }

    /// The name of its folder in the cache.
    pub(super) fn folder(&self) -> String {
        format!("{}--{}", self.kind.plural(), self.id.replace('/', "--"))
    }

    /// Its path in the Hub's API, below the address.
    pub(super) fn api(&self) -> String {
        format!("/api/{}/{}", self.kind.plural(), self.id)
    }

    /// Its path as a page and for files, below the address.
    pub(super) fn page(&self) -> String {
        match self.kind {
            Kind::Model => format!("/{}", self.id),
            Kind::Dataset => format!("/datasets/{}", self.id),
        }
    }
}

impl fmt::Display for Repo {
    /// As it is typed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.id)?;
        if self.revision == "main" { Ok(()) } else { write!(f, "@{}", self.revision) }
    }
}

/// Whether this is an owner's or repository's name.
fn is_segment(name: &str) -> bool {
    let is_edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_');
    is_edge(name.chars().next())
        && is_edge(name.chars().next_back())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
}

/// Whether this can be a revision, and a path below `refs` in the cache.
fn is_revision(name: &str) -> bool {
    name.len() <= 255
        && name.split('/').all(|part| !part.is_empty() && part != "." && part != "..")
        && !name
            .chars()
            .any(|c| c.is_control() || matches!(c, '\\' | ' ' | '~' | '^' | ':' | '?' | '*' | '['))
}

/// Whether this is a commit's whole id.
pub(super) fn is_commit(name: &str) -> bool {
    name.len() == 40 && name.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
}

/// `text` as part of a URL's path; `/` stays where `keep_slashes`.
pub(super) fn quoted(text: &str, keep_slashes: bool) -> String {
    let mut quoted = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => quoted.push(byte.into()),
            b'/' if keep_slashes => quoted.push('/'),
            _ => quoted += &format!("%{byte:02X}"),
        }
    }
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hint(named: &str) -> String {
        Repo::parse(named, Kind::Model).unwrap_err().hint().unwrap().to_owned()
    }

    #[test]
    fn names_are_read_and_written() {
        for named in ["a/b", "gpt2", "Foo-BAR/foo.bar_1", "a/b@v1.0", "a/b@refs/pr/3"] {
            assert_eq!(Repo::parse(named, Kind::Model).unwrap().to_string(), named);
        }
        let repo = Repo::parse("a/b@refs/pr/3", Kind::Dataset).unwrap();
        assert_eq!((repo.folder().as_str(), repo.page().as_str()), ("datasets--a--b", "/datasets/a/b"));
        assert_eq!(quoted(repo.revision(), false), "refs%2Fpr%2F3");
        assert_eq!(quoted("a b/ü#.json", true), "a%20b/%C3%BC%23.json");
    }

    #[test]
    fn what_is_no_name_is_told() {
        for named in [
            "", "a/", "/b", "a/b/c", "a//b", "./model", "../x", "a/b@", "a/b@../c", "a/b@x y", "a--b",
            "a/b.git", "é/b",
        ] {
            assert!(hint(named).starts_with("it is `owner/name`"), "{named}");
        }
        assert_eq!(
            hint("https://huggingface.co/datasets/a/b/tree/main"),
            "give what stands behind the address: `a/b` --dataset"
        );
        assert_eq!(hint("https://huggingface.co/a/b"), "give what stands behind the address: `a/b`");
        assert_eq!(hint("datasets/a/b"), "for a dataset give `--dataset a/b`");
    }
}
