//! From rendered rows of one task to the template that they were rendered with (spec/uit.md 8.1 b).
//!
//! Texts are cut into words and marks. What is the same at both ends of all texts is constant; between these, the
//! longest run of words that every text has once parts them, and both sides are treated the same way. A run has to be
//! worth it: a label, a line of its own, or three words; so that `, and` isn't taken for a template.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::pattern::{Pattern, Piece};
use super::runs::common;

/// So many texts show what is constant.
const SHOWN: usize = 32;
/// Fewer texts of one template show nothing …
const LEAST: usize = 3;
/// … and so do fewer of many.
const HALF: usize = 10;
/// Texts of more templates than so many aren't parted: collections have ten for a task.
const MOST_TEMPLATES: usize = 20;
/// A run of words is no longer looked at beyond so many.
const LONGEST: usize = 400;

/// The templates that these texts were rendered with, the one that says most first; none where nothing is the same in
/// them.
///
/// Most often that is one. Where nothing is the same in all texts, they are parted by how they begin and end.
pub fn induce(texts: &[&str]) -> Vec<Pattern> {
    let mut known = HashSet::new();
    let texts: Vec<&str> = texts.iter().copied().filter(|text| known.insert(*text)).collect();
    let mut found = refined(&texts, 0);
    if !found.iter().any(Pattern::has_words) {
        let parted = parted(&texts);
        let fitting = texts.iter().filter(|text| fits_one(&parted, text)).count();
        if 5 * fitting >= 4 * texts.len() && !parted.is_empty() {
            found = parted;
        }
    }
    // What `{}` and `Input: {}` both fit is a row of the latter.
    found.sort_by_key(|pattern| std::cmp::Reverse(pattern.texts().map(str::len).sum::<usize>()));
    found
}

fn fits_one(patterns: &[Pattern], text: &str) -> bool {
    patterns.iter().any(|pattern| pattern.apart(text).is_some())
}

/// The template of texts, or those of parts of them, where what stands in a slot shows that there are several.
fn refined(texts: &[&str], depth: usize) -> Vec<Pattern> {
    /// Styles differ in few places.
    const DEEPEST: usize = 4;
    let Some(pattern) = whole(texts) else { return Vec::new() };
    // A row in twenty may be of no template at all.
    let texts: Vec<&str> = texts.iter().copied().filter(|text| pattern.apart(text).is_some()).collect();
    let texts = texts.as_slice();
    if depth < DEEPEST && pattern.has_words() {
        for slot in 0..pattern.slots().count() {
            let parts = by_form(texts, &pattern, slot);
            let found: Vec<Vec<Pattern>> = parts.iter().map(|part| refined(part, depth + 1)).collect();
            if found.len() > 1 && found.iter().all(|found| found.iter().any(Pattern::has_words)) {
                return found.into_iter().flatten().collect();
            }
        }
    }
    vec![pattern]
}

/// The template that says most of those that some of the texts have, and nearly all fit.
fn whole(texts: &[&str]) -> Option<Pattern> {
    let long = |pattern: &Pattern| pattern.texts().map(str::len).sum::<usize>();
    let fits = |pattern: &Pattern| texts.iter().filter(|text| pattern.apart(text).is_some()).count();
    let first = induce_one(&texts[..texts.len().min(SHOWN)]);
    // What fits everywhere because it says nothing is compared with the others.
    let is_enough = |first: &&Pattern| first.has_words() && fits(first) == texts.len() && texts.len() > SHOWN;
    if let Some(first) = first.as_ref().filter(is_enough) {
        return Some(first.clone());
    }
    // A text that has another template, or none, is in one of the halves alone.
    let half = texts.len() / 2;
    let halves = [&texts[..half.min(SHOWN)], &texts[half..texts.len().min(half + SHOWN)]];
    let halves = halves.into_iter().filter(|half| half.len() >= HALF).map(induce_one);
    let all = std::iter::once_with(|| induce_one(texts));
    let found: Vec<(Pattern, usize)> = std::iter::once(first)
        .chain(halves)
        .chain(all)
        .flatten()
        .map(|pattern| {
            let fits = fits(&pattern);
            (pattern, fits)
        })
        .filter(|(_, fits)| 20 * fits >= 19 * texts.len())
        .collect();
    let most = found.iter().map(|(pattern, _)| long(pattern)).max()?;
    // A little more that isn't in every text is chance: questions that mostly end alike.
    let best = found.into_iter().max_by_key(|(pattern, fits)| {
        let says_as_much = 5 * long(pattern) >= 4 * most;
        (says_as_much, *fits, long(pattern))
    });
    best.map(|(pattern, _)| pattern)
}

