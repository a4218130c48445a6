//! What the constant texts of a template say: names for its slots, and the task in words that hold for every instance.
//!
//! Rules alone, on words that are there: a label before a slot is the slot's name, what is left of the constants is the
//! definition. A slot within a sentence is referred to by its name in brackets.

use std::sync::LazyLock;

use regex::Regex;

use super::pattern::{Pattern, Piece};

/// What is read off a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wording {
    /// The names of the slots, in order, each once.
    pub(super) names: Vec<String>,
    /// What is to be done; none where the constants are names of fields and nothing else.
    pub(super) definition: Option<String>,
}

/// How a slot stands in its template.
struct Place {
    name: String,
    /// Whether it stands for itself, and not within a sentence.
    is_apart: bool,
    /// Where its label begins in the text before it.
    label: Option<usize>,
}

/// Reads a template's constants.
pub(super) fn read(pattern: &Pattern) -> Wording {
    let pieces = pattern.pieces();
    let text = |at: Option<usize>| match at.and_then(|at| pieces.get(at)) {
        Some(Piece::Text(text)) => text.as_str(),
        _ => "",
    };
    let mut places: Vec<Place> = Vec::new();
    for (at, piece) in pieces.iter().enumerate() {
        if let Piece::Slot(given) = piece {
            let mut place = place(text(at.checked_sub(1)), text(Some(at + 1)), at <= 1);
            if !given.is_empty() {
                place.name.clone_from(given);
            }
            places.push(place);
        }
    }
    let names = names(&places);
    let mut said = String::new();
    let mut slots = places.iter().zip(&names);
    let mut next = slots.next();
    for piece in pieces {
        match piece {
            Piece::Text(text) => {
                let until = next.and_then(|(place, _)| place.label).unwrap_or(text.len());
                said.push_str(&text[..until]);
            }
            Piece::Slot(_) => {
                if let Some((place, name)) = next {
                    said.push_str(&if place.is_apart { "\n".to_owned() } else { format!("[{name}]") });
                }
                next = slots.next();
            }
        }
    }
    let goes_on = matches!(pieces.last(), Some(Piece::Text(_)));
    Wording { definition: definition(&said, goes_on), names }
}

/// Words behind which a sentence has to go on.
const OPEN: [&str; 15] = [
    "is", "are", "was", "were", "be", "a", "an", "the", "of", "to", "with", "about", "by", "because", "that",
];

/// How a slot stands between these texts.
fn place(before: &str, after: &str, is_first: bool) -> Place {
    static LABEL: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(
            r#"(?:^|[\n.?!\])])([^\S\n]*)((?:[-*•]\s*|\*\*|#+\s*)?([\p{L}][^\n.?!:\[\]]*?)\s*:(?:\*\*)?\s*["“'`]?\s*)$"#,
        )
        .expect("the pattern is valid")
    });
    let is_opened = |c: char| matches!(c, '"' | '“' | '\'' | '`');
    let line = before.rsplit('\n').next().unwrap_or_default();
    let begins_line = line.trim().trim_matches(is_opened).is_empty() && (is_first || before.contains('\n'));
    let bare = before.trim_end().trim_end_matches(is_opened).trim_end();
    let is_open = bare.rsplit(char::is_whitespace).next().is_some_and(|last| OPEN.contains(&last));
    let stands_apart =
        before.is_empty() || !is_open && (begins_line || bare.ends_with(['.', '?', '!', ':', ']']));
    let goes_on = goes_on(after);
    // What leads to it names it: `Answer the following question:`.
    let lead = noun(bare.rsplit(['\n', '.', '?', '!']).next().unwrap_or_default());
    match LABEL.captures(before) {
        Some(found) if is_label(found[3].trim()) => {
            let label = found.get(2).map(|label| label.start());
            Place { name: found[3].trim().to_owned(), is_apart: true, label }
        }
        _ => Place { name: lead, is_apart: stands_apart && !goes_on, label: None },
    }
}

/// Whether the sentence goes on behind a slot, in the same line or the next one.
fn goes_on(after: &str) -> bool {
    let rest = after.trim_start_matches(['"', '”', '\'', '`', '.', '?', '!', ',', ';']);
    let next = rest.trim_start().split('\n').next().unwrap_or_default();
    if next.trim_end().ends_with(':') && is_label(next.trim_end().trim_end_matches(':')) {
        return false;
    }
    let is_blank = rest.starts_with(char::is_whitespace);
    let same_line = rest.split('\n').next().unwrap_or_default().trim();
    let begins = |c: char| c.is_uppercase() || c.is_ascii_digit() || matches!(c, '-' | '(' | '[');
    next.starts_with(char::is_lowercase)
        || !(same_line.is_empty() || is_blank && same_line.starts_with(begins))
}

