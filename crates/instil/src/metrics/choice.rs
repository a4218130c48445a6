//! The likeliest of several choices, as lm-evaluation-harness picks it.

/// The place of the choice with the smallest sum of nats; of equal ones the first. None without a choice.
pub fn by_sum(nlls: &[f64]) -> Option<usize> {
    smallest(nlls.iter().copied())
}

/// The same by nats a character of the choice's text, which lm-evaluation-harness calls `acc_norm` (commit 4e7e0d47f,
/// `api/task.py`): characters are Unicode's, and the blank before the choice doesn't count. A choice without
/// characters counts as one.
pub fn by_characters(nlls: &[f64], choices: &[impl AsRef<str>]) -> Option<usize> {
    assert_eq!(nlls.len(), choices.len(), "every choice has its likelihood");
    let length = |choice: &str| choice.chars().count().max(1) as f64;
    smallest(nlls.iter().zip(choices).map(|(nll, choice)| nll / length(choice.as_ref())))
}

fn smallest(values: impl Iterator<Item = f64>) -> Option<usize> {
    let mut best: Option<(usize, f64)> = None;
    for (place, value) in values.enumerate() {
        if best.is_none_or(|(_, least)| value < least) {
            best = Some((place, value));
        }
    }
    best.map(|(place, _)| place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_like_short_choices_and_characters_do_not() {
        let (nlls, choices) = ([2.0, 3.0, 3.0], ["no", "certainly", "perhapsso"]);
        assert_eq!(by_sum(&nlls), Some(0));
        assert_eq!(by_characters(&nlls, &choices), Some(1));
        // Characters, not bytes: 4/2, 7/4.
        assert_eq!(by_characters(&[4.0, 7.0], &["éé", "abcd"]), Some(1));
        assert_eq!(by_characters(&[1.0, 0.5], &["", "a"]), Some(1));
        assert_eq!(by_sum(&[]), None);
    }
}
