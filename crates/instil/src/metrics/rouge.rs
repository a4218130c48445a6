//! ROUGE-L, and the exact match that Super-NaturalInstructions reports beside it.

use super::porter::stem;
use super::{squeezed, without_punctuation};

/// The words of a text: lower case, runs of ASCII letters and digits, those of more than three characters stemmed
/// (`tokenize` of rouge-score 0.1.2 with `use_stemmer`).
pub fn words(text: &str) -> Vec<String> {
    let lower = text.to_lowercase();
    lower
        .split(|c: char| !c.is_ascii_lowercase() && !c.is_ascii_digit())
        .filter(|word| !word.is_empty())
        .map(|word| if word.len() > 3 { stem(word) } else { word.to_owned() })
        .collect()
}

/// The F-measure of the longest common subsequence of words: `rougeL` of rouge-score 0.1.2 with `use_stemmer=True`, as
/// Super-NaturalInstructions computes it (spec/uit.md 5.2). 0 where either has no word.
pub fn rouge_l(answer: &str, reference: &str) -> f64 {
    let (answer, reference) = (words(answer), words(reference));
    let common = common(&answer, &reference) as f64;
    if common == 0.0 {
        return 0.0;
    }
    let (precision, recall) = (common / answer.len() as f64, common / reference.len() as f64);
    2.0 * precision * recall / (precision + recall)
}

/// The length of the longest common subsequence, in the memory of one row.
fn common<T: PartialEq>(one: &[T], two: &[T]) -> usize {
    let mut row = vec![0; two.len() + 1];
    for a in one {
        let mut diagonal = 0;
        for (place, b) in two.iter().enumerate() {
            let above = row[place + 1];
            row[place + 1] = if a == b { diagonal + 1 } else { above.max(row[place]) };
            diagonal = above;
        }
    }
    row[two.len()]
}

/// 1 if both are the same in lower case, without ASCII punctuation and with one blank between words, else 0. Articles
/// stay (`exact_match` of Super-NaturalInstructions' `compute_metrics.py`).
pub fn exact_match(answer: &str, reference: &str) -> f64 {
    let normalized = |text: &str| squeezed(&without_punctuation(&text.to_lowercase()));
    f64::from(u8::from(normalized(answer) == normalized(reference)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rouge_l_by_hand() {
        // Stems: the quick fox jump over | a quick brown fox jump high: common quick fox jump, 3 of 5 and 3 of 6.
        let f = rouge_l("The quick foxes jumped over", "a quick brown fox jumping high");
        assert_eq!(words("The quick foxes jumped over"), ["the", "quick", "fox", "jump", "over"]);
        assert!((f - 2.0 * 0.6 * 0.5 / 1.1).abs() < 1e-15, "{f}");
        // Of the order alone depends what is common.
        assert!((rouge_l("b a", "a b") - 0.5).abs() < 1e-15);
        assert_eq!((rouge_l("", "a"), rouge_l("é", "é"), rouge_l("x", "y")), (0.0, 0.0, 0.0));
        // The Kelvin sign is a k in lower case, and an accent parts words.
        assert_eq!(words("\u{212a}elvin café-bar it's"), ["kelvin", "caf", "bar", "it", "s"]);
    }

    #[test]
    fn articles_count_for_this_exact_match() {
        assert_eq!(exact_match(" The  cat. ", "the cat"), 1.0);
        assert_eq!(exact_match("cat", "the cat"), 0.0);
    }

    proptest::proptest! {
        #[test]
        fn rouge_l_is_a_symmetric_share(one in "[a-c ]{0,30}", two in "[a-c ]{0,30}") {
            let f = rouge_l(&one, &two);
            assert!((0.0..=1.0).contains(&f));
            assert!((f - rouge_l(&two, &one)).abs() < 1e-12);
            assert!(rouge_l(&one, &one) == 1.0 || words(&one).is_empty());
        }

        #[test]
        fn any_text_has_words(text: String) {
            let _ = rouge_l(&text, "a b c");
        }
    }
}
