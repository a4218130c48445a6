//! The options of a multiple-choice question, as the instruction lists them.

use std::collections::HashSet;
use std::sync::LazyLock;

use regex::Regex;

use super::words::{occurs, squash};

static LINE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?m)^[ \t]*(?:[-*•]|\(?([A-Ha-h]|[1-9])[).:\]]|\[([A-Ha-h])\])[ \t]+(\S.*)$")
        .expect("the pattern is valid")
});
static INLINE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\(?\b([A-H])[).:][ \t]+").expect("the pattern is valid"));

/// Whether `answer` is one of the options that `ask` lists, by its text or by its letter, and the
/// options are at least two and all different.
///
/// Options stand on lines of their own (`- …`, `A) …`, `1. …`), or one after the other behind
/// letters. Where none is found, the answer's words have to stand in the instruction.
pub(super) fn answers_one(answer: &str, ask: &str) -> bool {
    let options = listed(ask);
    if options.is_empty() {
        return occurs(answer, ask);
    }
    let texts: Vec<String> = options.iter().map(|(_, text)| squash(text)).collect();
    let distinct: HashSet<&String> = texts.iter().collect();
    if texts.len() < 2 || distinct.len() < texts.len() {
        return false;
    }
    let answer_words = squash(answer);
    let is_letter = options.iter().any(|(letter, text)| {
        !letter.is_empty()
            && (squash(letter) == answer_words || squash(&format!("{letter} {text}")) == answer_words)
    });
    is_letter || distinct.contains(&answer_words)
}

/// The answers of which [`answers_one`] takes each: the options' texts, and their letters. None where no option is found,
/// so that words of the instruction are asked for; nothing where no answer is right.
pub(super) fn answers(ask: &str) -> Option<Vec<String>> {
    let options = listed(ask);
    if options.is_empty() {
        return None;
    }
    let texts = options.iter().map(|(_, text)| *text);
    let letters = options.iter().map(|(letter, _)| *letter);
    let found: Vec<String> =
        texts.chain(letters).filter(|text| answers_one(text, ask)).map(str::to_owned).collect();
    Some(found)
}

/// The options as (letter, or nothing for bullets; text).
fn listed(ask: &str) -> Vec<(&str, &str)> {
    let lines: Vec<_> = LINE
        .captures_iter(ask)
        .map(|line| {
            let letter = line.get(1).or(line.get(2)).map_or("", |letter| letter.as_str());
            (letter, line.get(3).map_or("", |text| text.as_str().trim_end()))
        })
        .collect();
    if lines.len() >= 2 {
        return lines;
    }
    let starts: Vec<_> =
        INLINE.captures_iter(ask).filter_map(|found| Some((found.get(0)?, found.get(1)?))).collect();
    if starts.len() < 2 {
        return lines;
    }
    let ends = starts.iter().skip(1).map(|(whole, _)| whole.start()).chain([ask.len()]);
    starts
        .iter()
        .zip(ends)
        .map(|((whole, letter), end)| (letter.as_str(), ask[whole.end()..end].trim()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_found_in_the_shapes_that_are_in_use() {
        let lines = "Who sat?\n- a cat\n- a dog\n- a hen";
        assert!(answers_one("A cat.", lines));
        assert!(!answers_one("a cow", lines));
        let letters = "Who sat?\nA) a cat\n(B) a dog\nC. a hen";
        assert!(
            answers_one("B", letters) && answers_one("a hen", letters) && answers_one("A) a cat", letters)
        );
        assert!(!answers_one("D", letters));
        assert!(
            answers_one("a dog", "Who? A. a cat B. a dog") && !answers_one("a hen", "Who? A. a cat B. a dog")
        );
        assert!(
            answers_one("cat", "Was it a cat or a dog?") && !answers_one("hen", "Was it a cat or a dog?")
        );
    }

    #[test]
    fn options_that_repeat_are_no_choice() {
        assert!(!answers_one("a cat", "Who?\n- a cat\n- A cat."));
    }
}
