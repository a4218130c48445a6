//! A template as rows show it: constant texts, and slots between them.

use std::fmt;
use std::ops::Range;

use memchr::memmem::{self, Finder};
use serde::{Deserialize, Serialize};

/// Constant texts with slots between them; no two slots and no two texts are neighbours.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Pattern(Vec<Piece>);

/// A piece of a [`Pattern`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Piece {
    /// The same in every row.
    Text(String),
    /// What differs, by its name, which may be empty.
    Slot(String),
}

/// A text taken apart: where the content of each slot stands in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Apart {
    /// The bytes of each slot, in order.
    pub slots: Vec<Range<usize>>,
    /// Whether a constant stands in a slot, too, so that the text could be taken apart in another way. The first
    /// place was taken.
    pub is_ambiguous: bool,
}

/// What finds a pattern's constants in many texts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Finders(Vec<Finder<'static>>);

impl Pattern {
    /// The pattern of these pieces. Neighbouring texts become one, and empty ones none.
    ///
    /// # Panics
    /// When two slots are neighbours, between which nothing says where one ends.
    pub fn new(pieces: impl IntoIterator<Item = Piece>) -> Self {
        let mut joined: Vec<Piece> = Vec::new();
        for piece in pieces {
            match (joined.last_mut(), piece) {
                (_, Piece::Text(text)) if text.is_empty() => {}
                (Some(Piece::Text(before)), Piece::Text(text)) => before.push_str(&text),
                (Some(Piece::Slot(_)), Piece::Slot(name)) => {
                    panic!("nothing parts the slot `{name}` from that before it")
                }
                (_, piece) => joined.push(piece),
            }
        }
        Self(joined)
    }

    /// Its pieces.
    pub fn pieces(&self) -> &[Piece] {
        &self.0
    }

    /// The names of its slots.
    pub fn slots(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Slot(name) => Some(name.as_str()),
            Piece::Text(_) => None,
        })
    }

    /// Its constant texts.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Text(text) => Some(text.as_str()),
            Piece::Slot(_) => None,
        })
    }

    /// The same pattern with other names for its slots, in order.
    #[must_use]
    pub fn named(&self, names: &[String]) -> Self {
        let mut names = names.iter();
        let renamed = |piece: &Piece| match piece {
            Piece::Slot(name) => Piece::Slot(names.next().unwrap_or(name).clone()),
            text @ Piece::Text(_) => text.clone(),
        };
        Self(self.0.iter().map(renamed).collect())
    }

    /// Takes a text apart; none where its constants don't stand in it, in their order. What is found renders to the
    /// same bytes again: slots and constants cover the text without gap or overlap.
    pub fn apart(&self, text: &str) -> Option<Apart> {
        self.apart_by(text, |_, constant, within| memmem::find(within, constant))
    }

    /// [`apart`](Self::apart) with the constants' finders, made once for many texts.
    pub(crate) fn apart_with(&self, finders: &Finders, text: &str) -> Option<Apart> {
        self.apart_by(text, |at, _, within| finders.0[at].find(within))
    }

    /// The finders of the constants that stand between slots.
    pub(crate) fn finders(&self) -> Finders {
        let finders = self.between().map(|constant| Finder::new(constant).into_owned());
        Finders(finders.collect())
    }

    /// The constants that have a slot on both sides.
    fn between(&self) -> impl Iterator<Item = &str> {
        let last = self.0.len().saturating_sub(1);
        let inner = self.0.iter().enumerate().filter(move |(at, _)| (1..last).contains(at));
        inner.filter_map(|(_, piece)| match piece {
            Piece::Text(text) => Some(text.as_str()),
            Piece::Slot(_) => None,
        })
    }

    /// Takes a text apart; `find` says where in a part of it a constant begins, given the constant's number among
    /// those [`between`](Self::between) slots.
    fn apart_by(&self, text: &str, find: impl Fn(usize, &[u8], &[u8]) -> Option<usize>) -> Option<Apart> {
        let (mut at, mut end) = (0, text.len());
        let mut pieces = self.0.as_slice();
        if let [Piece::Text(first), rest @ ..] = pieces {
            at = text.starts_with(first.as_str()).then_some(first.len())?;
            pieces = rest;
        }
        if let [rest @ .., Piece::Text(last)] = pieces {
            // The end may not overlap the beginning.
            end = text.get(at..)?.ends_with(last.as_str()).then(|| text.len() - last.len())?;
            pieces = rest;
        }
        let mut slots = Vec::with_capacity(pieces.len().div_ceil(2));
        let mut is_ambiguous = false;
        let mut after = pieces.iter();
        let mut number = 0..;
        while let Some(piece) = after.next() {
            debug_assert!(
                matches!(piece, Piece::Slot(_)),
                "texts at both ends are taken, and pieces alternate"
            );
            let Some(Piece::Text(constant)) = after.next() else {
                slots.push(at..end);
                at = end;
                continue;
            };
            let number = number.next().expect("numbers don't end");
            let find = |at: usize| find(number, constant.as_bytes(), &text.as_bytes()[at..end]);
            let found = at + find(at)?;
            slots.push(at..found);
            at = found + constant.len();
            // Where the constant comes once more before the end, the boundary might be there.
            is_ambiguous |= find(at).is_some();
        }
        (at == end).then_some(Apart { slots, is_ambiguous })
    }

    /// The text that has these contents in its slots.
    pub fn put_together<'a>(&self, mut contents: impl Iterator<Item = &'a str>) -> String {
        let mut text = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(constant) => text.push_str(constant),
                Piece::Slot(_) => text.push_str(contents.next().unwrap_or_default()),
            }
        }
        text
    }

    /// Whether its constants hold a word.
    pub fn has_words(&self) -> bool {
        self.texts().any(|text| text.contains(char::is_alphanumeric))
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => f.write_str(&text.replace('{', "{{").replace('}', "}}"))?,
                Piece::Slot(name) => write!(f, "{{{name}}}")?,
            }
        }
        Ok(())
    }
}