/// Texts by the form that a slot's content has in them: whether there is a word in it, which blanks stand at its ends, and
/// which label. One part where all forms that are there often are the same, or where they aren't nearly all.
fn by_form<'a>(texts: &[&'a str], pattern: &Pattern, slot: usize) -> Vec<Vec<&'a str>> {
    static LABELS: LazyLock<[Regex; 2]> = LazyLock::new(|| {
        // Words that styles have; a speaker's name before a line is content.
        let words = "(?i)(?:input|output|question|q|answer|a|response|task|instruction|definition|context|passage|text)";
        [format!(r"^\s*({words}:)"), format!(r"(?:^|\s)({words}:)\s*$")]
            .map(|pattern| Regex::new(&pattern).expect("the pattern is valid"))
    });
    let contents: Vec<&str> =
        texts.iter().filter_map(|text| Some(&text[pattern.apart(text)?.slots.get(slot)?.clone()])).collect();
    if contents.len() < texts.len() {
        return Vec::new();
    }
    let often = LEAST.max(texts.len() / 10);
    let mut forms: Vec<String> = contents
        .iter()
        .map(|content| match content.contains(char::is_alphanumeric) {
            false => "none".to_owned(),
            true => {
                let begin = content.len() - content.trim_start().len();
                let end = content.trim_end().len();
                // A blank at an end is content, an empty line a style's.
                let lines =
                    |blanks: &str| if blanks.contains('\n') { format!("{blanks:?}") } else { String::new() };
                format!("{}|{}", lines(&content[..begin]), lines(&content[end..]))
            }
        })
        .collect();
    for labels in &*LABELS {
        let found: Vec<Option<&str>> =
            contents.iter().map(|content| Some(labels.captures(content)?.get(1)?.as_str())).collect();
        // What all have stands in the constants, or is content.
        let without = found.iter().filter(|label| label.is_none()).count();
        for (form, label) in forms.iter_mut().zip(&found) {
            if let Some(label) = label
                && without >= often
                && found.iter().filter(|other| *other == &Some(*label)).count() >= often
            {
                form.push_str(label);
            }
        }
    }
    let mut parts: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (form, text) in forms.into_iter().zip(texts) {
        parts.entry(form).or_default().push(text);
    }
    parts.retain(|_, part| part.len() >= often);
    let kept: usize = parts.values().map(Vec::len).sum();
    if 20 * kept < 19 * texts.len() { Vec::new() } else { parts.into_values().collect() }
}

/// Texts of several templates: those that begin alike, and of the others those that end alike.
fn parted(texts: &[&str]) -> Vec<Pattern> {
    /// So many words say how a text begins or ends.
    const WORDS: usize = 3;
    let begin = |text: &str| -> String {
        let words: Vec<&str> = text.split_whitespace().take(WORDS).collect();
        words.join(" ")
    };
    let end = |text: &str| -> String {
        let words: Vec<&str> = text.split_whitespace().rev().take(WORDS).collect();
        words.join(" ")
    };
    let mut left: Vec<&str> = texts.to_vec();
    let mut found: Vec<(usize, Pattern)> = Vec::new();
    for key in [&begin as &dyn Fn(&str) -> String, &end] {
        let mut groups: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for text in &left {
            groups.entry(key(text)).or_default().push(text);
        }
        let least = LEAST.max(texts.len() / MOST_TEMPLATES);
        for group in groups.into_values().filter(|group| group.len() >= least) {
            for pattern in refined(&group, 1).into_iter().filter(says_something) {
                let before = left.len();
                left.retain(|text| pattern.apart(text).is_none());
                if before > left.len() {
                    found.push((before - left.len(), pattern));
                }
            }
        }
    }
    found.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
    found.into_iter().map(|(_, pattern)| pattern).collect()
}

/// Whether constants can't be a way in which contents happen to begin, such as `What is the`.
fn says_something(pattern: &Pattern) -> bool {
    let words =
        pattern.texts().flat_map(str::split_whitespace).filter(|word| word.contains(char::is_alphabetic));
    words.count() >= 5 || pattern.has_words() && pattern.texts().any(|text| text.contains(['\n', ':']))
}

/// A text as numbers of its tokens, with the byte at which each begins and that at which the last one ends.
struct Cut {
    tokens: Vec<u32>,
    at: Vec<usize>,
}

