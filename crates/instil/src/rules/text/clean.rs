//! Which sentences are whole and ordinary enough to ask about.

use super::{Class, Token};

/// The fewest and most words of a sentence that is used.
const WORDS: std::ops::RangeInclusive<usize> = 6..=60;

/// Marks that ordinary prose doesn't have, or that make a gap or question hard to read.
const ODD: &[char] = &[
    '_', '@', '|', '•', '□', '…', '#', '<', '>', '=', '{', '}', '[', ']', '*', '\\', '^', '~', '■', '●', '†',
    '§', '+', '±', '\u{fffd}', '_', '☐', '·', '®', '™', '©', '?', '!',
];

/// Connectives with a comma behind them that can be left away.
const CONNECTIVES: &[&str] = &[
    "however",
    "therefore",
    "thus",
    "moreover",
    "furthermore",
    "additionally",
    "finally",
    "nevertheless",
    "consequently",
    "meanwhile",
    "nonetheless",
    "hence",
    "lastly",
    "overall",
    "accordingly",
];
const CONNECTIVES_2: &[[&str; 2]] =
    &[["in", "addition"], ["for", "example"], ["for", "instance"], ["in", "fact"], ["of", "course"]];

/// The number of tokens before the statement: a list number, a heading glued to it, a connective.
pub(super) fn core_start(tokens: &[Token]) -> usize {
    let mut start = 0;
    let at = |i: usize| tokens.get(i);
    let mark = |i: usize, what: &str| at(i).is_some_and(|token| token.is(what));
    if mark(0, "(") && at(1).is_some_and(|token| token.lower.len() <= 4) && mark(2, ")") {
        start = 3;
    } else if mark(0, "-") || mark(0, "•") || mark(0, "*") {
        start = 1;
    }
    if at(start)
        .is_some_and(|token| token.digit && token.lower.chars().all(|c| c.is_ascii_digit() || c == '.'))
    {
        if mark(start + 1, ".") || mark(start + 1, ")") {
            start += 2;
        } else if tokens[start].lower.contains('.') && at(start + 1).is_some_and(|token| token.capital) {
            start += 1;
        }
    }
    if mark(start, "(") && at(start + 1).is_some_and(|token| token.lower.len() <= 4) && mark(start + 2, ")") {
        start += 3;
    }
    // "C. Each party".
    let lettered = at(start)
        .is_some_and(|token| token.capital && token.lower.len() == 1 && !token.is("a") && !token.is("i"));
    if lettered && mark(start + 1, ".") {
        start += 2;
    }
    start += dateline(&tokens[start.min(tokens.len())..]);
    start += shouted_heading(&tokens[start.min(tokens.len())..]);
    start += glued_heading(&tokens[start..]);
    // "ASSIGNMENT: This agreement", "Background Checks: The vendor".
    let colon = tokens[start.min(tokens.len())..].iter().take(7).position(|token| token.is(":"));
    if let Some(colon) = colon {
        let heading = &tokens[start..start + colon];
        let titled = heading.iter().all(|token| {
            token.capital || token.class.any(Class::PREP | Class::CONJ | Class::DET) || !token.word
        });
        if titled && at(start + colon + 1).is_some_and(|token| token.capital) {
            start += colon + 1;
        }
    }
    if at(start).is_some_and(|token| CONNECTIVES.contains(&token.lower.as_str())) && mark(start + 1, ",") {
        start += 2;
    } else if CONNECTIVES_2.iter().any(|[one, two]| mark(start, one) && mark(start + 1, two))
        && mark(start + 2, ",")
    {
        start += 3;
    }
    start
}

/// The length of "BAGHDAD (Reuters) -" or "AP -" in front of a news sentence.
fn dateline(tokens: &[Token]) -> usize {
    let Some(dash) = tokens.iter().take(9).position(|token| matches!(token.lower.as_str(), "-" | "–" | "—"))
    else {
        return 0;
    };
    let dashes =
        tokens[dash..].iter().take_while(|token| matches!(token.lower.as_str(), "-" | "–" | "—")).count();
    let head = &tokens[..dash];
    let placed = head.iter().all(|token| {
        token.capital || token.digit || matches!(token.lower.as_str(), "(" | ")" | "," | "." | "/" | "of")
    });
    let shouted = head.first().is_some_and(|token| token.shouted || token.is("reuters"));
    if placed && shouted { dash + dashes } else { 0 }
}

