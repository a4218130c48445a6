//! Subject, verb and the rest of a simple sentence, found only where they are certain.

mod extent;

use std::ops::Range;

use extent::{is_plain, short_end};

use super::text::Token;
use super::value::is_plural_noun;
use super::words::{Class, base_of};

/// How the verb forms its questions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    /// By going first: is, has (done), may.
    Aux,
    /// With do, does or did before the subject and the base form left behind.
    Lexical {
        /// "do", "does" or "did".
        aux: &'static str,
        /// The base form.
        base: &'static str,
    },
}

/// The parts of a simple sentence, as token ranges.
#[derive(Clone, Debug)]
pub(super) struct Clause {
    /// "In 2010" of "In 2010, it rained", without the comma; often empty.
    pub(super) front: Range<usize>,
    /// The subject.
    pub(super) subject: Range<usize>,
    /// The finite verb.
    pub(super) verb: usize,
    /// How it forms questions.
    pub(super) kind: Verb,
    /// What follows the verb, to the end.
    pub(super) rest: Range<usize>,
    /// What follows the verb, up to a clause that can be left away.
    pub(super) short: Range<usize>,
    /// Whether the subject is a person, people, or a party to a contract.
    pub(super) person: bool,
    /// Whether a negation stands right behind the verb, or the subject has one.
    pub(super) negated: bool,
    /// Whether the subject has a quantifier such as "some" or "each".
    pub(super) quantified: bool,
    /// Whether the rest is one plain clause: questions and negation then have one meaning.
    pub(super) plain: bool,
}

/// The clause of a sentence, if it is certain.
pub(super) fn find(tokens: &[Token]) -> Option<Clause> {
    let front = front(tokens);
    let start = if front.is_empty() { 0 } else { front.end + 1 };
    let first = tokens.get(start)?;
    let pronoun = first.class.any(Class::PRON);
    if first
        .class
        .any(Class::PREP | Class::REL | Class::SUB | Class::ADV | Class::CONJ | Class::NEG | Class::V_ING)
        && !first.class.any(Class::QUANT | Class::NUM)
    {
        return None;
    }
    if pronoun && !matches!(first.lower.as_str(), "we" | "you") {
        return None;
    }
    let (verb, kind) = find_verb(tokens, start)?;
    let subject = start..verb;
    if !subject_is_sound(&tokens[subject.clone()]) {
        return None;
    }
    let rest = verb + 1..tokens.len();
    let short = verb + 1..short_end(tokens, verb + 1);
    if short.len() < 2 || !(tokens[verb + 1].word || tokens[verb + 1].is("“") || tokens[verb + 1].is("$")) {
        return None;
    }
    let head = head(&tokens[subject.clone()]);
    let person =
        head.class.any(Class::PERSON) || first.class.any(Class::PRON) || first.class.any(Class::TITLE);
    let no = tokens[subject.clone()]
        .iter()
        .any(|token| matches!(token.lower.as_str(), "no" | "neither" | "none" | "nothing" | "few"));
    let negated = no
        || tokens[short.clone()]
            .iter()
            .take(3)
            .any(|token| token.class.any(Class::NEG) || token.is("no") || token.is("neither"));
    let quantified = tokens[subject.clone()].iter().any(|token| token.class.any(Class::QUANT));
    let plain = is_plain(&tokens[short.clone()], kind);
    Some(Clause { front, subject, verb, kind, rest, short, person, negated, quantified, plain })
}

/// A date in front of the sentence with a comma behind it.
fn front(tokens: &[Token]) -> Range<usize> {
    let Some(comma) = tokens.iter().take(6).position(|token| token.is(",")) else { return 0..0 };
    let comma = if tokens.get(comma + 2).is_some_and(|token| token.is(",")) && tokens[comma + 1].digit {
        comma + 2
    } else {
        comma
    };
    let dated = |token: &Token| {
        token.digit
            || token.class.any(Class::MONTH | Class::WEEKDAY)
            || matches!(
                token.lower.as_str(),
                "," | "the" | "early" | "late" | "summer" | "spring" | "autumn" | "winter"
            )
    };
    let opens = matches!(tokens[0].lower.as_str(), "in" | "on" | "during" | "since" | "by");
    let inner = &tokens[1..comma.max(1)];
    if opens
        && !inner.is_empty()
        && inner.iter().all(dated)
        && inner.iter().any(|token| {
            token.digit && token.lower.len() >= 4 || token.class.any(Class::MONTH | Class::WEEKDAY)
        })
    {
        0..comma
    } else {
        0..0
    }
}