/// Whether a text before a colon names a field, as `Review title` does; `Summarise the article` says what is to be done.
fn is_label(text: &str) -> bool {
    let mut words = text.split_whitespace();
    text.len() <= 28 && text.split_whitespace().count() <= 3 && !words.any(is_determiner)
}

/// Whether a word points at something that has a name.
fn is_determiner(word: &str) -> bool {
    const ALL: [&str; 13] = [
        "the",
        "this",
        "these",
        "that",
        "those",
        "a",
        "an",
        "following",
        "given",
        "below",
        "my",
        "your",
        "two",
    ];
    ALL.contains(&&*word.to_lowercase())
}

/// The last word of a text, where it may be what something is called: behind `the following`, a word or two before.
fn noun(text: &str) -> String {
    let word = text.rsplit(|c: char| !c.is_alphanumeric()).find(|word| !word.is_empty()).unwrap_or_default();
    let says_where =
        ["above", "below", "please", "here", "today", "day", "one", "thing", "other"].contains(&word);
    let is_name =
        word.len() >= 3 && word.chars().all(char::is_alphabetic) && !is_determiner(word) && !says_where;
    let points = text.split_whitespace().rev().skip(1).take(2).any(is_determiner);
    if is_name && points { word.to_lowercase() } else { String::new() }
}

/// A name for each slot, none of them twice.
fn names(places: &[Place]) -> Vec<String> {
    let named = |place: &Place| match place.name.as_str() {
        "" if places.len() == 1 => "input".to_owned(),
        "" => "text".to_owned(),
        name => name.to_owned(),
    };
    let all: Vec<String> = places.iter().map(named).collect();
    let mut names: Vec<String> = Vec::with_capacity(all.len());
    for (at, name) in all.iter().enumerate() {
        let same = all.iter().filter(|other| *other == name).count();
        let mut own = match same {
            1 => name.clone(),
            _ => format!("{name} {}", all[..=at].iter().filter(|other| *other == name).count()),
        };
        while names.contains(&own) {
            own.push('\'');
        }
        names.push(own);
    }
    names
}

/// What constants say without the slots and their labels; none where that isn't a sentence that asks for something.
/// `goes_on` says that the answer follows on the constants, with no slot between them.
fn definition(said: &str, goes_on: bool) -> Option<String> {
    static GIVEN: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"^(?:Given|Based on|According to|Using)\b[^,.?!:\n]*[.:]$").expect("the pattern is valid")
    });
    let bare = |line: &'_ str| -> String {
        let line = line.trim().trim_start_matches("[SEP]").trim_end_matches("[SEP]").trim();
        // A quotation mark whose other one stood behind the slot.
        let is_half = line.matches('"').count() % 2 == 1;
        let line = if is_half { line.trim_matches('"').trim() } else { line };
        line.trim_start_matches(['.', ',', ';', '“', '”', '*']).trim().to_owned()
    };
    let mut lines: Vec<String> = said.split('\n').map(bare).collect();
    let is_heading = |line: &str| line.starts_with('#') && line.split_whitespace().count() <= 4;
    lines.retain(|line| line.contains(char::is_alphanumeric) && !is_letter(line) && !is_heading(line));
    // A word for what is to come says nothing of what it is to be: `Answer:`.
    while lines.last().is_some_and(|last| is_cue(last)) {
        lines.pop();
    }
    let words = lines
        .iter()
        .flat_map(|line| line.split_whitespace())
        .filter(|word| word.contains(char::is_alphabetic));
    let asks = lines.iter().any(|line| line.contains('?'));
    if words.count() < if asks { 2 } else { 3 } {
        return None;
    }
    let mut definition = String::new();
    for line in &lines {
        if !definition.is_empty() {
            let ends = definition.ends_with(['.', '?', '!']);
            let is_new = line
                .starts_with(|c: char| c.is_uppercase() || !(c.is_alphanumeric() || matches!(c, '[' | '"')));
            definition.push(if ends || !is_new { ' ' } else { '\n' });
        }
        definition.push_str(line);
    }
    if let Some(cloze) = goes_on.then(|| cloze(&definition)).flatten() {
        return Some(cloze);
    }
    let kept = definition.trim_end_matches([':', ',', ';', ' ']).len();
    let is_cut = kept < definition.len();
    definition.truncate(kept);
    if is_cut || definition.ends_with(|last: char| last.is_alphanumeric() || last == ']') {
        definition.push('.');
    }
    if let Some(asked) = ["Question: ", "Q: "].iter().find_map(|label| definition.strip_prefix(label)) {
        definition = asked.to_owned();
    }
    (!GIVEN.is_match(&definition)).then_some(definition)
}

