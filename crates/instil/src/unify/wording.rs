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
    Wording { definition: definition(&said), names }
}

/// How a slot stands between these texts.
fn place(before: &str, after: &str, is_first: bool) -> Place {
    static LABEL: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r#"(?:^|[\n.?!\])])([^\S\n]*)((?:[-*•]\s*|\*\*|#+\s*)?([\p{L}][^\n.?!:\[\]]*?)\s*:(?:\*\*)?\s*["“'`]?\s*)$"#)
            .expect("the pattern is valid")
    });
    let line = before.rsplit('\n').next().unwrap_or_default();
    let begins_line = line.trim().is_empty() && (is_first || before.contains('\n'));
    let is_opened = |c: char| matches!(c, '"' | '“' | '\'' | '`');
    let bare = before.trim_end().trim_end_matches(is_opened).trim_end();
    let ends_sentence = bare.ends_with(['.', '?', '!', ':', ']'])
        || bare.len() < before.trim_end_matches(' ').len() && before.ends_with('\n');
    let rest = after.trim_start_matches(['"', '”', '\'', '`', '.', '?', '!', ',', ';']);
    let goes_on = {
        let blank = rest.starts_with(char::is_whitespace);
        let line = rest.split('\n').next().unwrap_or_default().trim_start();
        !(line.is_empty()
            || line.starts_with('[') && blank
            || blank
                && line.starts_with(|c: char| c.is_uppercase() || c.is_ascii_digit() || c == '-' || c == '('))
    };
    let found = LABEL.captures(before).map(|found| {
        let (label, name) = (found.get(2).map_or(0, |label| label.start()), found[3].trim().to_owned());
        (label, name)
    });
    let is_short = |name: &str| name.split_whitespace().count() <= 3 && name.len() <= 28;
    match found {
        Some((label, name)) if is_short(&name) => {
            // Where the sentence goes on behind it, the label alone is too little to stand for it.
            Place { name, is_apart: true, label: Some(label) }
        }
        Some((_, lead)) => {
            // The last word of what leads to it: `Answer the following question:`.
            Place { name: noun(&lead), is_apart: !goes_on, label: None }
        }
        None if begins_line || ends_sentence || before.is_empty() => {
            Place { name: String::new(), is_apart: !goes_on, label: None }
        }
        None => {
            let word = bare.rsplit(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
            // At the end of a line it is what the line leads to.
            let ends_line = !goes_on && bare.ends_with(':');
            Place { name: noun(word), is_apart: ends_line, label: None }
        }
    }
}

/// The last word of a text, if it may be what something is called.
fn noun(text: &str) -> String {
    const NONE: [&str; 46] = [
        "the",
        "and",
        "for",
        "with",
        "that",
        "this",
        "these",
        "those",
        "from",
        "into",
        "about",
        "suppose",
        "given",
        "is",
        "are",
        "was",
        "were",
        "be",
        "does",
        "did",
        "has",
        "have",
        "can",
        "will",
        "would",
        "should",
        "then",
        "than",
        "when",
        "where",
        "which",
        "what",
        "whether",
        "following",
        "below",
        "above",
        "also",
        "used",
        "write",
        "say",
        "says",
        "said",
        "out",
        "true",
        "false",
        "here",
    ];
    let word = text.rsplit(|c: char| !c.is_alphanumeric()).find(|word| !word.is_empty()).unwrap_or_default();
    let is_name =
        word.len() >= 3 && word.chars().all(char::is_alphabetic) && !NONE.contains(&&*word.to_lowercase());
    if is_name { word.to_lowercase() } else { String::new() }
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

/// What constants say without the slots and their labels; none where that isn't a sentence.
fn definition(said: &str) -> Option<String> {
    let mut lines: Vec<&str> = said
        .split('\n')
        .map(|line| line.trim().trim_matches(|c| matches!(c, '"' | '“' | '”' | '`' | '*')).trim())
        .map(|line| line.trim_start_matches("[SEP]").trim_end_matches("[SEP]").trim())
        .map(|line| line.trim_start_matches(['.', ',', ';']).trim_start())
        .filter(|line| line.contains(char::is_alphanumeric))
        .collect();
    // A word for what is to come says nothing of what it is to be: `Answer:`.
    while let Some(last) = lines.last()
        && is_cue(last)
    {
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
    let ends = |line: &&str| line.ends_with(['.', '?', '!']);
    let between = if lines.iter().all(|line| ends(&line)) { " " } else { "\n" };
    let mut definition = lines.join(between);
    match definition.chars().next_back() {
        Some(':' | ',' | ';') => {
            definition.pop();
            definition.push('.');
        }
        Some(last) if last.is_alphanumeric() || last == ']' => definition.push('.'),
        _ => {}
    }
    Some(definition)
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
        insta::assert_snapshot!(said("Suppose {}\nCan we infer that \"{}\"? Yes or no?"), @r#"text 1, text 2 | Suppose [text 1] Can we infer that "[text 2]"? Yes or no?"#);
        insta::assert_snapshot!(said("{}\n{}\nDoes the word \"{}\" mean the same in both?"), @r#"text 1, text 2, word | Does the word "[word]" mean the same in both?"#);
        insta::assert_snapshot!(said("Answer the following question:\n{}\n"), @"question | Answer the following question.");
    }

    #[test]
    fn names_that_are_known_stay() {
        insta::assert_snapshot!(said("Given that {premise}, is it true that {hypothesis}?"), @"premise, hypothesis | Given that [premise], is it true that [hypothesis]?");
    }
}
