//! Answers cut from a text, compared as SQuAD 1.1 does.

use std::collections::HashMap;
use std::sync::LazyLock;

use regex::Regex;

use super::{squeezed, without_punctuation};

/// What Python's `re` takes for the characters of a word.
static WORD: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"[\p{L}\p{N}_]+").expect("the pattern is right"));

/// An answer as it is compared: lower case, without ASCII punctuation, without the words `a`, `an` and `the`, one blank
/// between words (`normalize_answer` of SQuAD's `evaluate-v1.1.py`).
///
/// ```
/// use instil::metrics::squad::normalized;
/// assert_eq!(normalized("The  Lake-house, a\nhome."), "lakehouse home");
/// ```
pub fn normalized(answer: &str) -> String {
    let lower = without_punctuation(&answer.to_lowercase());
    let without_articles = WORD.replace_all(&lower, |word: &regex::Captures<'_>| match &word[0] {
        "a" | "an" | "the" => " ".to_owned(),
        other => other.to_owned(),
    });
    squeezed(&without_articles)
}

/// 1 if both are the same once they are normalised, else 0.
pub fn exact_match(answer: &str, gold: &str) -> f64 {
    f64::from(u8::from(normalized(answer) == normalized(gold)))
}

/// The F1 of the words that both have, each as often as both have it; 0 where they share none, also where both are empty
/// (`f1_score` of SQuAD's `evaluate-v1.1.py`).
pub fn f1(answer: &str, gold: &str) -> f64 {
    let (answer, gold) = (normalized(answer), normalized(gold));
    let words = |text: &str| text.split(' ').filter(|word| !word.is_empty()).count();
    let mut left: HashMap<&str, usize> = HashMap::new();
    for word in gold.split(' ').filter(|word| !word.is_empty()) {
        *left.entry(word).or_default() += 1;
    }
    let mut shared = 0;
    for word in answer.split(' ') {
        if let Some(count) = left.get_mut(word).filter(|count| **count > 0) {
            *count -= 1;
            shared += 1;
        }
    }
    if shared == 0 {
        return 0.0;
    }
    let precision = f64::from(shared) / words(&answer) as f64;
    let recall = f64::from(shared) / words(&gold) as f64;
    2.0 * precision * recall / (precision + recall)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_normalised_as_published() {
        for (answer, wanted) in [
            ("A cat.", "cat"),
            ("the", ""),
            ("theatre anthem", "theatre anthem"),
            ("a-b", "ab"),
            ("a – b", "– b"),
            ("x\u{1c}y\u{a0}z", "x y z"),
            ("The_an", "thean"),
            ("über den  Ärger", "über den ärger"),
        ] {
            assert_eq!(normalized(answer), wanted, "{answer:?}");
        }
    }

    #[test]
    fn f1_by_hand() {
        // Shared: blue, car. Precision 2/3, recall 2/4.
        let f = f1("the blue car now", "A car, blue and fast!");
        assert!((f - 2.0 * (2.0 / 3.0) * 0.5 / (2.0 / 3.0 + 0.5)).abs() < 1e-15);
        // A word counts as often as both have it.
        assert!((f1("la la la", "la la land") - 2.0 / 3.0).abs() < 1e-15);
        assert_eq!((f1("", ""), f1("the", "a"), f1("x", "y")), (0.0, 0.0, 0.0));
        assert_eq!(
            (exact_match("The cat", "cat!"), exact_match("", "the"), exact_match("x", "y")),
            (1.0, 1.0, 0.0)
        );
    }

    proptest::proptest! {
        #[test]
        fn f1_is_a_share_whatever_the_texts(one: String, two: String) {
            let f = f1(&one, &two);
            assert!((0.0..=1.0).contains(&f));
            assert_eq!(f, f1(&two, &one));
            let same = f1(&one, &one);
            assert!(same == 1.0 || normalized(&one).is_empty());
        }
    }
}
