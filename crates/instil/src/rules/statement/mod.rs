//! Statements that a passage decides: kept or shortened ones follow from it, negated and altered
//! ones conflict with it, and those that make a possibility a fact it leaves open.

mod against;
mod follow;
mod open;

use super::clause::{self, Clause, Verb};
use super::text::{Sentence, Text, Token, capitalised};
use super::words::Class;

/// What the passage says about a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Truth {
    /// It follows.
    Follows,
    /// It conflicts.
    Conflicts,
    /// Neither.
    Open,
}

/// A statement about the passage.
#[derive(Clone, Debug)]
pub(super) struct Statement {
    /// The statement, with its full stop.
    pub(super) text: String,
    /// What the passage says about it.
    pub(super) truth: Truth,
    /// The sentence it was made of, without the clauses that can be left away.
    pub(super) base: String,
    /// The same as a yes-no question, where that is certain.
    pub(super) question: Option<String>,
    /// The sentence it was made of.
    pub(super) sentence: usize,
    /// Which pattern made it.
    pub(super) form: &'static str,
}

/// The forms that say the same as the sentence they were made of, and no less.
pub(super) const SAME: &[&str] = &["reworded", "moved", "active", "synonyms"];

/// Every statement that can be made of the passage.
pub(super) fn statements(text: &Text) -> Vec<Statement> {
    let mut found = Vec::new();
    for sentence in &text.sentences {
        if let Some(clause) = &sentence.clause {
            let maker = Maker { text, sentence, clause };
            maker.kept(&mut found);
            maker.reworded(&mut found);
            maker.synonyms(&mut found);
            maker.parts(&mut found);
            maker.negated(&mut found);
            maker.altered(&mut found);
            maker.open(&mut found);
        }
        open::conditional(text, sentence, &mut found);
    }
    found.retain(|statement| statement.text.split_whitespace().count() <= 32);
    found
}

struct Maker<'a, 't> {
    text: &'a Text<'t>,
    sentence: &'a Sentence,
    clause: &'a Clause,
}

impl Maker<'_, '_> {
    fn tokens(&self, range: std::ops::Range<usize>) -> &[Token] {
        &self.sentence.tokens[range]
    }

    fn words(&self, range: std::ops::Range<usize>) -> String {
        self.text.words(self.tokens(range))
    }

    fn verb(&self) -> &str {
        &self.sentence.tokens[self.clause.verb].lower
    }

    /// The statement out of its parts: date in front, subject, verb, rest.
    fn say(&self, verb: &str, rest: &str) -> String {
        let subject = self.words(self.clause.subject.clone());
        let front = self.words(self.clause.front.clone());
        let lead = if front.is_empty() {
            capitalised(&subject)
        } else {
            match self.text.small_start(self.tokens(self.clause.subject.clone())) {
                Some(small) => format!("{}, {small}", capitalised(&front)),
                None => format!("{}, {subject}", capitalised(&front)),
            }
        };
        super::text::collapse(&format!("{lead} {verb} {rest}.")).replace(" .", ".")
    }

    /// The yes-no question, for a subject that is not "we" or "you".
    fn ask(&self, rest: &str) -> Option<String> {
        let subject = self.tokens(self.clause.subject.clone());
        if subject[0].class.any(Class::PRON) || !self.clause.plain || self.clause.negated {
            return None;
        }
        let small = self.text.small_start(subject)?;
        let words = match self.clause.kind {
            Verb::Aux => format!("{} {small} {rest}?", clause::asked(self.verb(), self.clause.person)),
            Verb::Lexical { aux, base } => format!("{aux} {small} {base} {rest}?"),
        };
        let front = self.words(self.clause.front.clone());
        Some(if front.is_empty() { capitalised(&words) } else { format!("{}, {words}", capitalised(&front)) })
    }

    fn add(
        &self,
        found: &mut Vec<Statement>,
        text: String,
        question: Option<String>,
        truth: Truth,
        form: &'static str,
    ) {
        let verb = self.words(self.clause.verb..self.clause.verb + 1);
        let base = self.say(&verb, &self.words(self.clause.short.clone()));
        found.push(Statement { text, truth, base, question, sentence: self.sentence.index, form });
    }

    /// Whether the subject is one that permissions are given to.
    fn party(&self) -> bool {
        let head = clause::head(self.tokens(self.clause.subject.clone()));
        head.class.any(Class::PARTY)
    }
}
