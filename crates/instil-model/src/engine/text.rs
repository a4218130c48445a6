//! The text of a completion as it grows, and the strings before which it ends.

use crate::tokenizer::Detokenizer;

/// What was generated so far, as text.
pub(super) struct Text {
    detokenizer: Detokenizer,
    stop: Vec<String>,
    text: String,
    /// How much of it was handed out: what may become a stop string is held back.
    told: usize,
    /// Characters of `text`.
    characters: usize,
    /// Whether a stop string has come.
    stopped: bool,
}

impl Text {
    pub(super) fn new(detokenizer: Detokenizer, stop: &[String]) -> Self {
        Self { detokenizer, stop: stop.to_vec(), text: String::new(), told: 0, characters: 0, stopped: false }
    }

    /// The text that is certain now and wasn't before, and whether a stop string has come.
    pub(super) fn push(&mut self, token: u32) -> (&str, bool) {
        let Some(piece) = self.detokenizer.push(token) else { return ("", false) };
        self.text.push_str(&piece);
        self.characters += piece.chars().count();
        // None was whole before this piece came, so none begins before what was told.
        let found = self.stop.iter().filter_map(|stop| self.text[self.told..].find(stop.as_str())).min();
        if let Some(at) = found {
            self.text.truncate(self.told + at);
            self.stopped = true;
        }
        let certain = self.text.len() - self.held(found.is_some());
        let told = std::mem::replace(&mut self.told, certain);
        (&self.text[told..self.told], found.is_some())
    }

    /// How many bytes at the end may be the beginning of a stop string.
    fn held(&self, has_stopped: bool) -> usize {
        if has_stopped {
            return 0;
        }
        let new = &self.text.as_bytes()[self.told..];
        let longest = |stop: &String| {
            (1..stop.len().min(new.len() + 1)).rev().find(|len| new.ends_with(&stop.as_bytes()[..*len]))
        };
        self.stop.iter().filter_map(longest).max().unwrap_or(0)
    }

    /// How many characters it has, those held back included.
    pub(super) fn characters(&self) -> usize {
        self.characters
    }

    /// What wasn't handed out yet, and the whole text. An unfinished character at its end is written as the
    /// replacement character; behind a stop string nothing is.
    pub(super) fn finish(&mut self) -> (String, String) {
        if let Some(rest) = self.detokenizer.finish().filter(|_| !self.stopped) {
            self.text.push_str(&rest);
        }
        let rest = self.text.get(self.told..).unwrap_or_default().to_owned();
        (rest, std::mem::take(&mut self.text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokenizer::Tokenizer;

    /// What was told piece by piece, and the whole.
    fn told(stop: &str, tokens: &[u32]) -> (Vec<String>, String) {
        // The letters Ã and © stand for the bytes C3 and A9.
        let json = r#"{"version": "1.0", "added_tokens": [], "decoder": {"type": "ByteLevel",
            "add_prefix_space": false, "trim_offsets": true, "use_regex": true}, "model": {"type": "BPE", "vocab": {"ab": 0, "c": 1, "xÃ": 2, "©": 3}, "merges": []}}"#;
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("tokenizer.json"), json).unwrap();
        let tokenizer = Tokenizer::of_folder(folder.path()).unwrap();
        let mut text = Text::new(tokenizer.detokenizer(), &[stop.to_owned()]);
        let mut pieces = Vec::new();
        for token in tokens {
            let (piece, stopped) = text.push(*token);
            pieces.push(piece.to_owned());
            if stopped {
                break;
            }
        }
        let (rest, whole) = text.finish();
        pieces.push(rest);
        assert_eq!(pieces.concat(), whole);
        (pieces, whole)
    }

    #[test]
    fn what_may_become_a_stop_string_is_told_late_and_not_lost() {
        assert_eq!(told("bcc", &[0, 1, 0]).0, ["a", "", "bca", "b"]);
        assert_eq!(told("bcc", &[0, 1, 1, 0]).0, ["a", "", "", ""]);
    }

    #[test]
    fn nothing_comes_behind_a_stop_string() {
        assert_eq!(told("x", &[0, 2, 3]).1, "ab");
        assert_eq!(told("never", &[0, 2, 3]).1, "abx\u{e9}");
        assert_eq!(told("never", &[0, 2]).1, "abx\u{fffd}");
    }
}
