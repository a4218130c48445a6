//! A passage as the rules see it: sentences, words, values, and which sentences are fit for use.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use super::clause::{self, Clause};
use super::value::{self, Value};
use super::words::{Class, class_of, is_common, is_stop};
use crate::sentence::{MAY_BE_LAST, sentences};

/// One word, number or mark.
#[derive(Clone, Debug)]
pub(super) struct Token {
    /// Its bytes in the passage.
    pub(super) span: Range<usize>,
    /// Its letters in lower case; a mark as it is.
    pub(super) lower: String,
    /// Its word classes.
    pub(super) class: Class,
    /// Whether it begins with a capital.
    pub(super) capital: bool,
    /// Whether it has letters or digits.
    pub(super) word: bool,
    /// Whether it begins with a digit.
    pub(super) digit: bool,
    /// Whether it has two letters or more, all capital.
    pub(super) shouted: bool,
}

impl Token {
    /// Whether it is this mark or lower-case word.
    pub(super) fn is(&self, what: &str) -> bool {
        self.lower == what
    }
}

/// A sentence and what is known about it.
#[derive(Debug)]
pub(super) struct Sentence {
    /// Its place among the sentences of the passage.
    pub(super) index: usize,
    /// The statement in it: without list number, glued heading, connective, and final stop.
    pub(super) core: Range<usize>,
    /// The tokens of the core.
    pub(super) tokens: Vec<Token>,
    /// Whether it is a whole, ordinary sentence.
    pub(super) clean: bool,
    /// Whether it can be understood without the sentences before it.
    pub(super) alone: bool,
    /// Subject and verb, where they are certain.
    pub(super) clause: Option<Clause>,
    /// Numbers, dates, names and phrases in it.
    pub(super) values: Vec<Value>,
}

/// A passage, analysed once for all the tasks made of it.
#[derive(Debug)]
pub(super) struct Text<'a> {
    /// The passage.
    pub(super) text: &'a str,
    /// Its sentences in order, with those that can't be used.
    pub(super) sentences: Vec<Sentence>,
    /// How often each word that is no stop word occurs.
    pub(super) counts: HashMap<String, u32>,
    /// All words in order, lower-case, each with a blank before and after: to find phrases in.
    flat: String,
    /// Whether it reads as a contract, where "may not" forbids.
    pub(super) legal: bool,
    /// Words seen capitalised inside a sentence, and words seen small.
    names: HashSet<String>,
    small: HashSet<String>,
}

impl<'a> Text<'a> {
    /// Analyses a passage.
    pub(super) fn new(text: &'a str) -> Self {
        let mut this = Self {
            text,
            sentences: Vec::new(),
            counts: HashMap::new(),
            flat: String::from(" "),
            legal: false,
            names: HashSet::new(),
            small: HashSet::new(),
        };
        let spans = sentences(text);
        let tokens: Vec<Vec<Token>> = spans.iter().map(|span| tokenize(text, span.clone())).collect();
        for list in &tokens {
            this.count(list);
        }
        this.legal =
            tokens.iter().flatten().filter(|token| token.class.any(Class::LEGAL)).take(2).count() == 2;
        for (span, tokens) in spans.into_iter().zip(tokens) {
            let sentence = this.analyse(this.sentences.len(), span, tokens);
            this.sentences.push(sentence);
        }
        this
    }

    fn count(&mut self, tokens: &[Token]) {
        for (place, token) in tokens.iter().enumerate().filter(|(_, token)| token.word) {
            self.flat.push_str(&token.lower);
            self.flat.push(' ');
            if !is_stop(&token.lower) {
                *self.counts.entry(token.lower.clone()).or_default() += 1;
            }
            let opens = place == 0 || !tokens[place - 1].word && !tokens[place - 1].is(",");
            if !token.capital {
                self.small.insert(token.lower.clone());
            } else if !opens {
                self.names.insert(token.lower.clone());
            }
        }
    }

    fn analyse(&self, index: usize, span: Range<usize>, mut tokens: Vec<Token>) -> Sentence {
        let ends = self.text[span.clone()].ends_with('.') && !self.text[span.clone()].ends_with("..");
        if tokens.last().is_some_and(|token| token.is(".")) {
            tokens.pop();
        }
        let first = clean::core_start(&tokens);
        tokens.drain(..first);
        let core = match (tokens.first(), tokens.last()) {
            (Some(first), Some(last)) => first.span.start..last.span.end,
            _ => span.start..span.start,
        };
        let headline = index == 0 && self.text.len() < 700 && clean::is_headline(&tokens);
        let cut_short = tokens.last().is_some_and(|token| MAY_BE_LAST.contains(&token.lower.as_str()));
        let clean = ends && !headline && !cut_short && clean::is_clean(&self.text[core.clone()], &tokens);
        let alone = clean && clean::is_alone(&tokens);
        let values = if clean { value::values(self, &tokens) } else { Vec::new() };
        let clause = if alone { clause::find(&tokens) } else { None };
        Sentence { index, core, tokens, clean, alone, clause, values }
    }

    /// The bytes of a range of tokens with each run of blanks as one.
    pub(super) fn words(&self, tokens: &[Token]) -> String {
        match (tokens.first(), tokens.last()) {
            (Some(first), Some(last)) => collapse(&self.text[first.span.start..last.span.end]),
            _ => String::new(),
        }
    }

