//! The one error type of the library: what failed, why, and what to do about it.
//!
//! An [`Error`] is a mistake in what was asked or a broken world (a full disk, a missing file). A
//! record that can't be used is not an error but a [`Reject`](crate::Reject).

use std::error::Error as StdError;
use std::fmt;

/// `Result` with this library's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Whose matter an [`Error`] is; the Python package makes an exception class of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// A flag, recipe key or combination of them that has no meaning.
    Usage,
    /// An input that is missing, unreadable or of another shape than was said.
    Input,
    /// An output that can't be written, or that belongs to another run.
    Output,
    /// A model or endpoint that doesn't answer as it must.
    Model,
}

/// What failed, with its cause and a way out.
///
/// `Display` gives one lower-case line naming the place; [`source`](StdError::source) goes on to
/// the cause, [`hint`](Error::hint) says what to do.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    message: String,
    cause: Option<Box<dyn StdError + Send + Sync>>,
    hint: Option<String>,
}

impl Error {
    /// An error of this kind; `message` names the place and the trouble, without a final full stop.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner { kind, message: message.into(), cause: None, hint: None }))
    }

    /// [`Error::new`] with [`ErrorKind::Usage`].
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Usage, message)
    }

    /// [`Error::new`] with [`ErrorKind::Input`].
    pub fn input(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Input, message)
    }

    /// [`Error::new`] with [`ErrorKind::Output`].
    pub fn output(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Output, message)
    }

    /// [`Error::new`] with [`ErrorKind::Model`].
    pub fn model(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Model, message)
    }

    /// The same error with what caused it.
    #[must_use]
    pub fn because(mut self, cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.cause = Some(cause.into());
        self
    }

    /// The same error with what the user can do about it.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// Whose matter this is.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// What the user can do about it, where something can be done.
    pub fn hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("message", &self.0.message)
            .field("cause", &self.0.cause)
            .field("hint", &self.0.hint)
            .finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.cause.as_deref().map(|cause| cause as &(dyn StdError + 'static))
    }
}

/// The name in `known` nearest to `typed`, if one is near enough to be what was meant.
///
/// ```
/// assert_eq!(instil::error::nearest("lenght", ["length", "label"]), Some("length"));
/// assert_eq!(instil::error::nearest("zebra", ["length", "label"]), None);
/// ```
pub fn nearest<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(typed, name), name))
        .filter(|(distance, name)| *distance <= 1.max(typed.len().max(name.len()) / 3))
        .min()
        .map(|(_, name)| name)
}
