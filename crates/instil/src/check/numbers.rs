//! Numbers copied exactly.

use std::collections::HashSet;

const WORDS: [&str; 21] = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
    "twenty",
];

/// The first number of `response` that stands in none of `sources`, as the response writes it.
///
/// Numbers are runs of digits with points and commas inside them; commas between digits are
/// not looked at (`1,200` is `1200`), and the words from zero to twenty count as numbers of the sources.
///
/// ```
/// use instil::check::numbers::altered;
/// assert_eq!(altered("It costs 1200 euros.", &["It costs 1,200 euros."]), None);
/// assert_eq!(altered("After 2 weeks.", &["after two weeks"]), None);
/// assert_eq!(altered("After 3.5 weeks.", &["after 35 weeks"]), Some("3.5".to_owned()));
/// ```
pub fn altered(response: &str, sources: &[&str]) -> Option<String> {
    let wanted = numbers(response);
    if wanted.is_empty() {
        return None;
    }
    let mut known: HashSet<String> = HashSet::new();
    for source in sources {
        known.extend(numbers(source).into_iter().map(|number| plain(&number)));
        for word in source.split(|c: char| !c.is_ascii_alphabetic()) {
            if let Some(value) = WORDS.iter().position(|name| name.eq_ignore_ascii_case(word)) {
                known.insert(value.to_string());
            }
        }
    }
    wanted.into_iter().find(|number| !known.contains(&plain(number)))
}

fn plain(number: &str) -> String {
    number.replace(',', "")
}

fn numbers(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(first) = chars.next() {
        if !first.is_numeric() {
            continue;
        }
        let mut number = String::from(first);
        while let Some(&next) = chars.peek() {
            if next.is_numeric() {
                number.push(next);
                chars.next();
            } else if matches!(next, '.' | ',') {
                let mut ahead = chars.clone();
                ahead.next();
                if !ahead.peek().is_some_and(|c| c.is_numeric()) {
                    break;
                }
                number.push(next);
                chars.next();
            } else {
                break;
            }
        }
        found.push(number);
    }
    found
}
