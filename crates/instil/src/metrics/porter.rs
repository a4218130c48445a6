//! Porter's stemmer with the extensions of NLTK, which rouge-score stems with.
//!
//! M. F. Porter, "An algorithm for suffix stripping", 1980; the departures from it, and the order of the rules, are those
//! of `nltk.stem.porter.PorterStemmer` in its default mode (NLTK 3.10). The words are ASCII in lower case, as
//! rouge-score's tokens are. Snowball's stemmers, of which there are crates, are another algorithm.

/// Words whose stems NLTK lists.
const IRREGULAR: [(&str, &str); 16] = [
    ("sky", "sky"),
    ("skies", "sky"),
    ("dying", "die"),
    ("lying", "lie"),
    ("tying", "tie"),
    ("news", "news"),
    ("innings", "inning"),
    ("inning", "inning"),
    ("outings", "outing"),
    ("outing", "outing"),
    ("cannings", "canning"),
    ("canning", "canning"),
    ("howe", "howe"),
    ("proceed", "proceed"),
    ("exceed", "exceed"),
    ("succeed", "succeed"),
];

const STEP_2: [(&str, &str); 21] = [
    ("ational", "ate"),
    ("tional", "tion"),
    ("enci", "ence"),
    ("anci", "ance"),
    ("izer", "ize"),
    ("bli", "ble"),
    ("alli", "al"),
    ("entli", "ent"),
    ("eli", "e"),
    ("ousli", "ous"),
    ("ization", "ize"),
    ("ation", "ate"),
    ("ator", "ate"),
    ("alism", "al"),
    ("iveness", "ive"),
    ("fulness", "ful"),
    ("ousness", "ous"),
    ("aliti", "al"),
    ("iviti", "ive"),
    ("biliti", "ble"),
    ("fulli", "ful"),
];

const STEP_3: [(&str, &str); 7] = [
    ("icate", "ic"),
    ("ative", ""),
    ("alize", "al"),
    ("iciti", "ic"),
    ("ical", "ic"),
    ("ful", ""),
    ("ness", ""),
];

const STEP_4: [&str; 19] = [
    "al", "ance", "ence", "er", "ic", "able", "ible", "ant", "ement", "ment", "ent", "ion", "ou", "ism",
    "ate", "iti", "ous", "ive", "ize",
];

/// The stem of a word of ASCII in lower case.
pub(crate) fn stem(word: &str) -> String {
    debug_assert!(word.is_ascii(), "{word}");
    if let Some((_, stem)) = IRREGULAR.iter().find(|(irregular, _)| *irregular == word) {
        return (*stem).to_owned();
    }
    if word.len() <= 2 {
        return word.to_owned();
    }
    let mut word = word.to_owned();
    step_1a(&mut word);
    step_1b(&mut word);
    step_1c(&mut word);
    step_2(&mut word);
    step_3(&mut word);
    step_4(&mut word);
    step_5(&mut word);
    word
}

/// Whether each letter is a consonant: not a, e, i, o or u, and not a y behind a consonant.
fn consonants(word: &str) -> Vec<bool> {
    let mut flags: Vec<bool> = Vec::with_capacity(word.len());
    for letter in word.bytes() {
        flags.push(match letter {
            b'a' | b'e' | b'i' | b'o' | b'u' => false,
            b'y' => flags.last().is_none_or(|before| !before),
            _ => true,
        });
    }
    flags
}

/// Porter's m: how often a consonant follows a vowel.
fn measure(stem: &str) -> usize {
    consonants(stem).windows(2).filter(|pair| !pair[0] && pair[1]).count()
}

fn has_vowel(stem: &str) -> bool {
    consonants(stem).contains(&false)
}

/// Porter's *d.
fn ends_in_double_consonant(word: &str) -> bool {
    let bytes = word.as_bytes();
    match bytes {
        [.., before, last] => before == last && consonants(word).last() == Some(&true),
        _ => false,
    }
}

/// Porter's *o, and NLTK's words of a vowel and a consonant.
fn ends_short(word: &str) -> bool {
    match consonants(word).as_slice() {
        [false, true] => true,
        [.., true, false, true] => !word.ends_with(['w', 'x', 'y']),
        _ => false,
    }
}

/// Replaces the first suffix of the rules that the word has, if its stem holds to the condition; no other rule is tried.
fn apply<'a>(
    word: &mut String,
    rules: impl IntoIterator<Item = (&'a str, &'a str)>,
    holds: impl Fn(&str, &str) -> bool,
) {
    for (suffix, replacement) in rules {
        if let Some(stem) = word.strip_suffix(suffix) {
            if holds(stem, suffix) {
                let length = stem.len();
                word.truncate(length);
                word.push_str(replacement);
            }
            return;
        }
    }
}

