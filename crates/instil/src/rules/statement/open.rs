//! Statements that a sentence leaves open: a possibility made certain, some made most, a condition taken for a fact.

use super::{Maker, Statement, Truth};
use crate::rules::clause;
use crate::rules::text::{Sentence, Text, capitalised};
use crate::rules::words::{Class, is_stop};

impl Maker<'_, '_> {
    /// A statement that goes further than the hedged sentence.
    pub(super) fn open(&self, found: &mut Vec<Statement>) {
        let clause = self.clause;
        if clause.negated || !clause.plain {
            return;
        }
        let short_tokens = self.tokens(clause.short.clone());
        let short = self.words(clause.short.clone());
        let weak = short_tokens.iter().any(|token| token.class.any(Class::WEAK));
        let subject = self.tokens(clause.subject.clone());
        let plural = clause::is_plural(subject);
        if matches!(self.verb(), "may" | "might") && !weak && !clause.quantified && !self.decided_elsewhere()
        {
            self.add(found, self.say("will", &short), None, Truth::Open, "made certain");
        }
        let first = &subject[0];
        if clause.front.is_empty()
            && matches!(first.lower.as_str(), "some" | "many" | "several")
            && subject.len() > 1
            && subject[1].word
            && !subject[1].is("of")
            && !subject[1].class.any(Class::VAGUE | Class::CLOSED)
            && plural
            && !self.decided_elsewhere()
        {
            let verb = self.words(clause.verb..clause.verb + 1);
            let counted = self.words(clause.subject.start + 1..clause.subject.end);
            self.add(found, format!("Most {counted} {verb} {short}."), None, Truth::Open, "some to most");
        }
        let thought = short_tokens.windows(2).position(|pair| {
            matches!(pair[0].lower.as_str(), "thought" | "believed" | "suspected" | "considered")
                && pair[1].is("to")
        });
        let to_be = short_tokens.get(2).is_some_and(|be| be.is("be")) && short_tokens.len() > 4;
        if thought == Some(0) && matches!(self.verb(), "is" | "are") && to_be && !self.decided_elsewhere() {
            let rest = self.words(clause.short.start + 3..clause.short.end);
            self.add(found, self.say(self.verb(), &rest), None, Truth::Open, "made certain");
        }
    }

    /// Whether another sentence shares most of the words, and so may decide what this one leaves open.
    fn decided_elsewhere(&self) -> bool {
        let content: Vec<&str> = self
            .sentence
            .tokens
            .iter()
            .map(|token| token.lower.as_str())
            .filter(|word| !is_stop(word))
            .collect();
        self.text.sentences.iter().filter(|other| other.index != self.sentence.index).any(|other| {
            let shared =
                content.iter().filter(|word| other.tokens.iter().any(|token| token.lower == **word)).count();
            shared * 2 > content.len()
        })
    }
}

/// "If X is terminated, ..." leaves open whether it is.
pub(super) fn conditional(text: &Text, sentence: &Sentence, found: &mut Vec<Statement>) {
    let tokens = &sentence.tokens;
    if !sentence.alone || !tokens[0].is("if") {
        return;
    }
    let Some(comma) = tokens.iter().position(|token| token.is(",")) else { return };
    let condition = &tokens[1..comma];
    if !(5..=18).contains(&condition.len()) || tokens.len() - comma < 5 {
        return;
    }
    let Some(clause) = clause::find(condition) else { return };
    let be = condition[clause.verb].lower.as_str();
    if !matches!(be, "is" | "are")
        || clause.negated
        || !clause.plain
        || clause.quantified
        || clause.short.len() < 3
    {
        return;
    }
    if condition.iter().any(|token| matches!(token.lower.as_str(), "or" | "any" | "it" | "they" | "such"))
        || condition[0].is("a")
        || condition[0].is("an")
    {
        return;
    }
    let subject = text.words(&condition[clause.subject.clone()]);
    let rest = text.words(&condition[clause.short.clone()]);
    let participle = condition[clause.short.start].class.any(Class::V_PART)
        && !condition[clause.short.start].class.any(Class::V_BASE)
        && !matches!(
            condition[clause.short.start].lower.as_str(),
            "located" | "interested" | "concerned" | "based" | "required"
        );
    let verb = match (participle, be) {
        (true, "is") => "has been",
        (true, _) => "have been",
        (false, be) => be,
    };
    let statement = format!("{} {verb} {rest}.", capitalised(&subject));
    found.push(Statement {
        base: statement.clone(),
        text: statement,
        truth: Truth::Open,
        question: None,
        sentence: sentence.index,
        form: "condition",
    });
}