fn find_verb(tokens: &[Token], start: usize) -> Option<(usize, Verb)> {
    let mut at = start;
    while at < tokens.len() && at - start < 16 {
        let token = &tokens[at];
        if token.is("(") {
            at += tokens[at..].iter().position(|token| token.is(")"))? + 1;
            continue;
        }
        if !token.word && !matches!(token.lower.as_str(), "“" | "”" | "\"" | "%" | "$") {
            return None;
        }
        if at > start && !token.capital {
            if token.class.any(Class::AUX) {
                return auxiliary(tokens, start, at);
            }
            if let Some(verb) = lexical(tokens, start, at) {
                return Some((at, verb));
            }
        }
        if token.class.any(Class::REL | Class::SUB | Class::BE2)
            || (token.class.any(Class::PRON) && at > start)
        {
            return None;
        }
        at += 1;
    }
    None
}

fn auxiliary(tokens: &[Token], start: usize, at: usize) -> Option<(usize, Verb)> {
    let token = &tokens[at];
    let next = tokens.get(at + 1)?;
    if token.class.any(Class::BE | Class::MODAL) {
        return Some((at, Verb::Aux));
    }
    let follower = tokens[at + 1..].iter().find(|token| !token.class.any(Class::ADV | Class::NEG))?;
    if token.class.any(Class::HAVE) {
        let participle = follower.class.any(Class::V_PART | Class::BE2) || follower.lower.ends_with("ed");
        let noun = follower.lower.ends_with("ed") && tokens.get(at + 2).is_some_and(is_plural_noun)
            || follower.class.any(Class::V_NOUN);
        if participle && !noun {
            return Some((at, Verb::Aux));
        }
        if participle || follower.is("to") {
            return None;
        }
        let aux = match token.lower.as_str() {
            "has" => "does",
            "have" => "do",
            _ => "did",
        };
        let _ = start;
        return (!next.class.any(Class::NEG | Class::ADV))
            .then_some((at, Verb::Lexical { aux, base: "have" }));
    }
    (next.is("not")).then_some((at, Verb::Aux))
}

/// Whether the word at `at` is surely the finite verb: an unambiguous form with an object or preposition behind it.
fn lexical(tokens: &[Token], start: usize, at: usize) -> Option<Verb> {
    let token = &tokens[at];
    if !token.class.any(Class::FINITE) || token.class.any(Class::CLOSED) {
        return None;
    }
    let before = &tokens[at - 1];
    if before.class.any(Class::OPENER | Class::PREP | Class::CONJ | Class::AUX | Class::NUM)
        || !before.word && !before.is(")") && !before.is("”")
    {
        return None;
    }
    let next = tokens.get(at + 1)?;
    let object = next.class.any(Class::DET | Class::POSS | Class::NUM | Class::QUANT | Class::THIS)
        || next.digit
        || next.capital
        || (token.class.any(Class::V_PAST) && is_plural_noun(next) && !next.class.any(Class::V_S));
    let base = base_of(&token.lower)?;
    let head = head(&tokens[start..at]);
    let plural = is_plural(&tokens[start..at]);
    if token.class.any(Class::V_S) {
        let sure = !token.class.any(Class::V_NOUN) || object;
        return (sure && !plural && !is_plural_noun(head)).then_some(Verb::Lexical { aux: "does", base });
    }
    if token.class.any(Class::V_PAST) {
        // "Patients treated with it" is no clause; "The firm treated the patients" is one.
        let irregular = !token.class.any(Class::V_PART);
        let ditransitive = matches!(
            base,
            "give" | "offer" | "grant" | "show" | "assign" | "send" | "sell" | "pay" | "call" | "name"
        );
        if token.class.any(Class::V_BASE | Class::V_NOUN) && token.lower == base {
            return None;
        }
        return (irregular || object && !ditransitive).then_some(Verb::Lexical { aux: "did", base });
    }
    // "higher mean costs": a base form is a verb right behind its plural subject.
    let behind = is_plural_noun(before) || before.capital || !before.word || before.class.any(Class::PRON);
    let plural = plural && behind;
    let sure = !token.class.any(Class::V_NOUN) || object;
    (plural && sure && (object || !next.class.any(Class::AUX))).then_some(Verb::Lexical { aux: "do", base })
}

