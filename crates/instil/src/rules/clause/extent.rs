//! How far a clause goes: what can be left away at its end, and whether another is joined on.

use super::Verb;
use crate::rules::text::Token;
use crate::rules::value::is_plural_noun;
use crate::rules::words::Class;

/// Where the part of the rest that must stay ends: before ", which ...", a second main clause, and the like.
pub(super) fn short_end(tokens: &[Token], from: usize) -> usize {
    let mut depth = 0;
    for at in from..tokens.len().saturating_sub(1) {
        match tokens[at].lower.as_str() {
            "(" | "“" => depth += 1,
            ")" | "”" => depth -= 1,
            ";" if depth == 0 && at >= from + 2 => return at,
            "," if depth == 0 && at >= from + 2 && can_go(tokens, at) && !waits(&tokens[from..at]) => {
                return at;
            }
            _ => {}
        }
    }
    tokens.len()
}

/// Whether what follows the comma at `at` can be left away and what stands before it still be true.
fn can_go(tokens: &[Token], at: usize) -> bool {
    let next = &tokens[at + 1];
    let after = &tokens[at + 2..];
    let such_as = next.is("such") && after.first().is_some_and(|token| token.is("as"));
    // ", said the newspaper", ", officials say", at the very end.
    let says = |token: &Token| {
        matches!(token.lower.as_str(), "said" | "says" | "say" | "reported" | "announced" | "according")
    };
    let attribution = tokens.len() - at <= 12 && tokens[at + 1..].iter().any(says);
    // ", resulting in"; a list of such forms stays.
    let ing = |token: &Token| token.class.any(Class::V_ING) || token.lower.ends_with("ing");
    let trailing = next.class.any(Class::V_ING)
        && !ing(&tokens[at - 1])
        && !after.iter().take(8).any(|token| token.is("and") || token.is(","));
    next.class.any(Class::TRAIL) || such_as || attribution || trailing || second_clause(next, after)
}

/// Whether a subordinate clause has begun whose verb is still to come: "when the glands, which ..., fail".
fn waits(before: &[Token]) -> bool {
    let begun = before.iter().rposition(|token| token.class.any(Class::REL | Class::SUB));
    begun.is_some_and(|at| !before[at + 1..].iter().any(is_verb))
}

/// Whether a token is surely a finite verb.
fn is_verb(token: &Token) -> bool {
    token.class.any(Class::AUX)
        || token.class.any(Class::V_S | Class::V_PAST) && !token.class.any(Class::V_NOUN | Class::V_PART)
}

/// Whether a conjunction begins another main clause: a subject, and its verb soon after.
fn second_clause(conjunction: &Token, after: &[Token]) -> bool {
    if !matches!(conjunction.lower.as_str(), "and" | "but" | "so" | "yet") {
        return false;
    }
    for (i, token) in after.iter().take(10).enumerate() {
        if token.class.any(Class::REL | Class::SUB) || token.is(",") || token.is("to") {
            return false;
        }
        if is_verb(token) {
            return i > 0;
        }
    }
    false
}

/// Whether there is neither a second clause joined on nor a mark that splits the rest.
///
/// "is absorbed and released" goes on after its auxiliary; "bought one and sold another" has a
/// second finite verb, which inversion and negation would miss.
pub(super) fn is_plain(rest: &[Token], kind: Verb) -> bool {
    if rest.iter().any(|token| matches!(token.lower.as_str(), ";" | ":" | "\"" | "“" | "–" | "—")) {
        return false;
    }
    let past = matches!(kind, Verb::Lexical { aux: "did", .. });
    for (at, token) in rest.iter().enumerate() {
        let comma = token.is(",");
        if !token.class.any(Class::CONJ) && !comma {
            continue;
        }
        let after = &rest[at + 1..];
        let attributed =
            |token: &Token| matches!(token.lower.as_str(), "said" | "says" | "reported" | "according");
        if comma && after.iter().any(attributed) {
            return false;
        }
        for (i, next) in after.iter().take(9).enumerate() {
            if next.class.any(Class::REL | Class::SUB) || next.is("to") || (next.is(",") && i > 0) {
                break;
            }
            let before = if i == 0 { token } else { &after[i - 1] };
            let both = next.class.any(Class::V_PART);
            let finite = next.class.any(Class::AUX)
                || (next.class.any(Class::V_S) && !next.class.any(Class::V_NOUN))
                || (next.class.any(Class::V_PAST) && !both && !next.class.any(Class::V_BASE))
                || (next.class.any(Class::V_BASE) && is_plural_noun(before))
                || (past && both && i < 2);
            let subject = matches!(next.lower.as_str(), "he" | "she" | "they" | "we" | "i" | "it")
                && next.class.any(Class::PRON);
            if finite || subject {
                return false;
            }
        }
    }
    true
}
