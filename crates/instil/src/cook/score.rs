//! How near an answer is to the right one.

use super::reading::words;

/// The words of an answer as they are compared: marks count, commas between items don't.
pub fn answer_words(output: &str) -> Vec<&str> {
    words(output).into_iter().filter(|word| *word != ",").collect()
}

/// 1 for the right words in the right order; else half of how many words they share (F1), so that no wrong answer has
/// more than 0.5.
pub fn by_words(right: &[String], output: &str) -> f64 {
    let said = answer_words(output);
    if right.iter().map(String::as_str).eq(said.iter().copied()) {
        return 1.0;
    }
    let mut left: Vec<&str> = right.iter().map(String::as_str).collect();
    let mut shared = 0;
    for word in &said {
        if let Some(place) = left.iter().position(|one| one == word) {
            left.swap_remove(place);
            shared += 1;
        }
    }
    // F1 is 2 shared / (right + said); half of it is at most one half.
    shared as f64 / (right.len() + said.len()).max(1) as f64
}

/// 1 for the right words, else 0: for answers of which there is no half.
pub fn exactly(right: &[String], output: &str) -> f64 {
    f64::from(u8::from(right.iter().map(String::as_str).eq(answer_words(output))))
}

/// 1 for the right option; for another half of the share of options that have less overlap with what is asked than it
/// has; 0 for what is none of them.
pub fn by_rank(overlaps: &[usize], right: Option<usize>, chosen: Option<usize>) -> f64 {
    let Some(chosen) = chosen else { return 0.0 };
    if Some(chosen) == right {
        return 1.0;
    }
    let below = overlaps.iter().filter(|overlap| **overlap < overlaps[chosen]).count();
    below as f64 / overlaps.len() as f64 / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_right_words_are_worth_more_than_one_half() {
        let right = ["cun".to_owned(), "dyr".to_owned()];
        for (output, worth) in [
            (" cun dyr", 1.0),
            ("cun, dyr\n", 1.0),
            ("dyr cun", 0.5),
            ("cun", 1.0 / 3.0),
            ("", 0.0),
            ("it is cun dyr", 2.0 / 6.0),
            ("cun dyr.", 2.0 / 5.0),
        ] {
            assert_eq!(by_words(&right, output), worth, "{output}");
            assert_eq!(exactly(&right, output), f64::from(u8::from(worth == 1.0)));
        }
        assert_eq!(by_words(&[], ""), 1.0);
        assert_eq!(by_rank(&[1, 3, 0, 1], Some(1), Some(1)), 1.0);
        assert_eq!(by_rank(&[1, 3, 0, 1], Some(1), Some(3)), 0.125);
        assert_eq!((by_rank(&[1, 3], Some(1), Some(0)), by_rank(&[1, 3], Some(1), None)), (0.0, 0.0));
    }
}
