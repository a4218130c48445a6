//! What a file is: settled by its ending, then by a look at its first bytes.

use std::sync::Arc;

use super::bytes::Packing;
use super::memory::MemoryTable;

/// What the bytes of a source mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `.txt`, `.md`, `.markdown`: the file is the document.
    Text,
    /// `.html`, `.htm`: the main text of a page.
    Html,
    /// `.jsonl`, `.ndjson`: a JSON object on each line.
    Jsonl,
    /// `.json`: an array of objects, or objects one after the other.
    Json,
    /// `.csv`: a table with a head.
    Csv,
    /// `.tsv`: the same with tabs.
    Tsv,
    /// `.parquet`.
    Parquet,
    /// `.pdf`.
    Pdf,
    /// `.docx`.
    Docx,
    /// A table that is in memory already, under a name that another program gave it.
    Table(MemoryTable),
    /// Stdin or another pipe: looked at when it is read, since it can be read only once.
    Stream,
    /// A file inside a folder that can't be used, and why: it becomes one reject.
    Unreadable(Arc<str>),
}

/// The endings that are known, as messages name them.
pub(super) const ENDINGS: &str = ".txt, .md, .markdown, .html, .htm, .jsonl, .ndjson, .json, .csv, .tsv \
                                  (each also with .gz or .zst), .parquet, .pdf and .docx";

impl Kind {
    /// Whether its rows have columns, one of which holds the text.
    pub fn is_table(&self) -> bool {
        matches!(self, Self::Jsonl | Self::Json | Self::Csv | Self::Tsv | Self::Parquet | Self::Table(_))
    }

    /// Whether its bytes are characters.
    pub(super) fn is_characters(&self) -> bool {
        matches!(self, Self::Text | Self::Html | Self::Jsonl | Self::Json | Self::Csv | Self::Tsv)
    }

    /// The kind that a file name's ending says, where it says one.
    pub(super) fn of_name(name: &str) -> Option<Self> {
        let lower = name.to_ascii_lowercase();
        let unpacked = lower.strip_suffix(".gz").or_else(|| lower.strip_suffix(".zst"));
        let (_, ending) = unpacked.unwrap_or(&lower).rsplit_once('.')?;
        let kind = match ending {
            "txt" | "md" | "markdown" => Self::Text,
            "html" | "htm" => Self::Html,
            "jsonl" | "ndjson" => Self::Jsonl,
            "json" => Self::Json,
            "csv" => Self::Csv,
            "tsv" => Self::Tsv,
            "parquet" => Self::Parquet,
            "pdf" => Self::Pdf,
            "docx" => Self::Docx,
            _ => return None,
        };
        (unpacked.is_none() || kind.is_characters()).then_some(kind)
    }

    /// The kind whose signature `head`, the first bytes after unpacking, begins with.
    pub(super) fn of_signature(head: &[u8]) -> Option<Self> {
        match head {
            [b'%', b'P', b'D', b'F', b'-', ..] => Some(Self::Pdf),
            [b'P', b'A', b'R', b'1', ..] => Some(Self::Parquet),
            [b'P', b'K', 3, 4, ..] => Some(Self::Docx),
            _ => None,
        }
    }

    /// The kind that `head` looks like, where no ending says one; none if it is neither a known
    /// signature nor UTF-8 text.
    ///
    /// A table of comma-separated values can't be told from prose and is taken as text.
    pub(super) fn of_content(head: &[u8]) -> Option<Self> {
        if let Some(kind) = Self::of_signature(head) {
            return Some(kind);
        }
        let text = match str::from_utf8(head) {
            Ok(text) => text,
            // The last character may be cut by the end of `head`.
            Err(error) if error.error_len().is_none() => {
                str::from_utf8(&head[..error.valid_up_to()]).expect("it is valid up to there")
            }
            Err(_) => return None,
        };
        if text.contains('\0') {
            return None;
        }
        Some(Self::of_text(text.trim_start()))
    }

    fn of_text(text: &str) -> Self {
        let lower: String = text.chars().take(16).collect::<String>().to_ascii_lowercase();
        if lower.starts_with("<!doctype html") || lower.starts_with("<html") {
            return Self::Html;
        }
        if text.strip_prefix('[').is_some_and(|rest| rest.trim_start().starts_with('{')) {
            return Self::Json;
        }
        if text.starts_with('{') {
            let (line, more) = text.split_once('\n').map_or((text, false), |(line, _)| (line, true));
            return match serde_json::from_str::<serde::de::IgnoredAny>(line) {
                Ok(_) => Self::Jsonl,
                Err(error) if error.is_eof() && more => Self::Json,
                Err(error) if error.is_eof() => Self::Jsonl,
                Err(_) => Self::Text,
            };
        }
        Self::Text
    }
}

