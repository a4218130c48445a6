//! What kind of word a word is: word lists written for this program, and a few endings.

use std::collections::HashMap;
use std::ops::BitOr;
use std::sync::LazyLock;

/// A set of word classes; a word may be in several ("may" is a verb and a month).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(super) struct Class(u64);

macro_rules! classes {
    ($($name:ident $word:literal,)*) => {
        classes!(@ 0; $($name $word,)*);
        /// The names of the classes in `words/classes.txt`.
        const NAMED: &[(&str, Class)] = &[$(($word, Class::$name),)*];
    };
    (@ $bit:expr; $name:ident $word:literal, $($rest:tt)*) => {
        impl Class { #[doc = $word] pub(super) const $name: Self = Self(1 << ($bit)); }
        classes!(@ $bit + 1; $($rest)*);
    };
    (@ $bit:expr;) => {
        const AFTER: u64 = $bit;
    };
}

classes! {
    DET "det", THIS "this", POSS "poss", QUANT "quant", PREP "prep", PRON "pron", CONJ "conj", REL "rel", SUB "sub",
    BE "be", BE2 "be2", HAVE "have", DO "do", MODAL "modal", NEG "neg", ADV "adv", NUM "num", ORD "ord",
    MONTH "month", WEEKDAY "weekday", UNIT "unit", MEASURE "measure", PERSON "person", TITLE "title",
    STARTER "starter", HEDGE "hedge", PLACE "place", VAGUE "vague", NOUN_ENDING "noun_ending", CITE "cite", SCOPE "scope", BOUND "bound", WEAK "weak",
    PARTY "party", OWN "own", LEGAL "legal", TRAIL "trail", ANAPHOR "anaphor", ADJ "adj", TELLING "telling", LABEL "label",
}

impl Class {
    /// A base form of a verb.
    pub(super) const V_BASE: Self = Self(1 << AFTER);
    /// Third person singular.
    pub(super) const V_S: Self = Self(1 << (AFTER + 1));
    /// Simple past.
    pub(super) const V_PAST: Self = Self(1 << (AFTER + 2));
    /// Past participle.
    pub(super) const V_PART: Self = Self(1 << (AFTER + 3));
    /// The form in -ing.
    pub(super) const V_ING: Self = Self(1 << (AFTER + 4));
    /// Its base or -s form is also an everyday noun.
    pub(super) const V_NOUN: Self = Self(1 << (AFTER + 5));
    /// An everyday noun or adjective.
    pub(super) const NOUN: Self = Self(1 << (AFTER + 6));
    /// Any form of a verb that can be finite.
    pub(super) const FINITE: Self = Self(Self::V_BASE.0 | Self::V_S.0 | Self::V_PAST.0);
    /// What opens a noun phrase.
    pub(super) const OPENER: Self = Self(Self::DET.0 | Self::THIS.0 | Self::POSS.0 | Self::QUANT.0);
    /// Auxiliaries in their finite forms.
    pub(super) const AUX: Self = Self(Self::BE.0 | Self::HAVE.0 | Self::DO.0 | Self::MODAL.0);
    /// Classes whose words are written small.
    pub(super) const EVERYDAY: Self = Self(
        Self::CLOSED.0
            | Self::FINITE.0
            | Self::V_PART.0
            | Self::V_ING.0
            | Self::NOUN.0
            | Self::NUM.0
            | Self::ORD.0
            | Self::UNIT.0
            | Self::PERSON.0
            | Self::NOUN_ENDING.0
            | Self::STARTER.0,
    );
    /// Words of form rather than content.
    pub(super) const CLOSED: Self = Self(
        Self::OPENER.0
            | Self::PREP.0
            | Self::PRON.0
            | Self::CONJ.0
            | Self::REL.0
            | Self::SUB.0
            | Self::AUX.0
            | Self::BE2.0
            | Self::NEG.0
            | Self::ADV.0,
    );

    /// Whether the word is in any of these classes.
    pub(super) fn any(self, of: Self) -> bool {
        self.0 & of.0 != 0
    }
}

impl BitOr for Class {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// Every listed word with its classes, and the base of each verb form.
struct Lexicon {
    classes: HashMap<String, Class>,
    bases: HashMap<String, String>,
}

static LEXICON: LazyLock<Lexicon> = LazyLock::new(|| {
    let mut lexicon = Lexicon { classes: HashMap::new(), bases: HashMap::new() };
    for line in lines(include_str!("words/classes.txt")) {
        let (name, words) = line.split_once(':').expect("each line of classes.txt has a colon");
        let (_, class) =
            NAMED.iter().find(|(known, _)| *known == name).expect("classes.txt names known classes");
        for word in words.split_whitespace() {
            lexicon.add(word, *class);
        }
    }
    for line in lines(include_str!("words/nouns.txt")) {
        line.split_whitespace().for_each(|word| lexicon.add(word, Class::NOUN));
    }
    for line in lines(include_str!("words/verbs.txt")) {
        line.split_whitespace().for_each(|verb| lexicon.add_verb(verb));
    }
    lexicon
});

fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty())
}

