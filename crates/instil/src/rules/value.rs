//! Values in a sentence: the spans that can be asked for, left out, or put in another's place.

use std::ops::Range;

use super::text::{Text, Token};
use super::words::{Class, is_stop};

/// What a value is; values of one kind can be options for each other.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Kind {
    /// A day, month or year.
    Date,
    /// A share in percent.
    Percent,
    /// An amount of money.
    Money,
    /// A number and the word it counts: "43 patients" has "patients".
    Count(String),
    /// A bare number with a decimal point or a unit of measure.
    Measure(String),
    /// A stretch of time: "30 days".
    Span,
    /// A proper name.
    Name,
    /// A term in quotation marks.
    Quoted,
    /// A noun phrase without its article.
    Phrase,
}

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Value {
    /// What it is.
    pub(super) kind: Kind,
    /// Its tokens in the sentence.
    pub(super) tokens: Range<usize>,
    /// Its text, blanks collapsed.
    pub(super) text: String,
}

/// The values of a sentence, from left to right; none overlap.
pub(super) fn values(text: &Text, tokens: &[Token]) -> Vec<Value> {
    let mut found = Vec::new();
    let mut at = 0;
    let mut depth = 0;
    while at < tokens.len() {
        match tokens[at].lower.as_str() {
            "(" => depth += 1,
            ")" => depth -= 1,
            _ => {}
        }
        let hit = if depth > 0 {
            None
        } else {
            quantity(tokens, at)
                .or_else(|| quoted(tokens, at))
                .or_else(|| name(text, tokens, at))
                .or_else(|| phrase(text, tokens, at))
        };
        let Some((kind, range)) = hit else {
            at += 1;
            continue;
        };
        at = range.end;
        let words = text.words(&tokens[range.clone()]);
        found.push(Value { kind, text: words, tokens: range });
    }
    found
}

fn is_year(token: &Token) -> bool {
    token.lower.len() == 4 && token.lower.parse::<u32>().is_ok_and(|year| (1500..2100).contains(&year))
}

fn is_day(token: &Token) -> bool {
    let digits = token.lower.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    token.digit
        && token.lower.len() - digits.len() <= 2
        && digits.parse::<u32>().is_ok_and(|day| (1..=31).contains(&day))
}

fn is_number(token: &Token) -> bool {
    (token.digit && token.lower.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | ',')))
        || (token.class.any(Class::NUM) && !matches!(token.lower.as_str(), "one" | "half"))
}

fn quantity(tokens: &[Token], at: usize) -> Option<(Kind, Range<usize>)> {
    let token = &tokens[at];
    let next = tokens.get(at + 1);
    let before = at.checked_sub(1).map(|i| &tokens[i]);
    if token.class.any(Class::MONTH) && token.capital {
        let mut end = at + 1;
        if next.is_some_and(is_day) {
            end += 1;
            if tokens.get(end).is_some_and(|t| t.is(",")) && tokens.get(end + 1).is_some_and(is_year) {
                end += 2;
            }
        } else if next.is_some_and(is_year) {
            end += 1;
        } else if token.is("may") || token.is("march") {
            return None;
        }
        let begin = if before.is_some_and(is_day) { at - 1 } else { at };
        return Some((Kind::Date, begin..end)).filter(|_| begin == at);
    }
    if is_day(token) && next.is_some_and(|t| t.class.any(Class::MONTH) && t.capital) {
        let end = if tokens.get(at + 2).is_some_and(is_year) { at + 3 } else { at + 2 };
        return Some((Kind::Date, at..end));
    }
    if token.class.any(Class::WEEKDAY) && token.capital {
        return (!next.is_some_and(|t| t.capital || t.is("night") || t.is("morning") || t.is("'")))
            .then_some((Kind::Date, at..at + 1));
    }
    if token.is("$") || token.is("£") || token.is("€") {
        let mut end = at + 1;
        next.filter(|t| t.digit)?;
        end += 1;
        if tokens
            .get(end)
            .is_some_and(|t| matches!(t.lower.as_str(), "million" | "billion" | "trillion" | "m" | "bn"))
        {
            end += 1;
        }
        return Some((Kind::Money, at..end));
    }
    if !is_number(token)
        || before.is_some_and(|b| {
            b.class.any(Class::LABEL)
                || b.is("-")
                || b.is("$")
                || b.is("/")
                || b.is("£")
                || b.is("€")
                || is_number(b)
        })
    {
        return None;
    }
    if is_year(token)
        && before.is_some_and(|b| {
            matches!(
                b.lower.as_str(),
                "in" | "since"
                    | "until"
                    | "by"
                    | "during"
                    | "before"
                    | "after"
                    | "from"
                    | "of"
                    | "early"
                    | "late"
            )
        })
    {
        let range = next.is_some_and(|t| matches!(t.lower.as_str(), "-" | "to" | "and" | "/" | "," | "–"));
        return (!range).then_some((Kind::Date, at..at + 1));
    }
    let mut end = at + 1;
    while tokens.get(end).is_some_and(|t| {
        t.class.any(Class::NUM) || (is_number(t) && token.class.any(Class::NUM) && !token.digit)
    }) {
        end += 1;
    }
    let unit = tokens.get(end)?;
    // "5 to 10 days", "3 or 4 weeks", "2 x 5" are ranges, whose halves are no answers.
    if matches!(
        unit.lower.as_str(),
        "to" | "or" | "-" | "–" | "and" | "x" | "×" | "/" | ":" | "(" | "of" | "±"
    ) || before.is_some_and(|b| matches!(b.lower.as_str(), "to" | "or" | "and" | "between" | "–"))
    {
        return None;
    }
    if unit.is("%") || unit.is("percent") {
        let stop = tokens.get(end + 1);
        if stop.is_some_and(|t| matches!(t.lower.as_str(), "to" | "or" | "-" | "–" | "and")) {
            return None;
        }
        return Some((Kind::Percent, at..end + 1));
    }
    if unit.is("per") && tokens.get(end + 1).is_some_and(|t| t.is("cent")) {
        return Some((Kind::Percent, at..end + 2));
    }
    if unit.class.any(Class::UNIT) {
        if tokens.get(end + 1).is_some_and(|t| t.is("old") || t.is("'")) || unit.lower.ends_with('\'') {
            return None;
        }
        return Some((Kind::Span, at..end + 1));
    }
    if unit.class.any(Class::MEASURE) {
        return Some((Kind::Measure(unit.lower.clone()), at..end + 1));
    }
    if is_plural_noun(unit) && !unit.capital {
        return Some((Kind::Count(unit.lower.clone()), at..end));
    }
    None
}

