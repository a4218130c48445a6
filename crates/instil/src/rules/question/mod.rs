//! Questions about a sentence that have one answer in it: gaps, and wh-questions where the rewriting is certain.

mod gap;

pub(super) use gap::{GAP, gaps};

use super::clause::{self, Clause, Verb};
use super::text::{Sentence, Text, Token, capitalised, flat};
use super::value::{Kind, Value};
use super::words::{Class, is_stop, third_person};

/// A question, its answer, and where both come from.
#[derive(Clone, Debug)]
pub(super) struct Question {
    /// The question, or for a gap the sentence with the gap in it.
    pub(super) text: String,
    /// The answer as it stands in the passage.
    pub(super) answer: String,
    /// The kind of value that the answer is, where it is one.
    pub(super) kind: Option<Kind>,
    /// The sentence.
    pub(super) sentence: usize,
    /// Which pattern made it; lists of drafts vary it.
    pub(super) form: &'static str,
}

/// Whether the words of `phrase` occur in `text`, one after the other.
pub(super) fn occurs(text: &str, phrase: &str) -> bool {
    let phrase = flat(phrase);
    phrase.trim().is_empty() || flat(text).contains(phrase.as_str())
}

/// Wh-questions.
pub(super) fn questions(text: &Text) -> Vec<Question> {
    let mut found = Vec::new();
    for sentence in &text.sentences {
        if let Some(clause) = &sentence.clause {
            let mut maker = Maker { text, sentence, clause, found: &mut found };
            maker.subject();
            maker.complement();
            maker.last_value();
            maker.agent();
            maker.object();
            maker.reason();
        }
    }
    found.retain(|question| question.text.split_whitespace().count() <= 26 && !question.answer.is_empty());
    found
}

struct Maker<'a, 't> {
    text: &'a Text<'t>,
    sentence: &'a Sentence,
    clause: &'a Clause,
    found: &'a mut Vec<Question>,
}

impl Maker<'_, '_> {
    fn tokens(&self, range: std::ops::Range<usize>) -> &[Token] {
        &self.sentence.tokens[range]
    }

    fn add(&mut self, question: String, answer: String, kind: Option<Kind>, form: &'static str) {
        // The answer must not be readable off the question.
        let content: Vec<String> =
            flat(&answer).split_whitespace().filter(|word| !is_stop(word)).map(str::to_owned).collect();
        let asked = flat(&question);
        let given = content.iter().filter(|word| asked.contains(&format!(" {word} "))).count();
        if content.is_empty()
            || given * 2 > content.len()
            || (given > 0 && content.len() <= 2)
            || self.text.occurrences(&answer) == 0
        {
            return;
        }
        self.found.push(Question { text: question, answer, kind, sentence: self.sentence.index, form });
    }

    /// "was the firm founded in": auxiliary, subject, and these words of the rest.
    fn inverted(&self, rest: &[Token]) -> Option<String> {
        let subject = self.text.small_start(self.tokens(self.clause.subject.clone()))?;
        let verb = clause::asked(&self.sentence.tokens[self.clause.verb].lower, self.clause.person);
        let rest = self.text.words(rest);
        let words = match self.clause.kind {
            Verb::Aux => format!("{verb} {subject} {rest}"),
            Verb::Lexical { aux, base } => format!("{aux} {subject} {base} {rest}"),
        };
        Some(words.trim_end().to_owned())
    }

    fn pronoun_subject(&self) -> bool {
        self.sentence.tokens[self.clause.subject.start].class.any(Class::PRON)
    }

    /// Whether another sentence says nearly the same, so that a question about this one has two answers.
    fn said_elsewhere(&self, words: &[Token]) -> bool {
        let content: Vec<&str> =
            words.iter().map(|token| token.lower.as_str()).filter(|word| !is_stop(word)).collect();
        if content.len() < 2 {
            return true;
        }
        self.text.sentences.iter().filter(|other| other.index != self.sentence.index).any(|other| {
            let shared =
                content.iter().filter(|word| other.tokens.iter().any(|token| token.lower == **word)).count();
            shared * 10 >= content.len() * 7
        })
    }

