//! Knobs: what can be set of a template, within which limits, and what is set.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use crate::error::{Error, Result, nearest};

/// Something of a template that can be set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Knob {
    /// Its name, as in `--set doc_qa.doc_len=200..400`.
    pub name: Cow<'static, str>,
    /// What it means, in one sentence.
    pub about: Cow<'static, str>,
    /// What its value is.
    pub kind: KnobKind,
    /// The value where nothing is set.
    pub default: Value,
    /// The least and the greatest value.
    pub limits: Value,
}

/// What the value of a [`Knob`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KnobKind {
    /// A number of things, or a range of which each sample draws one.
    Count,
    /// A probability or share, held in millionths.
    Share,
    /// One of these words, held as its place.
    Choice(&'static [&'static str]),
}

/// What a [`Knob`] is set to: all from `lo` to `hi`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Value {
    /// The least.
    pub lo: u32,
    /// The greatest.
    pub hi: u32,
}

impl Value {
    /// One number.
    pub const fn one(value: u32) -> Self {
        Self { lo: value, hi: value }
    }

    /// All from `lo` to `hi`.
    pub const fn range(lo: u32, hi: u32) -> Self {
        Self { lo, hi }
    }

    /// Whether it is one number.
    pub fn is_one(self) -> bool {
        self.lo == self.hi
    }
}

impl Knob {
    /// A number of things: by default `lo..hi`, at least `least` and at most `most`.
    pub const fn count(
        name: &'static str,
        about: &'static str,
        (lo, hi): (u32, u32),
        (least, most): (u32, u32),
    ) -> Self {
        Self {
            name: Cow::Borrowed(name),
            about: Cow::Borrowed(about),
            kind: KnobKind::Count,
            default: Value::range(lo, hi),
            limits: Value::range(least, most),
        }
    }

    /// A probability or share, by default `millionths` of a million.
    pub const fn share(name: &'static str, about: &'static str, millionths: u32) -> Self {
        Self {
            name: Cow::Borrowed(name),
            about: Cow::Borrowed(about),
            kind: KnobKind::Share,
            default: Value::one(millionths),
            limits: Value::range(0, 1_000_000),
        }
    }

    /// The same knob with another greatest value.
    #[must_use]
    pub const fn at_most(mut self, most: u32) -> Self {
        self.limits.hi = most;
        self
    }

    /// One of `words`, by default the first.
    pub const fn choice(name: &'static str, about: &'static str, words: &'static [&'static str]) -> Self {
        Self {
            name: Cow::Borrowed(name),
            about: Cow::Borrowed(about),
            kind: KnobKind::Choice(words),
            default: Value::one(0),
            limits: Value::range(0, words.len() as u32 - 1),
        }
    }

    /// Reads a value as a user writes it: `5`, `200..400` (both ends included), `0.15`, `text`.
    ///
    /// # Errors
    /// When it is nothing of the kind, or outside the limits.
    pub fn parse(&self, text: &str) -> Result<Value> {
        let text = text.trim();
        let wrong = |why: String| {
            Error::usage(format!("`{}` can't be `{text}`", self.name)).because(why).with_hint(self.hint())
        };
        if let KnobKind::Choice(words) = self.kind {
            let place = words.iter().position(|word| *word == text);
            return place
                .map(|place| Value::one(place as u32))
                .ok_or_else(|| wrong("there is no such choice".into()));
        }
        let (lo, hi) = text.split_once("..").map_or((text, text), |(lo, hi)| (lo.trim(), hi.trim()));
        let number = |text: &str| match self.kind {
            KnobKind::Share => millionths(text).ok_or_else(|| wrong(format!("`{text}` is no share"))),
            _ => text.parse().map_err(|_| wrong(format!("`{text}` is no whole number"))),
        };
        let value = Value::range(number(lo)?, number(hi)?);
        if value.lo > value.hi {
            return Err(wrong("the range ends before it begins".into()));
        }
        if value.lo < self.limits.lo || value.hi > self.limits.hi {
            return Err(wrong(format!("it must be within {}", self.show(self.limits))));
        }
        Ok(value)
    }

    /// A value as [`Knob::parse`] reads it.
    pub fn show(&self, value: Value) -> String {
        let one = |number: u32| match self.kind {
            KnobKind::Count => number.to_string(),
            KnobKind::Share => {
                let digits = format!("{:07}", number);
                let (whole, rest) = digits.split_at(digits.len() - 6);
                format!("{whole}.{rest}").trim_end_matches('0').trim_end_matches('.').to_owned()
            }
            KnobKind::Choice(words) => words.get(number as usize).copied().unwrap_or_default().to_owned(),
        };
        if value.is_one() { one(value.lo) } else { format!("{}..{}", one(value.lo), one(value.hi)) }
    }

    fn hint(&self) -> String {
        match self.kind {
            KnobKind::Count => {
                format!("give a number or a range such as `{}`", self.show(self.default))
            }
            KnobKind::Share => format!("give a share from 0 to 1, such as `{}`", self.show(self.default)),
            KnobKind::Choice(words) => format!("choose one of: {}", words.join(", ")),
        }
    }
}

