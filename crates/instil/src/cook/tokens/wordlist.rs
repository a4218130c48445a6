//! Words that the user brings.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use super::Pool;
use crate::error::{Error, Result};

impl Pool {
    /// The words of a file, one in a line. Blanks around a word and empty lines don't count, nor does a word that was
    /// there before.
    ///
    /// # Errors
    /// When the file can't be read or isn't UTF-8, when a line is not one word (letters, digits, `-` and `'` inside), or
    /// when there are too few.
    pub fn wordlist(path: &Path) -> Result<Self> {
        let shown = path.display().to_string();
        let text = fs::read_to_string(path).map_err(|error| {
            Error::input(format!("failed to read the word list `{shown}`"))
                .because(error)
                .with_hint("name a text file with one word in each line")
        })?;
        Self::of_lines(&shown, &text)
    }

    /// The pool of a word list that is called `shown` in errors; else as [`Pool::wordlist`].
    ///
    /// # Errors
    /// When a line is not one word, or when there are too few.
    pub fn of_lines(shown: &str, text: &str) -> Result<Self> {
        let mut seen = HashSet::new();
        let mut words = Vec::new();
        for (line, word) in text.trim_start_matches('\u{feff}').lines().map(str::trim).enumerate() {
            if !word.is_empty() && !is_word(word) {
                return Err(Error::input(format!("line {} of `{shown}` is not one word: `{word}`", line + 1))
                    .because("the rule of a sample is stated on words, so that each must be one where it is read again")
                    .with_hint("write one word of letters and digits in each line, `-` and `'` only inside"));
            }
            if !word.is_empty() && seen.insert(word) {
                words.push(word);
            }
        }
        Self::new("wordlist", &words)
    }
}

/// Whether it is letters, marks of letters and digits, with at most `-` and `'` between them.
fn is_word(word: &str) -> bool {
    let is_inner = |letter: char| letter == '-' || letter == '\'' || letter == '’';
    let is_letter = |letter: char| !letter.is_ascii() || letter.is_ascii_alphanumeric();
    let is_plain = word.chars().all(|letter| {
        (is_letter(letter) || is_inner(letter)) && !letter.is_whitespace() && !letter.is_control()
    });
    is_plain && word.starts_with(is_letter) && word.ends_with(is_letter)
}
