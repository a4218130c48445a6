//! Statements that follow from a sentence: kept, shortened, in other words, a part of it.

use super::{Maker, Statement, Truth};
use crate::rules::clause::{self, Verb};
use crate::rules::text::{Token, capitalised};
use crate::rules::words::{Class, third_person};

impl Maker<'_, '_> {
    pub(super) fn kept(&self, found: &mut Vec<Statement>) {
        if !self.clause.plain {
            return;
        }
        let verb = self.sentence.tokens[self.clause.verb].clone();
        let verb_text = self.text.words(std::slice::from_ref(&verb));
        let short = self.words(self.clause.short.clone());
        let form = if self.clause.short.len() < self.clause.rest.len() { "shortened" } else { "kept" };
        let rest_tokens = self.tokens(self.clause.short.clone());
        self.add(found, self.say(&verb_text, &short), self.ask(&short), Truth::Follows, form);
        let plural = clause::is_plural(self.tokens(self.clause.subject.clone()));
        let be = if plural { "are" } else { "is" };
        let agent = self.clause.person;
        let not = rest_tokens[0].is("not");
        let after =
            if not { self.words(self.clause.short.start + 1..self.clause.short.end) } else { short.clone() };
        // "You may be asked" and "you may need surgery" permit nothing.
        let state = matches!(
            rest_tokens[usize::from(not).min(rest_tokens.len() - 1)].lower.as_str(),
            "be" | "have"
                | "need"
                | "experience"
                | "notice"
                | "find"
                | "receive"
                | "see"
                | "feel"
                | "lose"
                | "wish"
        );
        let reworded = match (verb.lower.as_str(), not) {
            ("shall", false) => Some(if agent { "must" } else { "will" }.to_owned()),
            ("must", false) if agent => Some(format!("{be} required to")),
            ("shall", true) => Some("must not".to_owned()),
            ("may" | "must", true) if agent && !state => Some(format!("{be} not allowed to")),
            ("may", false) if agent && self.party() && !state => Some(format!("{be} allowed to")),
            _ => None,
        };
        if let Some(verb) =
            reworded.filter(|_| !(rest_tokens[0].class.any(Class::ADV) || self.clause.quantified && not))
        {
            self.add(found, self.say(&verb, &after), None, Truth::Follows, "reworded");
        }
    }

    /// The same in other words: the date moved to the other end, the passive made active.
    pub(super) fn reworded(&self, found: &mut Vec<Statement>) {
        let clause = self.clause;
        if !clause.plain {
            return;
        }
        let verb = self.words(clause.verb..clause.verb + 1);
        let short = self.tokens(clause.short.clone());
        if !clause.front.is_empty()
            && !short.iter().any(|token| token.is(",") || token.class.any(Class::REL | Class::SUB))
        {
            let subject = self.words(clause.subject.clone());
            let front = self.words(clause.front.clone());
            let mut chars = front.chars();
            let small: String =
                chars.next().into_iter().flat_map(char::to_lowercase).chain(chars.clone()).collect();
            let text =
                format!("{} {verb} {} {small}.", capitalised(&subject), self.words(clause.short.clone()));
            self.add(found, text, None, Truth::Follows, "moved");
        }
        let Some((agent, participle)) = self.passive() else { return };
        let Some(base) = crate::rules::words::base_of(&participle.lower) else { return };
        let Some(small) = self.text.small_start(self.tokens(clause.subject.clone())) else { return };
        let active = match verb.as_str() {
            "is" | "are" if clause::is_plural(agent) => base.to_owned(),
            "is" | "are" => third_person(base),
            "was" | "were" if participle.lower.ends_with("ed") => participle.lower.clone(),
            _ => return,
        };
        if clause.front.is_empty() && !clause.negated {
            let text = format!("{} {active} {small}.", capitalised(&self.text.words(agent)));
            self.add(found, text, None, Truth::Follows, "active");
        }
    }