fn step_1a(word: &mut String) {
    if word.len() == 4 && word.ends_with("ies") {
        word.pop();
        return;
    }
    apply(word, [("sses", "ss"), ("ies", "i"), ("ss", "ss"), ("s", "")], |_, _| true);
}

fn step_1b(word: &mut String) {
    if word.ends_with("ied") {
        let length = word.len() - if word.len() == 4 { 1 } else { 2 };
        return word.truncate(length);
    }
    if let Some(stem) = word.strip_suffix("eed") {
        if measure(stem) > 0 {
            word.pop();
        }
        return;
    }
    let Some(stem) =
        ["ed", "ing"].iter().find_map(|suffix| word.strip_suffix(suffix).filter(|stem| has_vowel(stem)))
    else {
        return;
    };
    let length = stem.len();
    word.truncate(length);
    if ["at", "bl", "iz"].iter().any(|end| word.ends_with(end)) {
        word.push('e');
    } else if ends_in_double_consonant(word) {
        if !word.ends_with(['l', 's', 'z']) {
            word.pop();
        }
    } else if measure(word) == 1 && ends_short(word) {
        word.push('e');
    }
}

fn step_1c(word: &mut String) {
    let after_consonant =
        |stem: &str, _: &str| stem.len() > 1 && consonants(stem).last().is_some_and(|last| *last);
    apply(word, [("y", "i")], after_consonant);
}

fn step_2(word: &mut String) {
    // NLTK tries this rule first, and then all again.
    while let Some(stem) = word.strip_suffix("alli").filter(|stem| measure(stem) > 0) {
        let length = stem.len() + 2;
        word.truncate(length);
    }
    let logi = word.strip_suffix("logi").map(|stem| measure(&word[..stem.len() + 1]) > 0);
    let before = word.len();
    apply(word, STEP_2, |stem, _| measure(stem) > 0);
    // None of the others is the end of a word that ends so.
    if logi == Some(true) && word.len() == before {
        word.pop();
    }
}

fn step_3(word: &mut String) {
    apply(word, STEP_3, |stem, _| measure(stem) > 0);
}

fn step_4(word: &mut String) {
    apply(word, STEP_4.map(|suffix| (suffix, "")), |stem, suffix| {
        measure(stem) > 1 && (suffix != "ion" || stem.ends_with(['s', 't']))
    });
}

fn step_5(word: &mut String) {
    if let Some(stem) = word.strip_suffix('e') {
        let m = measure(stem);
        if m > 1 || m == 1 && !ends_short(stem) {
            word.pop();
        }
    }
    if word.ends_with("ll") && measure(&word[..word.len() - 1]) > 1 {
        word.pop();
    }
}

#[cfg(test)]
mod tests {
    use super::stem;

    /// The examples of the paper's steps and of NLTK's comments, as NLTK 3.10 stems them.
    #[test]
    fn words_have_the_stems_of_nltk() {
        for pair in "caresses caress|ponies poni|ties tie|cats cat|feed feed|agreed agre|plastered plaster|bled bled|\
                     motoring motor|sing sing|conflated conflat|troubled troubl|sized size|hopping hop|tanned tan|\
                     falling fall|hissing hiss|fizzed fizz|failing fail|filing file|happy happi|sky sky|enjoy enjoy|\
                     spy spi|relational relat|conditional condit|rational ration|valenci valenc|digitizer digit|\
                     conformabli conform|radicalli radic|differentli differ|vileli vile|analogousli analog|\
                     vietnamization vietnam|predication predic|operator oper|feudalism feudal|decisiveness decis|\
                     hopefulness hope|callousness callous|formaliti formal|sensitiviti sensit|sensibiliti sensibl|\
                     triplicate triplic|formative form|formalize formal|electriciti electr|electrical electr|\
                     hopeful hope|goodness good|revival reviv|allowance allow|inference infer|airliner airlin|\
                     adjustable adjust|defensible defens|irritant irrit|replacement replac|adoption adopt|\
                     communism commun|activate activ|bowdlerize bowdler|probate probat|rate rate|cease ceas|\
                     controll control|roll roll|dies die|flies fli|died die|spied spi|dying die|geology geolog|\
                     theology theolog|generally gener|generically gener|succeed succeed|yyyy yyyi|2021 2021|owed owe|\
                     oed o|ies i|beautifully beauti|apology apolog|logi logi"
            .split('|')
        {
            let (word, wanted) = pair.trim().split_once(' ').unwrap();
            assert_eq!(stem(word), wanted, "{word}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_word_has_a_stem(word in "[a-z0-9]{0,24}") {
            assert!(stem(&word).len() <= word.len() + 1);
        }
    }
}