    /// "The recipient shall return ..." -> "Who shall return ...?"
    fn subject(&mut self) {
        let clause = self.clause;
        let subject = self.tokens(clause.subject.clone());
        let short = self.tokens(clause.short.clone());
        if !clause.plain
            || clause.negated
            || self.pronoun_subject()
            || self.said_elsewhere(short)
            || subject.len() > 9
        {
            return;
        }
        let refers = short.iter().any(|token| {
            let pronoun = token.class.any(Class::PRON | Class::THIS | Class::POSS)
                && !token.is("one")
                && !token.is("your")
                && !token.is("you");
            pronoun || matches!(token.lower.as_str(), "such" | "also" | "another" | "other")
        });
        let number_first = short[0].digit || short[0].is("reported") || short[0].class.any(Class::NUM);
        let numbered = subject.iter().skip(1).any(|token| token.digit && token.lower.len() < 3);
        let both_open = subject[0].class.any(Class::DET) && short[0].class.any(Class::DET);
        let anaphor = subject.len() <= 2 && subject[subject.len() - 1].class.any(Class::ANAPHOR)
            || clause::head(subject).class.any(Class::ANAPHOR) && subject[0].class.any(Class::DET);
        let includes = short[0].is("include")
            || matches!(clause.kind, Verb::Lexical { base: "include" | "be" | "have", .. });
        let dull = anaphor || includes || short[0].is("to");
        let says = short.iter().filter(|token| token.word && !is_stop(&token.lower)).count();
        let refers = refers || number_first || numbered || both_open || dull || says < 3;
        if refers {
            return;
        }
        let verb = &self.sentence.tokens[clause.verb];
        let short = self.text.words(short);
        if let Some(value) = self.value_at(clause.subject.start).cloned() {
            let counted = self.text.words(self.tokens(value.tokens.end..clause.subject.end));
            let verb = self.text.words(std::slice::from_ref(verb));
            let lead = match value.kind {
                Kind::Count(_) if !counted.is_empty() => "How many",
                Kind::Percent if counted.starts_with("of ") => "What percentage",
                _ => return,
            };
            let question = self.with_front(format!("{lead} {counted} {verb} {short}?"));
            return self.add(question, value.text, Some(value.kind), "how-many");
        }
        if clause.quantified || subject[0].class.any(Class::NUM | Class::THIS) || subject[0].digit {
            return;
        }
        let plural = clause::is_plural(subject);
        let who = clause.person;
        let word = match (clause.kind, plural) {
            (Verb::Lexical { base, aux }, _) if aux != "did" => third_person(base),
            (Verb::Aux, true) if verb.class.any(Class::BE | Class::HAVE) && !who => return,
            (Verb::Aux, true) if matches!(verb.lower.as_str(), "are" | "have") => return,
            (Verb::Aux, true) if !who && !verb.class.any(Class::MODAL) => return,
            _ => clause::asked(&verb.lower, who).to_owned(),
        };
        let lead = match who {
            true => "Who",
            false if self.maybe_person() => "Who or what",
            false => "What",
        };
        let question = self.with_front(format!("{lead} {word} {short}?"));
        let answer = self.text.words(self.tokens(clause.subject.clone()));
        self.add(question, answer, None, if who { "who" } else { "what-subject" });
    }

    /// Whether the subject is a bare name, which may be a person's or a thing's.
    fn maybe_person(&self) -> bool {
        let subject = self.tokens(self.clause.subject.clone());
        let head = clause::head(subject);
        let known = |token: &Token| {
            self.text.is_name(&token.lower)
                || !crate::rules::words::is_common(&token.lower) && !self.text.is_small(&token.lower)
        };
        let thing = head.shouted
            || head.digit
            || head.class.any(Class::PLACE)
            || crate::rules::words::is_common(&head.lower);
        // "The institute's Seth Shostak".
        if subject.windows(2).any(|pair| pair[0].lower.ends_with("'s") && pair[1].capital) {
            return true;
        }
        !subject[0].class.any(Class::OPENER) && head.capital && known(head) && !thing
    }

    /// "In 2010, how many ...": the date stays in front.
    fn with_front(&self, question: String) -> String {
        if self.clause.front.is_empty() {
            return question;
        }
        let mut chars = question.chars();
        let head = chars.next().map(|c| c.to_lowercase().to_string()).unwrap_or_default();
        format!(
            "{}, {head}{}",
            capitalised(&self.text.words(self.tokens(self.clause.front.clone()))),
            chars.as_str()
        )
    }