/// The template of texts that have one.
fn induce_one(texts: &[&str]) -> Option<Pattern> {
    if texts.len() < LEAST {
        return None;
    }
    let mut numbers: HashMap<&str, u32> = HashMap::new();
    let cuts: Vec<Cut> = texts.iter().map(|text| cut(text, &mut numbers)).collect();
    let all: Vec<Range<usize>> = cuts.iter().map(|cut| 0..cut.tokens.len()).collect();
    let shortest = all.iter().map(Range::len).min()?;
    let same = |token: &dyn Fn(&Cut) -> u32| {
        let first = token(&cuts[0]);
        cuts.iter().all(|cut| token(cut) == first)
    };
    let mut begin = (0..shortest).take_while(|at| same(&|cut| cut.tokens[*at])).count();
    let mut end =
        (0..shortest - begin).take_while(|at| same(&|cut| cut.tokens[cut.tokens.len() - 1 - at])).count();
    let text_of = |tokens: Range<usize>| &texts[0][cuts[0].at[tokens.start]..cuts[0].at[tokens.end]];
    if !is_edge(text_of(0..begin)) {
        begin = 0;
    }
    let long = cuts[0].tokens.len();
    if !is_edge(text_of(long - end..long)) {
        end = 0;
    }
    // What ends a sentence belongs to it, and so do a bullet and half a word to what follows them.
    end -= punctuation(text_of(long - end..long));
    if begin < shortest {
        begin -= unfinished(text_of(0..begin));
    }
    let middles: Vec<Range<usize>> = all.iter().map(|range| begin..range.end - end).collect();
    let mut constants = Vec::new();
    part(&cuts, &middles, texts, &mut constants, 0);
    let mut pieces = vec![Piece::Text(text_of(0..begin).to_owned())];
    let has_content = |ranges: &[Range<usize>]| ranges.iter().any(|range| !range.is_empty());
    let mut left = middles;
    for constant in constants {
        let here: Vec<Range<usize>> =
            left.iter().zip(&constant.at).map(|(range, at)| range.start..at.start).collect();
        if has_content(&here) {
            pieces.push(Piece::Slot(String::new()));
        }
        pieces.push(Piece::Text(text_of(constant.at[0].clone()).to_owned()));
        left = left.iter().zip(&constant.at).map(|(range, at)| at.end..range.end).collect();
    }
    if has_content(&left) {
        pieces.push(Piece::Slot(String::new()));
    }
    pieces.push(Piece::Text(text_of(long - end..long).to_owned()));
    let pattern = Pattern::new(pieces);
    // The whole can be constant only where all texts are the same, and one slot says nothing.
    (pattern.slots().next().is_some()
        && pattern.texts().next().is_some()
        && texts.iter().all(|text| pattern.apart(text).is_some()))
    .then_some(pattern)
}

/// Words, single marks and single blanks.
fn cut<'a>(text: &'a str, numbers: &mut HashMap<&'a str, u32>) -> Cut {
    let mut cut = Cut { tokens: Vec::new(), at: Vec::new() };
    let mut rest = text.char_indices().peekable();
    while let Some((at, c)) = rest.next() {
        let mut end = at + c.len_utf8();
        if c.is_alphanumeric() {
            while let Some((next, c)) = rest.next_if(|(_, c)| c.is_alphanumeric()) {
                end = next + c.len_utf8();
            }
        }
        let next = u32::try_from(numbers.len()).expect("tokens of some texts are few");
        cut.tokens.push(*numbers.entry(&text[at..end]).or_insert(next));
        cut.at.push(at);
    }
    cut.at.push(text.len());
    cut
}

/// A run of tokens that stands in every text.
struct Constant {
    /// Where, in each text.
    at: Vec<Range<usize>>,
}

/// Finds what parts these ranges of the texts, in order.
fn part(cuts: &[Cut], ranges: &[Range<usize>], texts: &[&str], to: &mut Vec<Constant>, depth: usize) {
    /// Templates have fewer parts.
    const DEEPEST: usize = 12;
    let Some(constant) = (depth < DEEPEST).then(|| longest(cuts, ranges, texts)).flatten() else { return };
    let left: Vec<Range<usize>> =
        ranges.iter().zip(&constant.at).map(|(range, at)| range.start..at.start).collect();
    let right: Vec<Range<usize>> =
        ranges.iter().zip(&constant.at).map(|(range, at)| at.end..range.end).collect();
    part(cuts, &left, texts, to, depth + 1);
    to.push(constant);
    part(cuts, &right, texts, to, depth + 1);
}