    /// Words replaced by others that mean the same.
    pub(super) fn synonyms(&self, found: &mut Vec<Statement>) {
        let clause = self.clause;
        if !clause.plain {
            return;
        }
        let tokens = self.tokens(clause.subject.start..clause.short.end);
        let mut text = self.words(clause.front.clone());
        if !text.is_empty() {
            text.push_str(", ");
        }
        let mut changed = 0;
        let mut at = 0;
        let mut end = None;
        while at < tokens.len() {
            let blank = end.is_some_and(|end| end < tokens[at].span.start);
            if blank {
                text.push(' ');
            }
            let small = !tokens[at].capital;
            let words = tokens[at..].iter().map(|token| token.lower.as_str());
            let (step, new) = match crate::rules::words::synonym(words).filter(|_| small) {
                Some((step, new)) => (step, Some(new)),
                None => (1, None),
            };
            let last = &tokens[at + step - 1];
            changed += usize::from(new.is_some());
            text.push_str(new.unwrap_or(&self.text.text[tokens[at].span.start..last.span.end]));
            end = Some(last.span.end);
            at += step;
        }
        if changed > 0 {
            self.add(found, format!("{}.", capitalised(&text)), None, Truth::Follows, "synonyms");
        }
    }

    /// A part that follows from the whole: "X is a rare disorder" of one "that affects the skin", one
    /// member of what is included.
    pub(super) fn parts(&self, found: &mut Vec<Statement>) {
        let clause = self.clause;
        if !clause.plain
            || clause.negated
            || clause.quantified
            || self.sentence.tokens[clause.subject.start].class.any(Class::PRON)
        {
            return;
        }
        let short = self.tokens(clause.short.clone());
        let verb = self.words(clause.verb..clause.verb + 1);
        let defines =
            self.sentence.tokens[clause.verb].class.any(Class::BE) && (short[0].is("a") || short[0].is("an"));
        let cut = short.iter().position(|token| {
            (token.class.any(Class::REL) && !token.is("how"))
                || matches!(token.lower.as_str(), "characterized" | "characterised" | "caused")
        });
        if let (true, Some(cut @ 4..)) = (defines, cut) {
            let before = &short[cut - 1];
            if before.word
                && !before.class.any(Class::CLOSED)
                && !before.lower.ends_with("ed")
                && !before.class.any(Class::VAGUE)
            {
                let rest = self.text.words(&short[..cut]);
                let question = self.ask(&rest);
                self.add(found, self.say(&verb, &rest), question, Truth::Follows, "part");
            }
        }
        let includes = matches!(clause.kind, Verb::Lexical { base: "include", .. })
            || (self.sentence.tokens[clause.verb].class.any(Class::MODAL) && short[0].is("include"));
        if includes {
            let skip = usize::from(short[0].is("include"));
            let list = &short[skip..];
            let first_comma = list.iter().position(|token| token.is(","));
            let joint = list.iter().rposition(|token| token.is("and") || token.is("or"));
            if let (Some(comma), Some(joint)) = (first_comma, joint) {
                let last = &list[joint + 1..];
                let simple = |item: &[Token]| {
                    (1..=4).contains(&item.len())
                        && item.iter().all(|token| {
                            token.word
                                && !token.class.any(Class::REL | Class::AUX | Class::CONJ | Class::PRON)
                        })
                };
                let item = if simple(last) && joint > comma && list[joint - 1].is(",") {
                    last
                } else {
                    &list[..comma]
                };
                if simple(item) {
                    let lead = self.text.words(&short[..skip]);
                    let rest = format!("{lead} {}", self.text.words(item));
                    let question = self.ask(rest.trim());
                    self.add(found, self.say(&verb, rest.trim()), question, Truth::Follows, "part");
                }
            }
        }
    }

    /// The agent and participle of "X is caused by Y", where nothing else follows.
    fn passive(&self) -> Option<(&[Token], &Token)> {
        let short = self.tokens(self.clause.short.clone());
        let (participle, by) = short.first().zip(short.get(1))?;
        let agent = short.get(2..).filter(|agent| !agent.is_empty() && agent.len() <= 9)?;
        let passive = self.sentence.tokens[self.clause.verb].class.any(Class::BE)
            && participle.class.any(Class::V_PART)
            && by.is("by");
        let subject = &self.sentence.tokens[self.clause.subject.start];
        let plain = |token: &Token| {
            token.word
                && !token
                    .class
                    .any(Class::REL | Class::SUB | Class::PRON | Class::AUX | Class::V_ING | Class::ADV)
                && !matches!(
                    token.lower.as_str(),
                    "its"
                        | "their"
                        | "at"
                        | "on"
                        | "during"
                        | "after"
                        | "before"
                        | "to"
                        | "from"
                        | "with"
                        | "for"
                        | "or"
                )
        };
        (passive
            && !subject.class.any(Class::PRON)
            && agent.iter().all(plain)
            && !agent[0].digit
            && !agent[0].class.any(Class::NUM))
        .then_some((agent, participle))
    }
}