impl Lexicon {
    fn add(&mut self, word: &str, class: Class) {
        let classes = self.classes.entry(word.to_owned()).or_default();
        *classes = *classes | class;
    }

    fn add_form(&mut self, form: &str, class: Class, base: &str) {
        self.add(form, class);
        self.bases.entry(form.to_owned()).or_insert_with(|| base.to_owned());
    }

    fn add_verb(&mut self, entry: &str) {
        let (entry, noun) = match entry.strip_suffix('*') {
            Some(entry) => (entry, Class::V_NOUN),
            None => (entry, Class::default()),
        };
        let mut forms = entry.split(':');
        let base = forms.next().unwrap_or_default();
        self.add_form(base, Class::V_BASE | noun, base);
        self.add_form(&third_person(base), Class::V_S | noun, base);
        self.add_form(&ing(base), Class::V_ING, base);
        let regular = past(base);
        self.add_form(forms.next().unwrap_or(&regular), Class::V_PAST, base);
        self.add_form(forms.next().unwrap_or(&regular), Class::V_PART, base);
    }
}

/// Words that can stand for others wherever these occur: what is replaced, word by word, and by what. Longest first.
static SYNONYMS: LazyLock<Vec<(Vec<&'static str>, &'static str)>> = LazyLock::new(|| {
    let pair = |line: &'static str| line.split_once(" => ").expect("each line of synonyms.txt has an arrow");
    let mut pairs: Vec<_> = lines(include_str!("words/synonyms.txt"))
        .map(pair)
        .map(|(old, new)| (old.split(' ').collect::<Vec<_>>(), new))
        .collect();
    pairs.sort_by_key(|(old, _)| std::cmp::Reverse(old.len()));
    pairs
});

/// The words that these small words begin with and that others can stand for: how many, and the others.
pub(super) fn synonym<'w>(words: impl Iterator<Item = &'w str> + Clone) -> Option<(usize, &'static str)> {
    let fits = |(old, _): &&(Vec<&'static str>, &'static str)| {
        let mut words = words.clone();
        old.iter().all(|old| words.next() == Some(old))
    };
    SYNONYMS.iter().find(fits).map(|(old, new)| (old.len(), *new))
}

/// What can't hold where this word holds.
static OPPOSITES: LazyLock<HashMap<&'static str, &'static str>> = LazyLock::new(|| {
    let mut pairs = HashMap::new();
    for (one, other) in lines(include_str!("words/opposites.txt")).filter_map(|line| line.split_once(' ')) {
        pairs.entry(one).or_insert(other);
        pairs.entry(other).or_insert(one);
    }
    pairs
});

/// The word that can't hold where this lower-case word holds.
pub(super) fn opposite(lower: &str) -> Option<&'static str> {
    OPPOSITES.get(lower).copied()
}

fn vowel(c: u8) -> bool {
    matches!(c, b'a' | b'e' | b'i' | b'o' | b'u')
}

/// Whether the last consonant is doubled before -ed and -ing: "stop", "permit"; not "visit", "open".
fn doubles(base: &str) -> bool {
    const STRESSED: &[&str] = &[
        "permit", "submit", "commit", "admit", "infer", "refer", "occur", "prefer", "transfer", "transmit",
        "regret", "control", "compel", "cancel", "travel", "label", "begin", "forget", "impel", "defer",
        "let", "cut", "set", "put", "run", "win", "get", "sit", "hit", "swim", "shut",
    ];
    let bytes = base.as_bytes();
    let n = bytes.len();
    let closed = n >= 3 && !vowel(bytes[n - 1]) && vowel(bytes[n - 2]) && !vowel(bytes[n - 3]);
    let short =
        bytes.iter().filter(|c| vowel(**c)).count() == 1 && !matches!(bytes[n - 1], b'w' | b'x' | b'y');
    closed && (short || STRESSED.contains(&base))
}