/// The length of a heading in capitals: "10 INDEMNITY The receiving party" has two tokens of it.
fn shouted_heading(tokens: &[Token]) -> usize {
    let part = |token: &Token| {
        token.shouted
            || matches!(token.lower.as_str(), "&" | "," | "-" | ";" | "/")
            || (token.digit && !token.lower.contains(','))
    };
    let length = tokens.iter().take(14).take_while(|token| part(token)).count();
    let long = tokens[..length].iter().any(|token| token.shouted && token.lower.len() >= 5);
    let several = tokens[..length].iter().filter(|token| token.shouted).count() >= 2;
    let begins =
        tokens.get(length).is_some_and(|token| token.capital && (several || token.class.any(Class::CLOSED)));
    if length > 0 && long && begins { length } else { 0 }
}

/// The length of a heading that lost its line: "International Users We are ..." has two words of it.
fn glued_heading(tokens: &[Token]) -> usize {
    const OPENERS: &[&str] =
        &["we", "if", "our", "you", "your", "this", "these", "when", "it", "each", "any", "all", "by"];
    if tokens.first().is_none_or(|token| token.class.any(Class::CLOSED)) {
        return 0;
    }
    for (i, token) in tokens.iter().enumerate().take(10) {
        let opener = token.capital && OPENERS.contains(&token.lower.as_str());
        if i > 0 && opener && tokens.get(i + 1).is_some_and(|next| !next.capital) {
            return i;
        }
        let of_heading =
            token.capital || token.class.any(Class::PREP | Class::CONJ | Class::DET) || token.is("&");
        if !of_heading {
            return 0;
        }
    }
    0
}

/// Whether this is a whole sentence of ordinary prose.
pub(super) fn is_clean(text: &str, tokens: &[Token]) -> bool {
    let words = tokens.iter().filter(|token| token.word).count();
    let Some(first) = tokens.first() else { return false };
    let opens_with_term =
        matches!(first.lower.as_str(), "“" | "\"") && tokens.get(1).is_some_and(|token| token.capital);
    if !WORDS.contains(&words) || !(first.capital || first.digit || opens_with_term) || text.len() > 400 {
        return false;
    }
    if text.contains(ODD)
        || text.contains("http")
        || text.contains("www.")
        || text.contains(" - ")
        || text.contains("..")
    {
        return false;
    }
    if text.contains("--")
        || text.contains(" / ")
        || text.contains("quot;")
        || text.contains("&lt;")
        || text.contains('\u{a0}')
    {
        return false;
    }
    let shouted = tokens.iter().filter(|token| token.shouted && token.lower.len() > 3).count();
    let capitals = tokens.iter().filter(|token| token.capital).count();
    let short = tokens
        .iter()
        .filter(|token| token.word && token.lower.chars().count() == 1 && !token.is("a") && !token.is("i"))
        .count();
    if shouted * 4 > words || capitals * 2 > words + 1 || short > 3 || glued(tokens) {
        return false;
    }
    let cites = tokens.windows(2).any(|pair| pair[0].is("et") && pair[1].is("al"))
        || tokens.iter().any(|token| token.class.any(Class::CITE));
    let commanded =
        tokens.get(1).is_some_and(|next| next.class.any(Class::DET | Class::POSS | Class::REL | Class::PRON));
    let imperative =
        first.class.any(Class::V_BASE) && (commanded || !first.class.any(Class::V_NOUN | Class::NOUN));
    let numbered = first.digit && first.lower.contains('.');
    let click = tokens.iter().take(2).any(|token| matches!(token.lower.as_str(), "click" | "see" | "please"));
    // "149. on correlation" is an index, "that: a" and "; b" are torn from a list.
    let index = tokens.windows(2).any(|pair| pair[0].is(".") && pair[1].word && !pair[1].capital);
    let torn = tokens.len() > 2
        && !tokens[tokens.len() - 2].word
        && tokens[tokens.len() - 1].lower.len() <= 2
        && !tokens[tokens.len() - 1].is(")")
        && tokens[tokens.len() - 2].is(";") | tokens[tokens.len() - 2].is(":");
    !index && !torn && !cites && !numbered && !imperative && !click && balanced(text) && has_verb(tokens)
}