/// A decimal number from 0 to 1 in millionths; none where it is no such number or has more than six decimals.
pub(super) fn millionths(text: &str) -> Option<u32> {
    let (whole, rest) = text.split_once('.').unwrap_or((text, ""));
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || text.ends_with('.') || rest.len() > 6 || !is_digits(whole) || !is_digits(rest) {
        return None;
    }
    let whole: u32 = whole.parse().ok()?;
    let rest: u32 = format!("{rest:0<6}").parse().ok()?;
    whole.checked_mul(1_000_000)?.checked_add(rest).filter(|all| *all <= 1_000_000)
}

/// What all knobs of a template are set to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    knobs: Arc<[Knob]>,
    values: Vec<Value>,
}

impl Settings {
    /// Every knob at its default.
    pub fn new(knobs: &[Knob]) -> Self {
        Self { knobs: knobs.into(), values: knobs.iter().map(|knob| knob.default).collect() }
    }

    /// Sets the knob `name` to a value as a user writes it.
    ///
    /// # Errors
    /// When there is no such knob, or when that is no value for it.
    pub fn set(&mut self, name: &str, value: &str) -> Result<()> {
        let Some(place) = self.knobs.iter().position(|knob| knob.name == name) else {
            let names = || self.knobs.iter().map(|knob| knob.name.as_ref());
            let all = names().collect::<Vec<_>>().join(", ");
            let hint = match nearest(name, names()) {
                Some(near) => format!("did you mean `{near}`? there are: {all}"),
                None => format!("there are: {all}"),
            };
            return Err(Error::usage(format!("there is no knob `{name}`")).with_hint(hint));
        };
        self.values[place] = self.knobs[place].parse(value)?;
        Ok(())
    }

    /// The value of the knob at this place of its template's list.
    pub fn at(&self, place: usize) -> Value {
        self.values[place]
    }

    /// All values, in the order of the knobs.
    pub fn values(&self) -> &[Value] {
        &self.values
    }

    /// Every knob with its value as a user would write it.
    pub fn shown(&self) -> impl Iterator<Item = (&str, String)> {
        self.knobs.iter().zip(&self.values).map(|(knob, value)| (knob.name.as_ref(), knob.show(*value)))
    }

    /// An error that names what can't be: `one` knob's value beside `other`'s.
    pub fn impossible(&self, one: usize, other: usize, why: &str) -> Error {
        let shown = |place: usize| {
            format!("{}={}", self.knobs[place].name, self.knobs[place].show(self.values[place]))
        };
        Error::usage(format!("`{}` and `{}` don't go together", shown(one), shown(other)))
            .because(why.to_owned())
            .with_hint(format!(
                "by default they are {} and {}",
                self.knobs[one].show(self.knobs[one].default),
                self.knobs[other].show(self.knobs[other].default)
            ))
    }
}

impl fmt::Display for Settings {
    /// `doc_len=50..400 question_len=3..8 …`: equal for equal settings, so that it can be part of a key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (name, value)) in self.shown().enumerate() {
            if place > 0 {
                f.write_str(" ")?;
            }
            write!(f, "{name}={value}")?;
        }
        Ok(())
    }
}

/// Settings that change with the index of a sample, from easy to hard or the other way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Curriculum {
    /// The settings of sample 0.
    pub from: Settings,
    /// The settings of sample `rows - 1` and all behind it.
    pub to: Settings,
    /// Over how many samples they change.
    pub rows: u64,
}

impl Curriculum {
    /// The same settings for every sample.
    pub fn constant(settings: Settings) -> Self {
        Self { from: settings.clone(), to: settings, rows: 0 }
    }

    /// Whether the settings never change.
    pub fn is_constant(&self) -> bool {
        self.from == self.to
    }