    fn value_at(&self, at: usize) -> Option<&Value> {
        self.sentence.values.iter().find(|value| value.tokens.start == at)
    }

    /// "X is a rare disorder that ..." -> "What is X?"
    fn complement(&mut self) {
        let clause = self.clause;
        let verb = &self.sentence.tokens[clause.verb];
        if !verb.class.any(Class::BE) || self.pronoun_subject() || clause.negated || clause.quantified {
            return;
        }
        let short = self.tokens(clause.short.clone());
        let numeric =
            self.value_at(clause.short.start).filter(|value| value.tokens.end == clause.short.end).cloned();
        let article = short[0].class.any(Class::DET) && short.len() >= 3;
        let defines = article
            && verb.is("is")
            && !matches!(
                short[1].lower.as_str(),
                "result" | "matter" | "same" | "case" | "need" | "lack" | "subject" | "most" | "more"
            );
        if !(defines || numeric.is_some()) || !clause.plain {
            return;
        }
        let Some(question) = self.inverted(&[]) else { return };
        let who = clause.person && !self.sentence.tokens[clause.subject.start].class.any(Class::DET);
        let answer = self.text.words(self.tokens(clause.short.clone()));
        let kind = numeric.map(|value| value.kind);
        let question = self.with_front(format!("{} {question}?", if who { "Who" } else { "What" }));
        self.add(question, answer, kind, "what-is");
    }

    /// A date, stretch of time or place at the end, behind its preposition, or a date in front.
    fn last_value(&mut self) {
        let clause = self.clause;
        if self.pronoun_subject() || clause.negated || !clause.plain {
            return;
        }
        if !clause.front.is_empty() {
            if let Some(question) = self.inverted(self.tokens(clause.short.clone())) {
                let answer = self.text.words(self.tokens(clause.front.start + 1..clause.front.end));
                self.add(format!("When {question}?"), answer, Some(Kind::Date), "when");
            }
            return;
        }
        let Some(value) = self
            .sentence
            .values
            .iter()
            .find(|value| value.tokens.end == clause.short.end && value.tokens.start > clause.verb + 2)
            .cloned()
        else {
            return;
        };
        let before = self.sentence.tokens[value.tokens.start - 1].lower.clone();
        let lead = match (&value.kind, before.as_str()) {
            (Kind::Date, "in" | "on") => "When",
            (Kind::Date, "since") => "Since when",
            (Kind::Date, "until") => "Until when",
            (Kind::Span, "for") => "For how long",
            (Kind::Span, "within") => "Within what time",
            (Kind::Name, "in" | "at")
                if self.tokens(value.tokens.clone()).iter().any(|token| token.class.any(Class::PLACE)) =>
            {
                "Where"
            }
            _ => return,
        };
        let rest = self.tokens(clause.short.start..value.tokens.start - 1);
        if rest
            .last()
            .is_some_and(|token| token.class.any(Class::CONJ | Class::PREP) || !token.word && !token.is(")"))
        {
            return;
        }
        if let Some(question) = self.inverted(rest) {
            self.add(format!("{lead} {question}?"), value.text, Some(value.kind), "when-where");
        }
    }

    /// "X is caused by Y" -> "What is X caused by?"
    fn agent(&mut self) {
        let clause = self.clause;
        let verb = &self.sentence.tokens[clause.verb];
        if !verb.class.any(Class::BE)
            || self.pronoun_subject()
            || clause.negated
            || clause.quantified
            || !clause.plain
        {
            return;
        }
        let short = self.tokens(clause.short.clone());
        let Some(by) = short.iter().position(|token| token.is("by")) else { return };
        let participle =
            by > 0 && (short[by - 1].class.any(Class::V_PART) || short[by - 1].lower.ends_with("ed"));
        let agent = &short[by + 1..];
        let simple = !agent.is_empty()
            && agent.len() <= 12
            && !agent.iter().any(|token| {
                token.class.any(Class::THIS | Class::REL | Class::V_ING)
                    || matches!(
                        token.lower.as_str(),
                        "it" | "them"
                            | "its"
                            | "their"
                            | "in"
                            | "on"
                            | "at"
                            | "during"
                            | "after"
                            | "before"
                            | "when"
                            | "either"
                    )
            });
        if !participle || !simple || by > 3 || agent[0].class.any(Class::NUM) || agent[0].digit {
            return;
        }
        let who = clause::head(agent).class.any(Class::PERSON);
        let answer = self.text.words(agent);
        if let Some(question) = self.inverted(&short[..by]) {
            self.add(format!("{} {question} by?", if who { "Who" } else { "What" }), answer, None, "by-what");
        }
    }

