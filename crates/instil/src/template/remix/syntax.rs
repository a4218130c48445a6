//! A template as a sequence of text, outputs and tags, so that an expression is found however it is spelled.

use std::borrow::Cow;
use std::ops::Range;

use minijinja::machinery::{Token, tokenize};
use minijinja::syntax::SyntaxConfig;

use crate::template::engine::{Fault, SEPARATOR};

/// Filters that change no more of a passage than its ends, which are stripped anyway.
const NEUTRAL: [&str; 3] = ["trim", "string", "safe"];

/// What a piece of a template is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Printed as it stands.
    Text,
    /// `{{ … }}`.
    Output,
    /// `{% … %}`.
    Tag,
}

/// A token inside an output or tag; blanks between tokens, the quotes of a string and the spelling of its
/// escapes make no difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Word<'a> {
    Name(&'a str),
    Text(Cow<'a, str>),
    Mark(String),
}

/// A piece of a template; comments belong to none.
#[derive(Clone, Debug)]
pub(super) struct Piece<'a> {
    pub(super) kind: Kind,
    /// Its bytes in the Jinja text, delimiters included.
    pub(super) range: Range<usize>,
    /// Its bytes as text.
    pub(super) source: &'a str,
    /// The tokens between the delimiters; none of text.
    pub(super) words: Vec<Word<'a>>,
}

impl Piece<'_> {
    /// The word that a tag begins with, such as `if`.
    pub(super) fn tag(&self) -> Option<&str> {
        match (self.kind, self.words.first()) {
            (Kind::Tag, Some(Word::Name(name))) => Some(name),
            _ => None,
        }
    }

    /// Whether this prints the variable `name` as it is.
    pub(super) fn prints(&self, name: &str) -> bool {
        self.kind == Kind::Output && self.plain() == [Word::Name(name)]
    }

    /// The tokens without neutral filters behind a field.
    fn plain(&self) -> &[Word<'_>] {
        let mut words = self.words.as_slice();
        while let [rest @ .., Word::Mark(pipe), Word::Name(filter)] = words
            && pipe == "`|`"
            && NEUTRAL.contains(filter)
        {
            words = rest;
        }
        // `a ~ b | trim` trims `b` only.
        if is_path(words) { words } else { &self.words }
    }

    fn equals(&self, other: &Self) -> bool {
        self.kind == other.kind
            && match self.kind {
                Kind::Text => self.source == other.source,
                Kind::Output | Kind::Tag => self.words == other.words,
            }
    }
}

/// Whether this is a field, an attribute or an element of it: `a`, `a.b`, `a[0]`, `a["b"]`.
fn is_path(words: &[Word<'_>]) -> bool {
    let mut rest = match words {
        [Word::Name(_), rest @ ..] => rest,
        _ => return false,
    };
    let is = |word: &Word<'_>, mark: &str| matches!(word, Word::Mark(found) if found == mark);
    loop {
        rest = match rest {
            [] => return true,
            [dot, Word::Name(_), rest @ ..] if is(dot, "`.`") => rest,
            [open, Word::Text(_) | Word::Mark(_), close, rest @ ..]
                if is(open, "`[`") && is(close, "`]`") =>
            {
                rest
            }
            _ => return false,
        };
    }
}

/// The pieces of a template in order.
///
/// # Errors
/// When the text is no sequence of tokens: an open tag, an odd character in an expression.
pub(super) fn pieces(jinja: &str) -> Result<Vec<Piece<'_>>, Fault> {
    let mut pieces: Vec<Piece<'_>> = Vec::new();
    for token in tokenize(jinja, false, SyntaxConfig::default()) {
        let (token, span) = token.map_err(|e| Fault {
            message: e.detail().unwrap_or("not a template").to_owned(),
            line: e.line(),
            span: e.range(),
        })?;
        let range = span.start_offset as usize..span.end_offset as usize;
        let word = match token {
            Token::TemplateData(_) | Token::VariableStart | Token::BlockStart => {
                let kind = match token {
                    Token::TemplateData(_) => Kind::Text,
                    Token::VariableStart => Kind::Output,
                    _ => Kind::Tag,
                };
                pieces.push(Piece { kind, source: &jinja[range.clone()], range, words: Vec::new() });
                continue;
            }
            Token::VariableEnd | Token::BlockEnd => {
                if let Some(piece) = pieces.last_mut() {
                    piece.range.end = range.end;
                    piece.source = &jinja[piece.range.clone()];
                }
                continue;
            }
            Token::Ident(name) => Word::Name(name),
            Token::Str(text) => Word::Text(text.into()),
            Token::String(text) => Word::Text(text.into_string().into()),
            Token::Int(n) => Word::Mark(n.to_string()),
            Token::Int128(n) => Word::Mark(n.to_string()),
            Token::Float(n) => Word::Mark(format!("{n:?}")),
            mark => Word::Mark(mark.to_string()),
        };
        if let Some(piece) = pieces.last_mut() {
            piece.words.push(word);
        }
    }
    Ok(pieces)
}

