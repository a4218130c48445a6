//! Statements that conflict with a sentence: negated, with an opposite, with another number.

use super::{Maker, Statement, Truth};
use crate::rules::clause::Verb;
use crate::rules::value::{Kind, Value};
use crate::rules::words::Class;

impl Maker<'_, '_> {
    /// Whether turning the verb round turns the meaning round.
    fn negatable(&self) -> bool {
        let clause = self.clause;
        let subject = self.tokens(clause.subject.clone());
        let first = &subject[0];
        let counted =
            first.digit || first.class.any(Class::NUM | Class::QUANT) || first.is("a") || first.is("an");
        let past = matches!(self.verb(), "was" | "were" | "had")
            || matches!(clause.kind, Verb::Lexical { aux: "did", .. });
        let some = counted && (past || !first.class.any(Class::DET));
        let hedged = matches!(self.verb(), "might" | "could" | "would")
            || (self.verb() == "may" && !self.party() && !self.text.legal);
        let scope =
            self.tokens(clause.short.clone()).iter().any(|token| token.class.any(Class::SCOPE | Class::NEG));
        let to = self.sentence.tokens[clause.short.start].is("to")
            // "was not found in 52 patients" may be true though it was found in 53.
            || self.tokens(clause.short.clone()).iter().any(|token| token.digit || token.class.any(Class::NUM));
        let some = some || to || subject.iter().any(|token| token.class.any(Class::SCOPE));
        clause.plain
            && !clause.negated
            && !clause.quantified
            && !some
            && !hedged
            && !scope
            && !(first.is("we") && self.verb() == "may")
    }

    pub(super) fn negated(&self, found: &mut Vec<Statement>) {
        let clause = self.clause;
        let short = self.words(clause.short.clone());
        if self.negatable() {
            let verb = match clause.kind {
                Verb::Aux if self.verb() == "can" => "cannot".to_owned(),
                Verb::Aux => format!("{} not", self.verb()),
                Verb::Lexical { aux, base } => format!("{aux} not {base}"),
            };
            self.add(found, self.say(&verb, &short), None, Truth::Conflicts, "negated");
        }
        self.opposite(found);
        // A prohibition turned into its opposite.
        let rest = self.tokens(clause.short.clone());
        let polar = rest.iter().any(|token| {
            matches!(
                token.lower.as_str(),
                "any"
                    | "either"
                    | "yet"
                    | "nor"
                    | "unless"
                    | "until"
                    | "except"
                    | "without"
                    | "other"
                    | "only"
                    | "but"
                    | "if"
                    | "because"
                    | "necessarily"
                    | "all"
                    | "anyone"
                    | "anything"
                    | "ever"
                    | "always"
                    | "every"
            )
        });
        if rest[0].is("not")
            && !polar
            && clause.plain
            && !clause.quantified
            && matches!(self.verb(), "shall" | "must" | "is" | "are" | "was" | "were" | "will")
        {
            let rest = self.words(clause.short.start + 1..clause.short.end);
            self.add(found, self.say(self.verb(), &rest), None, Truth::Conflicts, "un-negated");
        }
    }

    /// A word near the verb, or the verb, replaced by its opposite: "was higher", "rose".
    fn opposite(&self, found: &mut Vec<Statement>) {
        let clause = self.clause;
        let subject = &self.sentence.tokens[clause.subject.start];
        let hedged = matches!(self.verb(), "may" | "can" | "might" | "could");
        let some = subject.class.any(Class::NUM) || subject.digit || clause.quantified;
        if !clause.plain || clause.negated || hedged || some {
            return;
        }
        let verb = self.words(clause.verb..clause.verb + 1);
        if let (Verb::Lexical { .. }, Some(other)) = (clause.kind, crate::rules::words::opposite(self.verb()))
        {
            self.add(
                found,
                self.say(other, &self.words(clause.short.clone())),
                None,
                Truth::Conflicts,
                "opposite",
            );
            return;
        }
        let be = self.sentence.tokens[clause.verb].class.any(Class::BE);
        let near = clause.short.start..(clause.short.start + 3).min(clause.short.end);
        for at in near.filter(|_| be) {
            let token = &self.sentence.tokens[at];
            let Some(other) = crate::rules::words::opposite(&token.lower).filter(|_| !token.capital) else {
                // Only adverbs may stand between the verb and the word.
                if token.class.any(Class::ADV) { continue } else { break }
            };
            let next = self.sentence.tokens.get(at + 1);
            let alone =
                next.is_none_or(|next| !next.word || next.class.any(Class::PREP | Class::CONJ | Class::SUB));
            let first =
                at == clause.short.start || self.sentence.tokens[clause.short.start].class.any(Class::ADV);
            let idiom = next.is_some_and(|next| next.is("up") || next.is("down"));
            if alone && first && !idiom {
                let (start, end) = (self.words(clause.short.start..at), self.words(at + 1..clause.short.end));
                let rest = tidy(crate::rules::text::collapse(&format!("{start} {other} {end}")).as_str());
                self.add(found, self.say(&verb, &rest), self.ask(&rest), Truth::Conflicts, "opposite");
            }
            break;
        }
    }