    /// "The gene provides instructions" -> "What does the gene provide?"
    fn object(&mut self) {
        let clause = self.clause;
        let Verb::Lexical { base, .. } = clause.kind else { return };
        self.count(base);
        const WHOLE: &[&str] = &[
            "provide", "include", "cause", "contain", "involve", "require", "produce", "affect", "cover",
            "regulate", "govern", "comprise", "describe", "define", "support", "prevent", "indicate",
        ];
        if !WHOLE.contains(&base)
            || self.pronoun_subject()
            || clause.negated
            || !clause.plain
            || clause.quantified
        {
            return;
        }
        let short = self.tokens(clause.short.clone());
        let counted = short[0].digit || short[0].class.any(Class::NUM);
        let nominal =
            !counted && (short[0].class.any(Class::DET | Class::QUANT) || !short[0].class.any(Class::CLOSED));
        let adjunct = short.iter().any(|token| {
            token.is("by")
                || token.is("if")
                || token.is("when")
                || token.is("because")
                || token.is("after")
                || token.class.any(Class::PRON)
        });
        // A list cut short would be half an answer.
        let cut = clause.short.end < clause.rest.end;
        if !nominal || adjunct || cut || short.len() > 14 {
            return;
        }
        let answer = self.text.words(short);
        if let Some(question) = self.inverted(&[]) {
            self.add(format!("What {question}?"), answer, None, "what-object");
        }
    }

    /// "The study included 43 patients" -> "How many patients did the study include?"
    fn count(&mut self, base: &str) {
        let clause = self.clause;
        let Some(value) =
            self.value_at(clause.short.start).filter(|value| matches!(value.kind, Kind::Count(_))).cloned()
        else {
            return;
        };
        let counted = self.tokens(value.tokens.end..clause.short.end);
        let whole = counted.len() == 1 || matches!(counted[1].lower.as_str(), "with" | "of");
        let moved = counted
            .iter()
            .skip(2)
            .any(|token| !token.word || token.class.any(Class::PREP | Class::CONJ | Class::REL | Class::SUB));
        if self.pronoun_subject()
            || clause.negated
            || clause.quantified
            || !clause.plain
            || !whole
            || moved
            || clause.short.end < clause.rest.end
        {
            return;
        }
        let (Verb::Lexical { aux, .. }, Some(subject)) =
            (clause.kind, self.text.small_start(self.tokens(clause.subject.clone())))
        else {
            return;
        };
        let question =
            self.with_front(format!("How many {} {aux} {subject} {base}?", self.text.words(counted)));
        self.add(question, value.text, Some(value.kind), "how-many");
    }

    /// "... because C" -> "Why ...?"
    fn reason(&mut self) {
        let clause = self.clause;
        if self.pronoun_subject() || clause.quantified {
            return;
        }
        let rest = self.tokens(clause.rest.clone());
        let Some(because) = rest.iter().position(|token| token.is("because")) else { return };
        let effect = &rest[..because];
        let effect = if effect.last().is_some_and(|token| token.is(",")) {
            &effect[..effect.len() - 1]
        } else {
            effect
        };
        let cause = &rest[because + 1..];
        let hedged =
            effect.last().is_some_and(|token| token.class.any(Class::ADV | Class::NEG) || token.is("part"));
        if effect.len() < 2
            || cause.len() < 3
            || hedged
            || effect.iter().any(|token| !token.word || token.class.any(Class::CONJ))
        {
            return;
        }
        let answer = self.text.words(&rest[because..]);
        if let Some(question) = self.inverted(effect) {
            self.add(format!("Why {question}?"), answer, None, "why");
        }
    }
}