pub(super) fn third_person(base: &str) -> String {
    let bytes = base.as_bytes();
    let n = bytes.len();
    if base == "have" {
        "has".to_owned()
    } else if n >= 2 && bytes[n - 1] == b'y' && !vowel(bytes[n - 2]) {
        format!("{}ies", &base[..n - 1])
    } else if base.ends_with(['s', 'x', 'z', 'o']) || base.ends_with("ch") || base.ends_with("sh") {
        format!("{base}es")
    } else {
        format!("{base}s")
    }
}

fn past(base: &str) -> String {
    let bytes = base.as_bytes();
    let n = bytes.len();
    if base.ends_with('e') {
        format!("{base}d")
    } else if n >= 2 && bytes[n - 1] == b'y' && !vowel(bytes[n - 2]) {
        format!("{}ied", &base[..n - 1])
    } else if doubles(base) {
        format!("{base}{}ed", &base[n - 1..])
    } else {
        format!("{base}ed")
    }
}

fn ing(base: &str) -> String {
    let n = base.len();
    if base.ends_with("ie") {
        format!("{}ying", &base[..n - 2])
    } else if base.ends_with('e') && !base.ends_with("ee") {
        format!("{}ing", &base[..n - 1])
    } else if doubles(base) {
        format!("{base}{}ing", &base[n - 1..])
    } else {
        format!("{base}ing")
    }
}

/// The classes of a lower-case word.
pub(super) fn class_of(lower: &str) -> Class {
    if let Some(class) = LEXICON.classes.get(lower) {
        return *class;
    }
    if lower.contains('-')
        && lower.split('-').all(|part| LEXICON.classes.get(part).is_some_and(|class| class.any(Class::NUM)))
    {
        return Class::NUM;
    }
    if lower.len() > 4 && lower.ends_with("ly") && lower != "family" {
        return Class::ADV;
    }
    Class::default()
}

/// The base of a verb form: "went" gives "go".
pub(super) fn base_of(lower: &str) -> Option<&'static str> {
    LEXICON.bases.get(lower).map(String::as_str)
}

/// Whether a word that begins a sentence is written small inside one, as far as the word itself says.
pub(super) fn is_common(lower: &str) -> bool {
    const ENDINGS: &[&str] = &[
        "tion", "tions", "ment", "ments", "ness", "ity", "ities", "ance", "ence", "ing", "ists", "ers",
        "ors", "ology", "itis", "emia", "osis", "opathy", "ous", "ical", "able", "ible", "ages", "ings",
        "sion", "sions", "ology", "graphy",
    ];
    let class = class_of(lower);
    if class.any(Class::MONTH | Class::WEEKDAY | Class::PLACE | Class::TITLE) {
        return false;
    }
    class.any(Class::EVERYDAY)
        || ENDINGS.iter().any(|ending| lower.len() > ending.len() + 3 && lower.ends_with(ending))
}

/// Whether the word says nothing about what a text is about.
pub(super) fn is_stop(lower: &str) -> bool {
    lower.len() < 2 || class_of(lower).any(Class::CLOSED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verbs_are_inflected() {
        for (form, base) in [
            ("stopped", "stop"),
            ("visiting", "visit"),
            ("occurred", "occur"),
            ("studies", "study"),
            ("went", "go"),
            ("launched", "launch"),
            ("dying", "die"),
            ("reaches", "reach"),
            ("played", "play"),
            ("opened", "open"),
            ("showed", "show"),
            ("lying", "lie"),
            ("has", "have"),
            ("agreed", "agree"),
            ("focused", "focus"),
        ] {
            assert_eq!(base_of(form), Some(base), "{form}");
        }
        assert!(class_of("results").any(Class::V_NOUN) && class_of("provides").any(Class::V_S));
        assert!(!class_of("provides").any(Class::V_NOUN));
    }

    #[test]
    fn words_that_are_written_small_inside_a_sentence() {
        assert!(is_common("treatment") && is_common("the") && is_common("vaccination"));
        assert!(!is_common("russia") && !is_common("microsoft") && !is_common("monday"));
    }
}