/// A text that breaks off where the answer is to go on: `The feeling in this review is`.
fn cloze(text: &str) -> Option<String> {
    let last = text.rsplit(char::is_whitespace).next()?;
    if !OPEN.contains(&last) {
        return None;
    }
    let at = text.rfind(['.', '?', '!', '\n']).map_or(0, |at| at + 1);
    let (before, open) = (text[..at].trim(), text[at..].trim());
    let between = if before.is_empty() { "" } else { " " };
    Some(format!("{before}{between}Complete the sentence: \"{open} …\""))
}

/// Whether a line only says which one of a list follows: `B.`
fn is_letter(line: &str) -> bool {
    line.trim_matches(['(', ')', '.', ' ', '-']).chars().count() == 1
}

/// Whether a line only says that the answer comes now.
fn is_cue(line: &str) -> bool {
    line.ends_with(':') && line.split_whitespace().count() <= 2
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A pattern as it is shown: `{name}` is a slot.
    fn pattern(shown: &str) -> Pattern {
        let mut pieces = Vec::new();
        let mut rest = shown;
        while let Some((text, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}').unwrap();
            pieces.extend([Piece::Text(text.to_owned()), Piece::Slot(name.to_owned())]);
            rest = after;
        }
        pieces.push(Piece::Text(rest.to_owned()));
        Pattern::new(pieces)
    }

    fn said(shown: &str) -> String {
        let Wording { names, definition } = read(&pattern(shown));
        format!("{} | {}", names.join(", "), definition.as_deref().unwrap_or("-"))
    }

    #[test]
    fn labels_name_slots_and_the_rest_is_the_definition() {
        insta::assert_snapshot!(said("Passage: {}\nQuestion: {}\nAnswer:"), @"Passage, Question | -");
        insta::assert_snapshot!(said("question: {} [SEP] context: {}"), @"question, context | -");
        insta::assert_snapshot!(said("Read the passage and say yes or no.\n\nPassage: {}\n\nQuestion: {}\nAnswer:"), @"Passage, Question | Read the passage and say yes or no.");
        insta::assert_snapshot!(said("{}\nWhich label fits this article?\n"), @"input | Which label fits this article?");
        insta::assert_snapshot!(said("{} Question: {} True, False, or Neither?"), @"text, Question | True, False, or Neither?");
    }

    #[test]
    fn a_slot_within_a_sentence_is_referred_to() {
        insta::assert_snapshot!(said("Suppose {}\nCan we infer that \"{}\"? Yes or no?"), @r#"
        text 1, text 2 | Suppose [text 1]
        Can we infer that "[text 2]"? Yes or no?
        "#);
        insta::assert_snapshot!(said("{}\n{}\nDoes the word \"{}\" mean the same in both?"), @r#"text 1, text 2, word | Does the word "[word]" mean the same in both?"#);
        insta::assert_snapshot!(said("Answer the following question:\n{}\n"), @"question | Answer the following question.");
        insta::assert_snapshot!(said("Given the following passage\n\n\"{}\",\n\nanswer the following question.\nQuestion: {}\n"), @r#"passage, Question | Given the following passage "[passage]", answer the following question."#);
        insta::assert_snapshot!(said("Can I replace the sentence\n{}\nwith the sentence\n{}\nand keep its meaning?\n"), @"sentence 1, sentence 2 | Can I replace the sentence [sentence 1] with the sentence [sentence 2] and keep its meaning?");
    }

    #[test]
    fn what_is_to_be_done_is_no_label_and_what_breaks_off_is_to_be_completed() {
        insta::assert_snapshot!(said("Summarise the article:\n\n{}\n"), @"article | Summarise the article.");
        insta::assert_snapshot!(said("{} The feeling in this review is\n"), @r#"input | Complete the sentence: "The feeling in this review is …""#);
        insta::assert_snapshot!(said("Q: Which of these is a city?\n{}\nA:"), @"input | Which of these is a city?");
        insta::assert_snapshot!(said("{}\nPick the best option.\nB. {}\nC. {}"), @"text 1, text 2, text 3 | Pick the best option.");
    }

    #[test]
    fn names_that_are_known_stay() {
        insta::assert_snapshot!(said("Given that {premise}, is it true that {hypothesis}?"), @"premise, hypothesis | Given that [premise], is it true that [hypothesis]?");
    }
}
