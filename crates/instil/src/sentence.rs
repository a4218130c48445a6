//! Where sentences begin and end: by hand-written rules, without a model, in linear time.
//!
//! It knows English abbreviations, decimals, section numbers, closing quotes, list bullets and
//! headings. It does not judge whether a sentence is a good one.

use std::ops::Range;

/// Abbreviations that never end a sentence, lower-case, without their final stop.
const NEVER_LAST: &[&str] = &[
    "dr", "mr", "mrs", "ms", "prof", "st", "fig", "figs", "vs", "e.g", "i.e", "cf", "vol", "p", "pp", "sec",
    "art", "gen", "sen", "rep", "gov", "capt", "lt", "col", "rev", "hon", "messrs", "approx", "ca", "viz",
    "mt", "eq", "ref", "eds", "v", "sgt", "maj", "sir", "mme", "mlle", "tab", "para", "incl", "resp",
];

/// Abbreviations that may end a sentence: they do where the next word is one that begins sentences.
pub(crate) const MAY_BE_LAST: &[&str] = &[
    "al", "etc", "inc", "ltd", "co", "corp", "jr", "sr", "plc", "bros", "jan", "feb", "mar", "apr", "jun",
    "jul", "aug", "sep", "sept", "oct", "nov", "dec", "mon", "tue", "wed", "thu", "fri", "dept", "univ",
    "assn", "ave", "rd", "blvd", "ed", "spp", "sp", "var", "nat", "hist", "soc", "proc", "journ", "mag",
    "zool", "trans", "phil", "est", "min", "max", "hr", "hrs", "wk", "yr", "yrs", "mg", "ml", "kg", "cm",
    "mm", "bull", "encyclop", "tom", "chap", "edit", "ann",
];

/// Words that, capitalised after an abbreviation, show that a new sentence has begun.
const STARTERS: &[&str] = &[
    "the",
    "a",
    "an",
    "this",
    "that",
    "these",
    "those",
    "it",
    "its",
    "he",
    "she",
    "they",
    "we",
    "you",
    "i",
    "in",
    "on",
    "at",
    "for",
    "if",
    "when",
    "where",
    "while",
    "although",
    "however",
    "but",
    "and",
    "there",
    "as",
    "after",
    "before",
    "by",
    "with",
    "to",
    "from",
    "our",
    "your",
    "his",
    "her",
    "their",
    "all",
    "no",
    "any",
    "some",
    "most",
    "many",
    "each",
    "what",
    "who",
    "why",
    "how",
    "is",
    "are",
    "such",
    "both",
    "because",
    "since",
    "during",
    "under",
    "other",
    "another",
    "of",
    "not",
    "one",
    "two",
    "see",
    "only",
    "also",
    "thus",
    "therefore",
    "moreover",
    "furthermore",
    "people",
    "patients",
    "treatment",
    "symptoms",
    "mutations",
];

/// The most characters of a line that can be a heading.
const HEADING_CHARS: usize = 60;

/// The sentences of `text`: ascending byte ranges without blanks at their ends that together cover
/// every byte that is not blank.
///
/// ```
/// use instil::sentence::sentences;
/// let text = "Dr. Gray paid $4.50 (i.e. too much).  \"Why?\" he asked. See Fig. 2.";
/// let found: Vec<&str> = sentences(text).into_iter().map(|span| &text[span]).collect();
/// assert_eq!(found, ["Dr. Gray paid $4.50 (i.e. too much).", "\"Why?\" he asked.", "See Fig. 2."]);
/// ```
pub fn sentences(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut start = 0;
    let mut at = 0;
    // Whether a colon and a bullet have begun a list that was flattened onto one line.
    let mut in_list = false;
    while let Some(c) = text[at..].chars().next() {
        let next = at + c.len_utf8();
        if is_stop(c) {
            let end = end_of_stop(text, at);
            if ends_sentence(text, start, at, end) {
                push(text, start..end, &mut found);
                start = end;
                in_list = false;
            }
            at = end;
        } else if c == '\n' {
            if line_ends_sentence(text, start, at) {
                push(text, start..at, &mut found);
                start = next;
                in_list = false;
            }
            at = next;
        } else if c == ' ' && text[next..].starts_with("- ") && (in_list || text[..at].ends_with(':')) {
            push(text, start..at, &mut found);
            start = next;
            in_list = true;
            at = next;
        } else {
            at = next;
        }
    }
    push(text, start..text.len(), &mut found);
    found
}

/// Adds the range without the blanks at its ends, if anything is left.
fn push(text: &str, range: Range<usize>, found: &mut Vec<Range<usize>>) {
    let part = &text[range.clone()];
    let start = range.start + (part.len() - part.trim_start().len());
    let end = range.start + part.trim_end().len();
    if start < end {
        found.push(start..end);
    }
}

fn is_stop(c: char) -> bool {
    matches!(c, '.' | '!' | '?' | '…' | '。' | '！' | '？')
}

/// Behind the run of stops at `at`, the closing quotes and brackets after it, and a note's number in brackets.
fn end_of_stop(text: &str, at: usize) -> usize {
    let mut end = at;
    for c in text[at..].chars() {
        if is_stop(c) || matches!(c, '"' | '\'' | '”' | '’' | ')' | ']' | '»') {
            end += c.len_utf8();
        } else {
            break;
        }
    }
    if let Some(note) = text[end..].strip_prefix('[') {
        let digits = note.bytes().take(4).take_while(u8::is_ascii_digit).count();
        if digits > 0 && note[digits..].starts_with(']') {
            end += digits + 2;
        }
    }
    end
}