/// The last word of the first noun group: "risk" of "The risk of cancer".
pub(super) fn head(subject: &[Token]) -> &Token {
    let end = subject
        .iter()
        .skip(1)
        .position(|token| {
            token.class.any(Class::PREP)
                || !token.word
                || token.lower.ends_with("ed")
                || token.class.any(Class::V_ING)
        })
        .map_or(subject.len(), |i| i + 1);
    &subject[end - 1]
}

/// The verb as one asks with it: "Shall the tenant pay?" would be a suggestion.
pub(super) fn asked(verb: &str, person: bool) -> &str {
    match (verb, person) {
        ("shall", true) => "must",
        ("shall", false) => "will",
        _ => verb,
    }
}

/// Whether the subject is surely plural.
pub(super) fn is_plural(subject: &[Token]) -> bool {
    let joined = subject.iter().any(|token| token.is("and"));
    let head = head(subject);
    let pronoun = matches!(subject[0].lower.as_str(), "we" | "you");
    pronoun || is_plural_noun(head) || (joined && !subject.iter().any(|token| token.class.any(Class::PREP)))
}

/// Whether these words are one noun phrase and nothing else.
fn subject_is_sound(subject: &[Token]) -> bool {
    let Some((first, last)) = subject.first().zip(subject.last()) else { return false };
    if subject.len() > 14 || subject.iter().any(|token| token.is("as") || token.is("than")) {
        return false;
    }
    let to = subject
        .windows(2)
        .any(|pair| pair[1].is("to") && !pair[0].class.any(Class::V_PART) && !pair[0].lower.ends_with("ed"));
    if to {
        return false;
    }
    let ends_open =
        last.class.any(Class::PREP | Class::CONJ | Class::OPENER | Class::ADV | Class::NEG | Class::V_ING);
    if ends_open && !(subject.len() == 1 && last.class.any(Class::PRON)) {
        return false;
    }
    if subject.len() == 1 && !(last.class.any(Class::PRON) || first.capital) {
        return false;
    }
    // A verb form inside that is no adjective would make this a clause.
    let verbs = subject.iter().enumerate().skip(1).filter(|(i, token)| {
        let before = &subject[i - 1];
        let nominal = before.class.any(Class::OPENER | Class::PREP | Class::NUM | Class::CONJ)
            || before.lower.ends_with('-');
        let past = token.class.any(Class::V_PAST | Class::V_PART) || token.lower.ends_with("ed");
        let reduced = past && subject.get(i + 1).is_some_and(|next| next.class.any(Class::PREP));
        let finite = (token.class.any(Class::V_S) || past) && !token.class.any(Class::V_NOUN);
        let ing = token.class.any(Class::V_ING) && !nominal;
        !token.capital && ((finite && !nominal && !reduced) || ing)
    });
    let sound = verbs.count() == 0;
    let own = |at: usize| subject.get(at + 1).is_some_and(|next| next.class.any(Class::OWN) || next.capital);
    let back = subject.iter().enumerate().any(|(at, token)| match token.lower.as_str() {
        "its" | "their" | "his" | "her" | "such" | "other" | "another" | "same" => true,
        _ => token.class.any(Class::THIS) && !own(at),
    });
    sound && !back
}
