//! Texts compared by their words: case, punctuation and blanks don't count.

/// The text's words, lower-case, each between single blanks, with one blank at either end.
///
/// A word is a run of letters and digits; apostrophes inside it are left out, so that `don't` and
/// `don’t` agree. Whole words are found by `squash(text).contains(&squash(part))`.
///
/// ```
/// use instil::check::words::squash;
/// assert_eq!(squash("The cat’s  mat, 3.5 m!"), " the cats mat 3 5 m ");
/// assert_eq!(squash("…"), " ");
/// ```
pub fn squash(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push(' ');
    for c in text.chars() {
        if c.is_ascii() {
            if c.is_ascii_alphanumeric() {
                out.push(c.to_ascii_lowercase());
            } else if c != '\'' && !out.ends_with(' ') {
                out.push(' ');
            }
        } else if c.is_alphanumeric() {
            out.extend(c.to_lowercase());
        } else if c != '’' && !out.ends_with(' ') {
            out.push(' ');
        }
    }
    if !out.ends_with(' ') {
        out.push(' ');
    }
    out
}

/// Whether the words of `part` stand in `text`, one after the other.
///
/// In scripts that are written without blanks between words, inside of words too. A part without
/// words stands nowhere.
///
/// ```
/// use instil::check::words::occurs;
/// assert!(occurs("within 30 days", "You pay WITHIN\n30 days."));
/// assert!(!occurs("cat", "concatenate"));
/// assert!(occurs("北京", "他在北京工作"));
/// assert!(!occurs("?", "What?"));
/// ```
pub fn occurs(part: &str, text: &str) -> bool {
    occurs_squashed(part, &squash(text))
}

/// [`occurs`] in a text that is squashed already.
pub fn occurs_squashed(part: &str, squashed: &str) -> bool {
    let part = squash(part);
    match part.trim() {
        "" => false,
        // From the CJK radicals upwards: Chinese, Japanese and Korean.
        words if words.chars().any(|c| c >= '\u{2e80}') => squashed.contains(words),
        _ => squashed.contains(&part),
    }
}