/// The run that says most among those that stand once in each of these ranges.
fn longest(cuts: &[Cut], ranges: &[Range<usize>], texts: &[&str]) -> Option<Constant> {
    // The shortest text has the fewest runs to look at.
    let least = (0..ranges.len()).min_by_key(|at| ranges[*at].len())?;
    let (shown, range) = (&cuts[least], ranges[least].clone());
    let within: Vec<&[u32]> =
        cuts.iter().zip(ranges).map(|(cut, range)| &cut.tokens[range.clone()]).collect();
    let runs =
        common(&within, least, LONGEST).into_iter().map(|run| range.start + run.start..range.start + run.end);
    let text_of = |run: &Range<usize>| &texts[least][shown.at[run.start]..shown.at[run.end]];
    // What ends a sentence belongs to what stands before it.
    let trimmed = runs.filter_map(|run| {
        let run = run.start + punctuation(text_of(&run))..run.end;
        let run = run.start..run.end - unfinished(text_of(&run));
        (!run.is_empty()).then_some(run)
    });
    let mut worth: Vec<(usize, Range<usize>)> =
        trimmed.filter_map(|run| Some((worth(text_of(&run))?, run))).collect();
    worth.sort_by_key(|(worth, run)| (std::cmp::Reverse(*worth), run.start));
    worth.dedup();
    worth.into_iter().take(64).find_map(|(_, run)| {
        let run = &shown.tokens[run];
        let mut repeated = 0;
        let mut at = Vec::with_capacity(cuts.len());
        for (cut, range) in cuts.iter().zip(ranges) {
            let mut places =
                cut.tokens[range.clone()].windows(run.len()).enumerate().filter(|(_, here)| *here == run);
            let first = range.start + places.next()?.0;
            repeated += usize::from(places.next().is_some());
            at.push(first..first + run.len());
        }
        (20 * repeated <= cuts.len()).then_some(Constant { at })
    })
}

/// Quotation marks, opening and closing.
const QUOTES: [(char, char); 4] = [('"', '"'), ('“', '”'), ('\'', '\''), ('`', '`')];

/// How much a run of tokens says that it belongs to a template; none where it may be chance.
fn worth(text: &str) -> Option<usize> {
    let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).count();
    let has_line = text.contains('\n');
    let is_label = words > 0 && text.trim_end().ends_with(':');
    if words == 1 && is_enumerator(text) {
        return None;
    }
    let is_separator = words > 0 && text.contains("[SEP]");
    let is_line_end = words == 0 && has_line && text.trim().is_empty();
    // Quotation marks around contents: `" and "`.
    let is_between_quotes = words > 0
        && QUOTES
            .iter()
            .any(|(open, close)| text.len() > 2 && text.starts_with(*close) && text.ends_with(*open));
    let is_worth = words >= 3
        || is_between_quotes
        || is_separator
        || (words > 0 && (is_label || has_line))
        || is_line_end;
    // A line is worth more than the same words within one, and blanks alone are worth least.
    is_worth.then(|| text.len() + 8 * usize::from(has_line) + 8 * usize::from(is_label))
}

/// Whether a text says which one of several follows: `(B)`, `- C:`, `Answer2:`. Lists are content, as long as they may be.
fn is_enumerator(text: &str) -> bool {
    let word: String = text.chars().filter(|c| c.is_alphanumeric()).collect();
    let is_letter = word.len() == 1 && !matches!(word.as_str(), "A" | "Q" | "a" | "q" | "M" | "W");
    let name = word.trim_end_matches(|c: char| c.is_ascii_digit());
    let is_option = ["", "answer", "option", "choice"].contains(&name.to_lowercase().as_str());
    is_letter || (is_option && name.len() < word.len())
}

/// Whether what all texts begin or end with may be constant: marks alone are content, such as the `?` of questions, but
/// not the quotation marks around it.
fn is_edge(text: &str) -> bool {
    text.contains(char::is_alphanumeric) || text.contains('\n') || matches!(text, "\"" | "“" | "”")
}

/// How many tokens at the end of a constant belong to the content behind it: a bullet, the first of a list's letters,
/// or a word that goes on.
fn unfinished(text: &str) -> usize {
    static FIRST: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?:^|\n)[^\S\n]*((?:[-*•][^\S\n]+)?(?:(?:\([Aa1]\)|[Aa1][.):]|(?:[Aa]nswer|[Oo]ption|[Cc]hoice) ?1:)[^\S\n]*)?)$").expect("the pattern is valid")
    });
    let mut kept = text;
    if let Some(first) = FIRST.captures(text).and_then(|found| found.get(1)) {
        kept = &text[..first.start()];
    }
    let is_open = |c: char| {
        c.is_whitespace() || matches!(c, '"' | '“' | '‘' | '\'' | '(' | '[' | '{' | '<' | '`' | '*' | ':')
    };
    kept = kept.trim_end_matches(|c| !is_open(c));
    tokens(&text[kept.len()..])
}

/// How many tokens a text is.
fn tokens(text: &str) -> usize {
    cut(text, &mut HashMap::new()).tokens.len()
}

/// How many tokens at the beginning of a constant end the sentence before it.
fn punctuation(text: &str) -> usize {
    let blanks = text.chars().take_while(|c| *c == ' ').count();
    let marks = text[blanks..].chars().take_while(|c| matches!(c, '.' | '?' | '!' | ',' | ';')).count();
    if marks > 0 { blanks + marks } else { 0 }
}
