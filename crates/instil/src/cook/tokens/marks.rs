//! Tokens that are no words: punctuation, labels, numbers, yes and no.

/// How many numbers there are marks for: 0 to one less.
pub const NUMBERS: u32 = 1000;
/// How many letters there are marks for.
const LETTERS: u32 = 26;
/// Rhyme schemes of a poem of four lines.
pub const SCHEMES: [&str; 3] = ["AABB", "ABAB", "ABBA"];

/// A token that is no word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// A full stop.
    Stop,
    /// A colon.
    Colon,
    /// `_`, in the place of a word that is to be found.
    Blank,
    /// `Yes` or `No`.
    Same(bool),
    /// `yes` or `no`.
    Holds(bool),
    /// A letter from A on.
    Letter(u32),
    /// A rhyme scheme, by its place in [`SCHEMES`].
    Scheme(u32),
    /// A whole number below [`NUMBERS`].
    Number(u32),
}

impl Mark {
    /// Every mark, in the order of their places.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        let first = [
            Self::Stop,
            Self::Colon,
            Self::Blank,
            Self::Same(true),
            Self::Same(false),
            Self::Holds(true),
            Self::Holds(false),
        ];
        let letters = (0..LETTERS).map(Self::Letter);
        let schemes = (0..SCHEMES.len() as u32).map(Self::Scheme);
        first.into_iter().chain(letters).chain(schemes).chain((0..NUMBERS).map(Self::Number))
    }

    /// Its place among all marks. A letter, scheme or number that there is no mark for is the last of its kind.
    pub(super) fn place(self) -> u32 {
        const SCHEME: u32 = 7 + LETTERS;
        const NUMBER: u32 = SCHEME + SCHEMES.len() as u32;
        match self {
            Self::Stop => 0,
            Self::Colon => 1,
            Self::Blank => 2,
            Self::Same(is) => 4 - u32::from(is),
            Self::Holds(is) => 6 - u32::from(is),
            Self::Letter(letter) => 7 + letter.min(LETTERS - 1),
            Self::Scheme(scheme) => SCHEME + scheme.min(SCHEMES.len() as u32 - 1),
            Self::Number(number) => NUMBER + number.min(NUMBERS - 1),
        }
    }

    /// How it is written.
    pub(super) fn text(self) -> String {
        let word = |is: bool, yes: &str, no: &str| if is { yes } else { no }.to_owned();
        match self {
            Self::Stop => ".".into(),
            Self::Colon => ":".into(),
            Self::Blank => " _".into(),
            Self::Same(is) => word(is, " Yes", " No"),
            Self::Holds(is) => word(is, " yes", " no"),
            Self::Letter(letter) => format!(" {}", char::from(b'A' + letter as u8)),
            Self::Scheme(scheme) => format!(" {}", SCHEMES[scheme as usize]),
            Self::Number(number) => format!(" {number}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_those_of_the_list() {
        for (place, mark) in Mark::all().enumerate() {
            assert_eq!(mark.place() as usize, place, "{mark:?}");
        }
        assert_eq!(Mark::Number(u32::MAX).text(), format!(" {}", u32::MAX));
        assert_eq!(Mark::Number(u32::MAX).place(), Mark::Number(NUMBERS - 1).place());
    }
}