    /// The settings of sample `index`: both ends of each value move in equal steps, rounded down.
    pub fn at(&self, index: u64) -> Cow<'_, Settings> {
        if self.is_constant() || index == 0 {
            return Cow::Borrowed(&self.from);
        }
        if index + 1 >= self.rows {
            return Cow::Borrowed(&self.to);
        }
        let moved = |from: u32, to: u32| {
            let step = (i128::from(to) - i128::from(from)) * i128::from(index);
            (i128::from(from) + step.div_euclid(i128::from(self.rows - 1))) as u32
        };
        let pairs = self.from.values.iter().zip(&self.to.values);
        let values = pairs.map(|(a, b)| Value::range(moved(a.lo, b.lo), moved(a.hi, b.hi))).collect();
        Cow::Owned(Settings { knobs: Arc::clone(&self.from.knobs), values })
    }

    /// Asserts that it leads somewhere over at least two rows, and that a choice is the same at both ends, since there is
    /// nothing between two words.
    ///
    /// # Errors
    /// When it doesn't, or when the ends belong to different templates.
    pub fn check(&self) -> Result<()> {
        if self.from.knobs != self.to.knobs {
            return Err(Error::usage("a curriculum leads from settings to settings of one template"));
        }
        if !self.is_constant() && self.rows < 2 {
            return Err(Error::usage("a curriculum needs to know over how many rows it leads")
                .with_hint("say how many rows are made, or set one value for all"));
        }
        for (place, knob) in self.from.knobs.iter().enumerate() {
            let (from, to) = (self.from.values[place], self.to.values[place]);
            if matches!(knob.kind, KnobKind::Choice(_)) && from != to {
                return Err(Error::usage(format!(
                    "`{}` can't go from `{}` to `{}`",
                    knob.name,
                    knob.show(from),
                    knob.show(to)
                ))
                .because("there is nothing between two choices")
                .with_hint("make two runs, one of each"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOBS: &[Knob] = &[
        Knob::count("len", "How many.", (3, 8), (1, 100)),
        Knob::share("noise", "How often.", 150_000),
        Knob::choice("output", "What.", &["label", "text"]),
    ];

    #[test]
    fn values_are_read_as_they_are_shown() {
        let mut settings = Settings::new(KNOBS);
        assert_eq!(settings.to_string(), "len=3..8 noise=0.15 output=label");
        for (name, value) in
            [("len", "7"), ("len", "2..90"), ("noise", "1"), ("noise", "0"), ("noise", "0.000001..0.5")]
        {
            settings.set(name, value).unwrap();
            assert!(settings.to_string().contains(&format!("{name}={value}")), "{settings}");
        }
        settings.set("output", "text").unwrap();
        assert_eq!(settings.at(2), Value::one(1));
        settings.set("len", " 4 .. 5 ").unwrap();
        assert_eq!(settings.at(0), Value::range(4, 5));
    }

    #[test]
    fn what_is_no_value_is_named() {
        let mut settings = Settings::new(KNOBS);
        for (name, value) in [
            ("len", "0"),
            ("len", "8..3"),
            ("len", "1..101"),
            ("len", "x"),
            ("len", ""),
            ("noise", "1.1"),
            ("noise", "-0.1"),
            ("noise", "."),
            ("noise", "0.0000001"),
            ("output", "both"),
        ] {
            let refused = settings.set(name, value).map(|()| settings.to_string());
            assert!(refused.as_ref().is_err_and(|error| error.to_string().contains(name)), "{refused:?}");
        }
        let error = settings.set("lenn", "3").unwrap_err();
        assert_eq!(error.hint(), Some("did you mean `len`? there are: len, noise, output"));
    }

    #[test]
    fn a_curriculum_moves_from_end_to_end() {
        let (from, mut to) = (Settings::new(KNOBS), Settings::new(KNOBS));
        to.set("len", "1..100").unwrap();
        to.set("noise", "0.25").unwrap();
        let curriculum = Curriculum { from, to, rows: 101 };
        curriculum.check().unwrap();
        let at = |index| curriculum.at(index).to_string();
        assert_eq!(at(0), "len=3..8 noise=0.15 output=label");
        assert_eq!(at(50), "len=2..54 noise=0.2 output=label");
        assert_eq!(at(100), "len=1..100 noise=0.25 output=label");
        assert_eq!(at(u64::MAX - 1), at(100));
        assert!(Curriculum { rows: 1, ..curriculum.clone() }.check().is_err());
        let mut other = curriculum.to.clone();
        other.set("output", "text").unwrap();
        assert!(Curriculum { to: other, ..curriculum }.check().is_err());
    }
}