/// Whether a small word stands capitalised after an ordinary word: two sentences, or a heading and one.
fn glued(tokens: &[Token]) -> bool {
    tokens.windows(2).any(|pair| {
        let capital = pair[1].capital && !pair[1].is("i") && !pair[1].class.any(Class::MONTH);
        let small = pair[1].class.any(Class::CLOSED) && !pair[1].lower.ends_with("ly");
        // "Alopecia 90% Pustule 90%" is a table on one line.
        let table = pair[0].is("%") && pair[1].capital && pair[1].word;
        table || pair[0].word && capital && small
    })
}

/// Whether a short line without any small word of grammar is a headline.
pub(super) fn is_headline(tokens: &[Token]) -> bool {
    let words = tokens.iter().filter(|token| token.word).count();
    words <= 13
        && !tokens
            .iter()
            .any(|token| token.class.any(Class::DET | Class::POSS | Class::THIS | Class::BE | Class::HAVE))
}

/// Whether something in it can be a finite verb.
fn has_verb(tokens: &[Token]) -> bool {
    tokens.windows(2).any(|pair| {
        let (before, token) = (&pair[0], &pair[1]);
        let verb = token.class.any(Class::AUX)
            || (token.class.any(Class::FINITE) && !token.class.any(Class::V_NOUN))
            || token.lower.ends_with("ed");
        let noun_or_verb = token.class.any(Class::V_NOUN)
            && before.word
            && !before.class.any(Class::OPENER | Class::PREP | Class::CONJ);
        !token.capital && (verb || noun_or_verb && !super::super::value::is_adjective(before))
    })
}

/// Whether brackets and double quotes are closed.
fn balanced(text: &str) -> bool {
    let mut depth = 0_i32;
    let mut quotes = 0_i32;
    let mut straight = 0_u32;
    for c in text.chars() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            '“' => quotes += 1,
            '”' => quotes -= 1,
            '"' => straight += 1,
            _ => {}
        }
        if depth < 0 || quotes < 0 {
            return false;
        }
    }
    depth == 0 && quotes == 0 && straight.is_multiple_of(2) && !text.contains('`') && !text.contains("''")
}

/// Whether the sentence says what it is about: it doesn't open with a pronoun or connective, and
/// doesn't point back.
pub(super) fn is_alone(tokens: &[Token]) -> bool {
    let first = &tokens[0];
    let own = |at: usize| tokens.get(at).is_some_and(|next| next.class.any(Class::OWN) || next.capital);
    if first.class.any(Class::STARTER) && !(first.class.any(Class::THIS) && own(1)) {
        return false;
    }
    if first.is("to") || first.class.any(Class::SUB) && !first.is("if") {
        return false;
    }
    let points_back = |(at, token): (usize, &Token)| match token.lower.as_str() {
        "former" | "latter" | "aforesaid" | "aforementioned" | "thereof" | "above-mentioned"
        | "following" | "foregoing" => true,
        "those" => !tokens.get(at + 1).is_some_and(|next| next.class.any(Class::REL | Class::PREP)),
        "these" | "this" => !own(at + 1),
        "such" => at < 8 && !tokens.get(at + 1).is_some_and(|next| next.is("as")),
        _ => false,
    };
    if tokens.iter().enumerate().any(points_back) {
        return false;
    }
    // "The trick does not occur when he is half-asleep": who?
    let he =
        tokens.iter().position(|token| matches!(token.lower.as_str(), "he" | "she" | "his" | "her" | "him"));
    he.is_none_or(|he| {
        let named = |token: &Token| {
            token.class.any(Class::PERSON | Class::TITLE)
                || (token.capital && !token.class.any(Class::CLOSED))
        };
        tokens[..he].iter().any(named)
    })
}