/// Whether the stops in `at..end` end the sentence that began at `start`.
fn ends_sentence(text: &str, start: usize, at: usize, end: usize) -> bool {
    let mut after = text[end..].chars();
    match after.next() {
        None => return true,
        Some(c) if c.is_whitespace() => {}
        Some(_) => return false,
    }
    let rest = text[end..].trim_start();
    let Some(first) = rest.chars().next() else { return true };
    if first.is_lowercase() {
        return false;
    }
    let stops = &text[at..end];
    if !stops.starts_with('.') || stops.starts_with("..") {
        return !matches!(first, ',' | ';' | ':');
    }
    if matches!(first, ',' | ';' | ':' | ')') {
        return false;
    }
    let word = word_before(text, start, at);
    if word.is_empty() {
        // A stop after a bracket or quote ends; one after nothing at all belongs to what follows.
        return !text[start..at].trim().is_empty();
    }
    if is_marker(word, &text[start..at]) {
        return false;
    }
    // A bracket or quote closed after the stop says that it was a full stop: "(see Fig.)" is rare.
    let lower = word.to_lowercase();
    if lower == "no" || lower == "nos" {
        return !first.is_ascii_digit();
    }
    if NEVER_LAST.contains(&lower.as_str()) && stops.len() == 1 {
        return false;
    }
    let letters = word.chars().filter(|c| c.is_alphabetic()).count();
    let initial = letters == 1 && word.chars().all(char::is_uppercase);
    if initial || (word.contains('.') && letters > 0) || MAY_BE_LAST.contains(&lower.as_str()) {
        let next: String =
            rest.chars().take_while(|c| c.is_alphanumeric()).collect::<String>().to_lowercase();
        return STARTERS.contains(&next.as_str());
    }
    true
}

/// The letters, digits, hyphens and inner stops just before `at`, of a length that keeps the search linear.
fn word_before(text: &str, start: usize, at: usize) -> &str {
    let mut begin = at;
    for c in text[start..at].chars().rev().take(24) {
        if c.is_alphanumeric() || matches!(c, '.' | '-') {
            begin -= c.len_utf8();
        } else {
            break;
        }
    }
    &text[begin..at]
}

/// Whether `word` only numbers what follows: "9." at the start of a sentence, "(30." in it.
fn is_marker(word: &str, sentence: &str) -> bool {
    let numbering = word.chars().all(|c| c.is_ascii_digit() || c == '.')
        || (word.chars().count() == 1)
        || (word.len() <= 5 && word.chars().all(|c| matches!(c, 'i' | 'v' | 'x' | 'I' | 'V' | 'X')));
    let before = sentence[..sentence.len() - word.len()].trim();
    numbering && (before.is_empty() || before.ends_with('(') || matches!(before, "-" | "*" | "•" | "§"))
}

/// Whether the line feed at `at` ends the sentence begun at `start`: before a blank line, before a
/// bullet, and after a line that looks like a heading.
fn line_ends_sentence(text: &str, start: usize, at: usize) -> bool {
    let mut lines = text[at + 1..].chars().take_while(|c| c.is_whitespace());
    if lines.any(|c| c == '\n') {
        return true;
    }
    let next = text[at + 1..].trim_start();
    if starts_with_bullet(next) {
        return true;
    }
    let line = text[start..at].trim();
    // The length is compared in bytes first, so that a long sentence is not counted at every line.
    if line.len() > HEADING_CHARS * 4 || line.contains('\n') || line.chars().count() > HEADING_CHARS {
        return false;
    }
    let Some(first) = next.chars().next() else { return true };
    let last = line.split_whitespace().next_back().unwrap_or("");
    let open =
        line.ends_with([',', ';', '-', '(']) || (last.len() <= 3 && last.chars().all(char::is_lowercase));
    let capitals =
        line.split_whitespace().filter(|word| word.starts_with(|c: char| c.is_uppercase())).count();
    let words = line.split_whitespace().count();
    let titled = line.starts_with('#') || line.ends_with(':') || words <= 4 || capitals * 2 > words;
    !open && titled && !first.is_lowercase()
}

/// Whether a line begins with a bullet or a list number.
fn starts_with_bullet(line: &str) -> bool {
    let mut chars = line.chars();
    match chars.next() {
        Some('•' | '‣' | '◦' | '▪' | '●' | '□') => true,
        Some('-' | '*' | '+' | '–' | '—') => chars.next().is_some_and(char::is_whitespace),
        Some('#') => true,
        Some('(') => {
            let inner: String = chars.by_ref().take_while(|c| c.is_alphanumeric()).take(4).collect();
            (1..=3).contains(&inner.len()) && line[1 + inner.len()..].starts_with(')')
        }
        Some(c) if c.is_ascii_digit() => {
            let digits = line.bytes().take(4).take_while(u8::is_ascii_digit).count();
            digits <= 2 && (line[digits..].starts_with(". ") || line[digits..].starts_with(") "))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests;