    /// How often the words of these tokens occur in the passage, one after the other.
    pub(super) fn times(&self, tokens: &[Token]) -> usize {
        let mut phrase = String::from(" ");
        for token in tokens.iter().filter(|token| token.word) {
            phrase.push_str(&token.lower);
            phrase.push(' ');
        }
        if phrase.len() < 3 { 0 } else { self.flat.matches(phrase.as_str()).count() }
    }

    /// How often these words occur in the passage, one after the other.
    pub(super) fn occurrences(&self, phrase: &str) -> usize {
        let phrase = flat(phrase);
        if phrase.len() < 3 {
            return 0;
        }
        // Phrases can share a blank ("a a a"), which `matches` would step over; that only undercounts repetition.
        self.flat.matches(phrase.as_str()).count()
    }

    /// The phrase with its first letter as it is inside a sentence; `None` where that is not certain.
    pub(super) fn small_start(&self, tokens: &[Token]) -> Option<String> {
        let first = tokens.first()?;
        let words = self.words(tokens);
        if !first.capital || first.is("i") {
            return Some(words);
        }
        let source = &self.text[first.span.clone()];
        if source.chars().skip(1).any(|c| c.is_uppercase() || c.is_ascii_digit()) {
            return Some(words);
        }
        let closed = first.class.any(Class::CLOSED | Class::NUM | Class::ORD);
        let seen_small = self.small.contains(&first.lower);
        let seen_name = self.names.contains(&first.lower);
        if closed || (seen_small && !seen_name) || (!seen_name && is_common(&first.lower)) {
            // A capitalised word after a common one: a heading or a name such as "General Motors".
            if !closed
                && tokens.get(1).is_some_and(|next| {
                    next.capital
                        && next.lower.len() > 2
                        && !self.small.contains(&next.lower)
                        && !next.is("dna")
                })
            {
                return None;
            }
            let mut chars = words.chars();
            let head = chars.next()?;
            return Some(head.to_lowercase().chain(chars).collect());
        }
        seen_name.then_some(words)
    }

    /// Whether a word is seen capitalised inside a sentence and never small.
    pub(super) fn is_name(&self, lower: &str) -> bool {
        self.names.contains(lower) && !self.small.contains(lower)
    }

    /// Whether a word is seen small in the passage.
    pub(super) fn is_small(&self, lower: &str) -> bool {
        self.small.contains(lower)
    }

    /// The sentences that are clean.
    pub(super) fn clean(&self) -> impl Iterator<Item = &Sentence> {
        self.sentences.iter().filter(|sentence| sentence.clean)
    }
}

/// Each run of blanks as one blank.
pub(super) fn collapse(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for part in text.split_whitespace() {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(part);
    }
    out
}

/// The words of a text in lower case, each with a blank before and after.
pub(super) fn flat(text: &str) -> String {
    let mut out = String::from(" ");
    for token in tokenize(text, 0..text.len()).iter().filter(|token| token.word) {
        out.push_str(&token.lower);
        out.push(' ');
    }
    out
}

/// Capital first letter.
pub(super) fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

/// Cuts a range of the text into words, numbers and marks.
pub(super) fn tokenize(text: &str, range: Range<usize>) -> Vec<Token> {
    let mut tokens = Vec::with_capacity(range.len() / 5);
    let mut at = range.start;
    while at < range.end {
        let c = text[at..].chars().next().expect("at is inside the text, on a character");
        if c.is_whitespace() {
            at += c.len_utf8();
            continue;
        }
        let word = c.is_alphanumeric();
        let end = if word { word_end(text, at, range.end) } else { at + c.len_utf8() };
        let lower = text[at..end].to_lowercase().replace('’', "'");
        // "US" is no pronoun and "WHO" asks nothing.
        let letters = text[at..end].chars().filter(|c| c.is_alphabetic());
        let shouted = letters.clone().count() >= 2 && letters.clone().all(char::is_uppercase);
        let acronym = shouted && text[at..end].chars().all(|c| c.is_uppercase() || c == '.');
        let class = if word && !acronym { class_of(&lower) } else { Class::default() };
        tokens.push(Token {
            span: at..end,
            lower,
            class,
            capital: c.is_uppercase(),
            word,
            digit: c.is_ascii_digit(),
            shouted,
        });
        at = end;
    }
    tokens
}

/// Where the word at `at` ends: inner apostrophes, hyphens, slashes and stops belong to it, and a
/// comma between digits.
fn word_end(text: &str, at: usize, limit: usize) -> usize {
    let mut end = at;
    let mut chars = text[at..limit].chars().peekable();
    let mut last = ' ';
    while let Some(c) = chars.next() {
        let inner = match c {
            c if c.is_alphanumeric() => true,
            '\'' | '’' | '-' | '.' | '/' | '&' => chars.peek().is_some_and(|next| next.is_alphanumeric()),
            ',' => last.is_ascii_digit() && chars.peek().is_some_and(char::is_ascii_digit),
            _ => false,
        };
        if !inner {
            break;
        }
        end += c.len_utf8();
        last = c;
    }
    end
}

mod clean;