/// Whether this looks like the plural of an ordinary noun.
pub(super) fn is_plural_noun(token: &Token) -> bool {
    const IRREGULAR: &[&str] = &[
        "people", "children", "women", "men", "mice", "feet", "teeth", "police", "data", "bacteria",
        "criteria",
    ];
    let word = token.lower.as_str();
    let closed = token.class.any(Class::CLOSED);
    let verb = token.class.any(Class::V_S) && !token.class.any(Class::V_NOUN);
    IRREGULAR.contains(&word)
        || (token.word
            && !closed
            && !verb
            && !token.digit
            && word.len() > 3
            && word.ends_with('s')
            && !word.ends_with("ss")
            && !word.ends_with("us")
            && !word.ends_with("is")
            && !word.contains('\''))
}

fn quoted(tokens: &[Token], at: usize) -> Option<(Kind, Range<usize>)> {
    let close = match tokens[at].lower.as_str() {
        "“" => "”",
        "\"" => "\"",
        _ => return None,
    };
    let length = tokens[at + 1..].iter().take(5).position(|token| token.is(close))?;
    let inner = at + 1..at + 1 + length;
    (length > 0 && tokens[inner.clone()].iter().all(|token| token.word)).then_some((Kind::Quoted, inner))
}

fn name(text: &Text, tokens: &[Token], at: usize) -> Option<(Kind, Range<usize>)> {
    let starts = |token: &Token| {
        token.capital
            && token.word
            && token.lower.len() > 1
            && !token.class.any(Class::CLOSED)
            && !token.lower.contains('\'')
    };
    if !starts(&tokens[at]) {
        return None;
    }
    // "type II", "Section B".
    if at > 0 && tokens[at - 1].class.any(Class::LABEL) || tokens[at].is("ii") || tokens[at].is("iii") {
        return None;
    }
    if at == 0 && !text.is_name(&tokens[0].lower) {
        return None;
    }
    let mut end = at + 1;
    while end < tokens.len()
        && tokens[end].capital
        && tokens[end].word
        && !tokens[end].class.any(Class::PRON | Class::AUX)
    {
        end += 1;
    }
    if tokens[at..end].iter().any(|t| t.class.any(Class::MONTH | Class::WEEKDAY) && !t.is("may"))
        || end - at > 5
    {
        return None;
    }
    let possessive = tokens[end - 1].lower.ends_with("'s") || tokens[end - 1].lower.ends_with("s'");
    let joined = tokens.get(end).is_some_and(|t| matches!(t.lower.as_str(), "&" | "'" | "-"));
    // "President Bush" and "Dr. Gray" are names, "President" alone is not.
    let title_only = end - at == 1 && tokens[at].class.any(Class::TITLE);
    let part = tokens.get(end).is_some_and(|t| t.is(".")) || (at > 0 && tokens[at - 1].is("."));
    let next = tokens.get(end).filter(|token| token.word);
    let adjective = next.is_some_and(|token| {
        !token.class.any(Class::CLOSED) && (!token.class.any(Class::FINITE) || token.class.any(Class::V_NOUN))
    });
    // "the Recipient", "this Policy": defined words, of which a text is full, make dull gaps.
    let words = text.words(&tokens[at..end]);
    let acronym = words.chars().all(|c| c.is_uppercase() || c.is_ascii_digit());
    let opened = at > 0 && tokens[at - 1].class.any(Class::OPENER);
    let defined = opened && !acronym && (end - at == 1 || text.times(&tokens[at..end]) > 1);
    let before = at.checked_sub(1).map(|i| &tokens[i]);
    let cut_off = before.is_some_and(|before| before.capital && (at > 1 || !before.class.any(Class::CLOSED)))
        // "Terms of Use", "University of Bristol".
        || at > 1 && tokens[at - 1].is("of") && tokens[at - 2].capital;
    let run_together = words
        .as_bytes()
        .windows(3)
        .any(|at| at[0].is_ascii_lowercase() && at[1] == b'.' && at[2].is_ascii_uppercase());
    let cut_off = cut_off || run_together;
    let suffix = matches!(
        words.as_str(),
        "LLC" | "Inc" | "Ltd" | "Corp" | "Co" | "PLC" | "AFP" | "Reuters" | "Jr" | "Department"
    );
    let goes_on = tokens.get(end).is_some_and(|t| matches!(t.lower.as_str(), "of" | "for" | "and"))
        && tokens.get(end + 1).is_some_and(|t| t.capital);
    let glued = tokens.get(end).is_some_and(|t| t.is("(") && t.span.start == tokens[end - 1].span.end);
    if defined || cut_off || suffix || goes_on || glued || end - at > 4 {
        return None;
    }
    (!possessive && !joined && !title_only && !part && !adjective).then_some((Kind::Name, at..end))
}