/// Whether [`find`] looks for this: where a context begins or ends with text, what belongs to it and what to
/// the text around it can't be told from tokens.
pub(super) fn can_be_found(context: &[Piece<'_>]) -> bool {
    let is_text = |piece: Option<&Piece<'_>>| piece.is_none_or(|piece| piece.kind == Kind::Text);
    !is_text(context.first()) && !is_text(context.last())
}

/// Where `context`, of which [`can_be_found`] holds, stands in `template`, in order and without overlaps.
/// An output of a field is found behind neutral filters too.
pub(super) fn find(template: &[Piece<'_>], context: &[Piece<'_>]) -> Vec<Range<usize>> {
    if !can_be_found(context) {
        return Vec::new();
    }
    let equal = |window: &[Piece<'_>]| match (window, context) {
        ([found], [sought]) if found.kind == Kind::Output && sought.kind == Kind::Output => {
            found.plain() == sought.plain()
        }
        _ => window.iter().zip(context).all(|(found, sought)| found.equals(sought)),
    };
    let mut ranges: Vec<Range<usize>> = Vec::new();
    for window in template.windows(context.len()) {
        let range = window[0].range.start..window[context.len() - 1].range.end;
        if ranges.last().is_none_or(|last| last.end <= range.start) && equal(window) {
            ranges.push(range);
        }
    }
    ranges
}

/// `jinja` with each range replaced by an output of the variable `name`; marks that eat the blanks around an
/// output stay.
pub(super) fn replace(jinja: &str, ranges: &[Range<usize>], name: &str) -> String {
    let mut replaced = String::with_capacity(jinja.len());
    let mut from = 0;
    for range in ranges {
        let found = jinja[range.clone()].as_bytes();
        let before = if found.get(2) == Some(&b'-') { "{{- " } else { "{{" };
        let eats_after = found.len() > 5 && found[found.len() - 3] == b'-';
        let after = if eats_after { " -}}" } else { "}}" };
        replaced.extend([&jinja[from..range.start], before, name, after]);
        from = range.end;
    }
    replaced + &jinja[from..]
}

/// The separators that stand in text, in order.
pub(super) fn separators(pieces: &[Piece<'_>]) -> Vec<Range<usize>> {
    let texts = pieces.iter().filter(|piece| piece.kind == Kind::Text);
    texts
        .flat_map(|piece| {
            let starts = piece.source.match_indices(SEPARATOR);
            starts.map(|(at, _)| piece.range.start + at..piece.range.start + at + SEPARATOR.len())
        })
        .collect()
}

/// `jinja` with blanks around its separators, so that a field which ends or begins with `|` can't shift one.
/// They are gone when the parts are stripped.
pub(super) fn spaced(jinja: &str, pieces: &[Piece<'_>]) -> String {
    let mut spaced = String::with_capacity(jinja.len() + 4);
    let mut from = 0;
    for separator in separators(pieces) {
        let before = &jinja[from..separator.start];
        spaced += before;
        if !before.ends_with(char::is_whitespace) {
            spaced.push(' ');
        }
        spaced += SEPARATOR;
        if !jinja[separator.end..].starts_with(char::is_whitespace) {
            spaced.push(' ');
        }
        from = separator.end;
    }
    spaced + &jinja[from..]
}

/// Whether every completion of the template is the variable `name` and nothing else: behind the first
/// separator no other output and no text but blanks.
pub(super) fn completes_with_only(pieces: &[Piece<'_>], name: &str) -> bool {
    let Some(separator) = separators(pieces).into_iter().next() else { return false };
    let mut printed = false;
    for piece in pieces.iter().filter(|piece| piece.range.end > separator.start) {
        match piece.kind {
            Kind::Text => {
                let from = separator.end.saturating_sub(piece.range.start);
                if !piece.source[from..].replace(SEPARATOR, "").trim().is_empty() {
                    return false;
                }
            }
            Kind::Output if piece.prints(name) => printed = true,
            Kind::Output => return false,
            Kind::Tag => {}
        }
    }
    printed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found<'a>(template: &'a str, context: &str) -> Vec<&'a str> {
        let ranges = find(&pieces(template).unwrap(), &pieces(context).unwrap());
        ranges.into_iter().map(|range| &template[range]).collect()
    }

    #[test]
    fn pieces_cover_a_template_but_its_comments() {
        let jinja = "é {{- a -}} \n{# c #}b{% if x %}{{ y }}{% endif %}{% raw %}{{ z }}{% endraw %}.\n";
        let sources: Vec<(Kind, &str)> =
            pieces(jinja).unwrap().iter().map(|piece| (piece.kind, piece.source)).collect();
        let (text, output, tag) = (Kind::Text, Kind::Output, Kind::Tag);
        let expected = [
            (text, "é"),
            (output, "{{- a -}}"),
            (text, "b"),
            (tag, "{% if x %}"),
            (output, "{{ y }}"),
            (tag, "{% endif %}"),
            (text, "{{ z }}"),
            (text, "."),
        ];
        let without_blanks: Vec<(Kind, &str)> = sources
            .into_iter()
            .map(|(kind, source)| (kind, source.trim()))
            .filter(|(_, s)| !s.is_empty())
            .collect();
        assert_eq!(without_blanks, expected);
    }

    #[test]
    fn an_expression_is_found_however_it_is_spelled() {
        let template = "{{a}} {{ a }} {{-a-}} {{a|trim}} {{ a | string|safe }} {{ab}} {{a.b}} {{a|lower}} {% if a %}x{% endif %}";
        assert_eq!(
            found(template, "{{ a }}"),
            ["{{a}}", "{{ a }}", "{{-a-}}", "{{a|trim}}", "{{ a | string|safe }}"]
        );
        assert_eq!(found("{{ a['b'][0] | trim }}", "{{a[\"b\"][0]}}"), ["{{ a['b'][0] | trim }}"]);
        assert_eq!(found("{{ a | join('\\n') }}", "{{a|join(\"\n\")}}"), ["{{ a | join('\\n') }}"]);
        assert_eq!(found("{{ a ~ b | trim }}", "{{ a ~ b }}"), [""; 0]);
        assert_eq!(found("{{ 1 }}{{ 1.0 }}", "{{ 1.0 }}"), ["{{ 1.0 }}"]);
        assert_eq!(found("{{ 'a' }}", "{{ a }}"), [""; 0]);
    }

    #[test]
    fn a_context_of_several_pieces_is_found_as_a_whole() {
        let list = "{% for s in all %}\n* {{ s }}{% endfor %}";
        assert_eq!(found("A {%for s in all%}\n* {{s}}{%endfor%} B", list).len(), 1);
        assert_eq!(found("A {%for s in all%}\n- {{s}}{%endfor%} B", list).len(), 0);
        assert_eq!(found("{{a}}{{a}}{{a}}", "{{a}}{{a}}").len(), 1);
        assert_eq!(found("x{{a}}", "x{{a}}").len(), 0);
        assert_eq!(found("{{a}}", "").len(), 0);
    }

    #[test]
    fn replacing_keeps_what_eats_blanks() {
        let jinja = "a {{- x -}} b {{x}} c {{ x -}}";
        let replaced = replace(jinja, &find(&pieces(jinja).unwrap(), &pieces("{{x}}").unwrap()), "y");
        assert_eq!(replaced, "a {{- y -}} b {{y}} c {{y -}}");
    }

    #[test]
    fn separators_get_room() {
        let room = |jinja: &str| spaced(jinja, &pieces(jinja).unwrap());
        assert_eq!(room("{{a}}|||{{b}}"), "{{a}} ||| {{b}}");
        assert_eq!(room("a\n|||\nb"), "a\n|||\nb");
        assert_eq!(room("|||{{ '|||' }}||||||"), " ||| {{ '|||' }} |||  ||| ");
    }

    #[test]
    fn a_completion_of_the_passage_alone_is_seen() {
        let only = |jinja: &str| completes_with_only(&pieces(jinja).unwrap(), "p");
        assert!(only("Write! ||| {{ p }}\n") && only("{% if a %}Write {{a}} |||\n{{p|trim}}{% endif %}"));
        assert!(only("{% if a %}{{a}}|||{{p}}{% else %} ||| {{p}}{% endif %}"));
        for other in
            ["a {{p}}", "a ||| b {{p}}", "a ||| {{p}}{{q}}", "a |||", "{{p}} ||| ", "a ||| {{p|upper}}"]
        {
            assert!(!only(other), "{other}");
        }
    }

    #[test]
    fn separators_in_expressions_and_comments_are_none() {
        let jinja = "{# ||| #}a ||| {{ '|||' }}{% raw %}|||{% endraw %}";
        assert_eq!(separators(&pieces(jinja).unwrap()).len(), 2);
    }
}