    /// A number, date or share put in the place of another.
    pub(super) fn altered(&self, found: &mut Vec<Statement>) {
        let clause = self.clause;
        let all = self.tokens(clause.subject.start..clause.short.end);
        let bounded = all.iter().any(|token| token.class.any(Class::BOUND));
        if bounded
            || clause.negated
            || !clause.plain
            || matches!(self.verb(), "may" | "can" | "might" | "could")
        {
            return;
        }
        for value in &self.sentence.values {
            if value.tokens.end > clause.short.end
                || value.tokens.start < clause.subject.start
                || self.text.occurrences(&value.text) > 1
            {
                continue;
            }
            let Some(other) = self.other(value) else { continue };
            let swap = |range: std::ops::Range<usize>| {
                if value.tokens.start >= range.start && value.tokens.end <= range.end {
                    let (start, end) = (
                        self.words(range.start..value.tokens.start),
                        self.words(value.tokens.end..range.end),
                    );
                    Some(format!("{start} {other} {end}").trim().to_owned())
                } else {
                    None
                }
            };
            let Some(short) = swap(clause.short.clone()) else { continue };
            let verb = self.words(clause.verb..clause.verb + 1);
            let short = tidy(&short);
            self.add(found, self.say(&verb, &short), self.ask(&short), Truth::Conflicts, "altered");
        }
    }

    /// Another value of the same kind and shape from the passage, else a number near this one.
    fn other(&self, value: &Value) -> Option<String> {
        if matches!(value.kind, Kind::Name | Kind::Phrase | Kind::Quoted) {
            return None;
        }
        let here = self.words(0..self.sentence.tokens.len());
        let alike = |other: &&Value| {
            std::mem::discriminant(&other.kind) == std::mem::discriminant(&value.kind)
                && shape(&other.text) == shape(&value.text)
                && other.text != value.text
                && !crate::rules::question::occurs(&here, &other.text)
        };
        let found = self.text.clean().flat_map(|sentence| &sentence.values).find(alike);
        found.map(|value| value.text.clone()).or_else(|| near(value))
    }
}

/// Blanks before commas and signs, left by a swap, taken out.
fn tidy(text: &str) -> String {
    text.replace(" ,", ",").replace(" )", ")").replace("( ", "(").replace(" %", "%")
}

/// Digits as 0 and other letters as they are, shortened: values of one shape can stand for each other.
fn shape(text: &str) -> (usize, bool, bool) {
    let words = text.split_whitespace().count();
    (words, text.starts_with(|c: char| c.is_ascii_digit() || c == '$'), text.contains('.'))
}

/// A whole number near the one in the value, in the same words around it.
fn near(value: &Value) -> Option<String> {
    let digits: String =
        value.text.chars().skip_while(|c| !c.is_ascii_digit()).take_while(char::is_ascii_digit).collect();
    let tail_digit = value.text.replacen(&digits, "", 1).chars().any(|c| c.is_ascii_digit());
    let number: u32 = digits.parse().ok()?;
    if tail_digit || number < 2 || digits.starts_with('0') {
        return None;
    }
    let other = match value.kind {
        Kind::Percent => {
            if number > 50 {
                number - 20
            } else {
                number + 20
            }
        }
        Kind::Span | Kind::Count(_) | Kind::Measure(_) => {
            if number < 10 {
                number + 2
            } else {
                number * 2
            }
        }
        Kind::Date if number > 1500 => number - 4,
        _ => return None,
    };
    Some(value.text.replacen(&digits, &other.to_string(), 1))
}