/// A noun phrase behind a determiner, possessive or preposition, without it: two to four small words,
/// none a verb form, and behind it something that ends noun phrases.
fn phrase(text: &Text, tokens: &[Token], at: usize) -> Option<(Kind, Range<usize>)> {
    let before = &tokens[at.checked_sub(1)?];
    if !before.class.any(Class::DET | Class::PREP) || before.is("to") || before.is("than") || before.is("as")
    {
        return None;
    }
    let mut end = at;
    while end < tokens.len() && end - at < 5 {
        let token = &tokens[end];
        let inner = token.word
            && !token.capital
            && !token.digit
            && !token.lower.contains('\'')
            && !token.class.any(Class::CLOSED | Class::NUM);
        if !inner {
            break;
        }
        end += 1;
    }
    if !(2..=4).contains(&(end - at)) {
        return None;
    }
    let words = &tokens[at..end];
    let verbal = |token: &Token| {
        (token.class.any(Class::V_S | Class::V_PAST | Class::V_PART | Class::V_ING)
            && !token.class.any(Class::V_NOUN))
            || token.lower.ends_with("ed")
            || token.lower.ends_with("ing")
            || token.class.any(Class::MEASURE | Class::UNIT)
    };
    if words.iter().any(|token| verbal(token) || token.class.any(Class::VAGUE) || is_stop(&token.lower)) {
        return None;
    }
    let last = &words[words.len() - 1];
    // "man loud laughter leads" ends in a verb, "critical needs" in a noun.
    let inner_verb =
        words.iter().skip(1).any(|token| token.class.any(Class::V_BASE) && !token.class.any(Class::V_NOUN));
    let then_verb = tokens.get(end).is_some_and(|t| t.class.any(Class::CONJ))
        && tokens.get(end + 1).is_some_and(|t| t.class.any(Class::FINITE | Class::AUX));
    let verb_at_end = inner_verb
        || then_verb
        || last.class.any(Class::V_S) && !(words.len() == 2 && is_adjective(&words[0]));
    // Behind a preposition the words may belong to different phrases unless they are few.
    let loose = before.class.any(Class::PREP)
        && (words.len() > 2 || !is_plural_noun(last) && !is_adjective(&words[0]));
    if verb_at_end
        || loose
        || is_adjective(last)
        || last.class.any(Class::V_BASE) && !last.class.any(Class::V_NOUN)
    {
        return None;
    }
    let closes = match tokens.get(end) {
        None => true,
        Some(token) => {
            token.class.any(Class::PREP | Class::AUX | Class::CONJ | Class::REL)
                || matches!(token.lower.as_str(), "," | "." | ";" | "(")
        }
    };
    (closes && text.times(words) == 1).then_some((Kind::Phrase, at..end))
}

/// Whether a word has the ending of an adjective, and so is a poor last word of a phrase.
pub(super) fn is_adjective(token: &Token) -> bool {
    const ENDINGS: &[&str] = &[
        "al", "ive", "ous", "ic", "able", "ible", "ful", "less", "ary", "ant", "ent", "ical", "ish", "est",
        "ar",
    ];
    if token.class.any(Class::ADJ) {
        return true;
    }
    let ending = |ending: &&str| token.lower.ends_with(*ending);
    token.lower.len() > 4 && ENDINGS.iter().any(ending) && !token.class.any(Class::NOUN_ENDING)
}