/// The name of the encoding other than UTF-8 whose byte-order mark `head` begins with.
pub(super) fn other_encoding(head: &[u8]) -> Option<&'static str> {
    match head {
        [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] => Some("UTF-32"),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => Some("UTF-16"),
        _ => None,
    }
}

/// What to do about a file in another encoding.
pub(super) fn encoding_hint(encoding: &str) -> String {
    format!("convert it first: `iconv -f {encoding} -t UTF-8 IN > OUT`")
}

/// What a name and the first bytes, packed as they are, say a file is; none if they say nothing.
pub(super) fn settle(name: &str, head: &[u8]) -> (Option<Kind>, Packing) {
    let packing = Packing::of(head);
    let kind = match Kind::of_name(name) {
        // An ending such as `.txt` on what is none: the bytes are right.
        Some(kind) if kind.is_characters() => Kind::of_signature(head).or(Some(kind)),
        Some(kind) => Some(kind),
        None if head.is_empty() => Some(Kind::Text),
        None => Kind::of_content(&packing.unpack_head(head)),
    };
    (kind, packing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endings_are_read_without_case_and_through_packing() {
        for (name, kind) in [
            ("a.TXT", Kind::Text),
            ("a.b.md.gz", Kind::Text),
            ("a.markdown", Kind::Text),
            ("a.htm.zst", Kind::Html),
            ("a.html", Kind::Html),
            ("a.jsonl.GZ", Kind::Jsonl),
            ("a.ndjson", Kind::Jsonl),
            ("a.json.zst", Kind::Json),
            ("a.csv", Kind::Csv),
            ("a.tsv.gz", Kind::Tsv),
            ("a.parquet", Kind::Parquet),
            ("a.pdf", Kind::Pdf),
            ("a.docx", Kind::Docx),
        ] {
            assert_eq!(Kind::of_name(name), Some(kind), "{name}");
        }
        for name in ["README", "a.png", "a.gz", "a.parquet.gz", "txt", ""] {
            assert_eq!(Kind::of_name(name), None, "{name}");
        }
    }

    #[test]
    fn content_says_what_an_ending_does_not() {
        for (head, kind) in [
            ("{\"text\": \"a\"}\n{\"te", Some(Kind::Jsonl)),
            ("{\"text\": \"a very long line that the look inside cuts", Some(Kind::Jsonl)),
            ("{\n  \"text\": 1\n}", Some(Kind::Json)),
            (" [ {\"text\": 1}]", Some(Kind::Json)),
            ("{curly} prose", Some(Kind::Text)),
            ("<!DOCTYPE html><p>", Some(Kind::Html)),
            ("Prose, as ever.", Some(Kind::Text)),
            ("%PDF-1.4", Some(Kind::Pdf)),
            ("PAR1", Some(Kind::Parquet)),
            ("nul \0 byte", None),
        ] {
            assert_eq!(Kind::of_content(head.as_bytes()), kind, "{head}");
        }
        assert_eq!(Kind::of_content(&[0x89, b'P', b'N', b'G']), None);
        assert_eq!(Kind::of_content(&"für".as_bytes()[..2]), Some(Kind::Text), "a cut character");
    }

    #[test]
    fn the_bytes_correct_a_wrong_ending() {
        assert_eq!(settle("a.txt", b"%PDF-1.7"), (Some(Kind::Pdf), Packing::Plain));
        assert_eq!(settle("a.txt", &[0x1f, 0x8b, 8]), (Some(Kind::Text), Packing::Gzip));
        assert_eq!(settle("a.jsonl.gz", b"{}"), (Some(Kind::Jsonl), Packing::Plain));
        assert_eq!(settle("a.jsonl", &[0x28, 0xb5, 0x2f, 0xfd]), (Some(Kind::Jsonl), Packing::Zstd));
        assert_eq!(settle("empty", b""), (Some(Kind::Text), Packing::Plain));
        assert_eq!(settle("a.png", &[0x89, b'P']), (None, Packing::Plain));
    }
}
