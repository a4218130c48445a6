//! What is wrong with a user's template.

use std::ops::Range;

use super::syntax::{self, Kind, Piece, Word};
use super::{Options, SkipReason, VARIABLE, invert_one};
use crate::template::collection::Template;
use crate::template::engine::{self, Compiled, Fault, SEPARATOR};

/// How much a [`Finding`] weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The template gives examples, but hardly those that were meant, or not to every verb.
    Warning,
    /// The template gives no example, whatever the row.
    Error,
}

impl Severity {
    /// The word for it in reports.
    pub fn word(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// Something that is wrong with a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How much it weighs.
    pub severity: Severity,
    /// The line of the Jinja text, from 1; none where the matter is in another key of the template.
    pub line: Option<usize>,
    /// The bytes of the Jinja text, on character boundaries.
    pub span: Option<Range<usize>>,
    /// What is wrong, one line without a final full stop.
    pub message: String,
    /// What to do about it.
    pub hint: String,
}

/// What is wrong with a template, in the order of its text; nothing if it can be used by every verb.
///
/// Only what is surely wrong or surely worth a look is said. After a fault of syntax nothing else is.
pub fn explain(template: &Template) -> Vec<Finding> {
    let mut report = Report { jinja: &template.jinja, findings: Vec::new() };
    let options = engine::Options { truncate: false };
    let compiled = Compiled::new(&template.jinja, None, options);
    let pieces = match compiled.and_then(|_| syntax::pieces(&template.jinja)) {
        Ok(pieces) => pieces,
        Err(fault) => {
            report.fault(&fault);
            return report.findings;
        }
    };
    report.answer_choices(template, &pieces);
    report.separators(&pieces);
    report.braces(&pieces);
    report.remix(template, &pieces);
    report.findings.sort_by_key(|finding| finding.span.as_ref().map_or(usize::MAX, |span| span.start));
    report.findings
}

struct Report<'a> {
    jinja: &'a str,
    findings: Vec<Finding>,
}

impl Report<'_> {
    fn add(&mut self, severity: Severity, span: Range<usize>, message: impl Into<String>, hint: &str) {
        let span = trimmed(self.jinja, span);
        let line = 1 + self.jinja[..span.start].matches('\n').count();
        let (message, hint) = (message.into(), hint.to_owned());
        self.findings.push(Finding { severity, line: Some(line), span: Some(span), message, hint });
    }

    fn add_to_file(&mut self, severity: Severity, message: impl Into<String>, hint: &str) {
        let (message, hint) = (message.into(), hint.to_owned());
        self.findings.push(Finding { severity, line: None, span: None, message, hint });
    }

    fn fault(&mut self, fault: &Fault) {
        let line = || {
            let number = fault.line.filter(|line| *line > 0).unwrap_or(1);
            let start: usize = self.jinja.split_inclusive('\n').take(number - 1).map(str::len).sum();
            let length = self.jinja[start..].split('\n').next().map_or(0, str::len);
            start..start + length
        };
        let span =
            fault.span.clone().filter(|span| self.jinja.get(span.clone()).is_some()).unwrap_or_else(line);
        let hint = "a template is Jinja: `{{ field }}` prints, `{% if field %}…{% endif %}` chooses";
        self.add(Severity::Error, span, fault.message.clone(), hint);
    }

    fn answer_choices(&mut self, template: &Template, pieces: &[Piece<'_>]) {
        if let Some(choices) = &template.answer_choices {
            if let Err(fault) = Compiled::new(choices, None, engine::Options { truncate: false }) {
                let message = format!("`answer_choices`: {}", fault.message);
                self.add_to_file(Severity::Error, message, "they are Jinja, parted by `|||`");
            }
            return;
        }
        let reads = |piece: &&Piece<'_>| piece.words.contains(&Word::Name("answer_choices"));
        if let Some(piece) = pieces.iter().find(reads) {
            let message = "`answer_choices` is read, and the template has none";
            let hint = "give them: `answer_choices: No ||| Yes`";
            self.add(Severity::Error, piece.range.clone(), message, hint);
        }
    }

    fn separators(&mut self, pieces: &[Piece<'_>]) {
        let all = syntax::separators(pieces);
        let Some(first) = all.first() else {
            if self.jinja.contains(SEPARATOR) {
                return;
            }
            let near = pieces.iter().filter(|piece| piece.kind == Kind::Text).find_map(|piece| {
                let at = piece.range.start + piece.source.find("||")?;
                Some(at..at + 2)
            });
            let (span, hint) = match near {
                Some(span) => (span, "this has one `|` too few"),
                None => (0..self.jinja.len(), "put `|||` between the prompt and the completion"),
            };
            self.add(Severity::Error, span, "there is no `|||`, so no completion", hint);
            return;
        };
        if let Some(second) = longest(pieces, &mut 0).get(1) {
            let message = "a second `|||` can follow the first, and a row has one completion";
            self.add(
                Severity::Warning,
                second.clone(),
                message,
                "leave one; several right answers are no part of a prompt template",
            );
        }

        // Behind a condition, what follows in the text need not follow in the rendering.
        let conditional = pieces.iter().any(|piece| piece.kind == Kind::Tag && piece.tag() != Some("set"));
        if conditional {
            return;
        }
        let varies = |piece: &&Piece<'_>| piece.kind == Kind::Output;
        let (before, behind): (Vec<&Piece<'_>>, Vec<&Piece<'_>>) =
            pieces.iter().filter(varies).partition(|piece| piece.range.start < first.start);
        let (prompt, completion) = (0..first.start, first.end..self.jinja.len());
        if self.jinja[completion.clone()].trim().is_empty() {
            let hint = "print the answer behind `|||`";
            self.add(
                Severity::Error,
                first.clone(),
                "nothing follows `|||`: every completion is empty",
                hint,
            );
        } else if behind.is_empty() {
            let hint = "print the field that holds the answer";
            self.add(Severity::Warning, completion, "every completion is the same: it prints no field", hint);
        }
        if self.jinja[prompt.clone()].trim().is_empty() {
            let hint = "ask for something before `|||`";
            self.add(Severity::Error, first.clone(), "nothing precedes `|||`: every prompt is empty", hint);
        } else if before.is_empty() {
            let hint = "print the field that holds the text or the question";
            self.add(Severity::Warning, prompt, "every prompt is the same: it prints no field", hint);
        }
    }

    /// Braces in text that look as if they were meant to print something.
    fn braces(&mut self, pieces: &[Piece<'_>]) {
        for piece in pieces.iter().filter(|piece| piece.kind == Kind::Text) {
            let literal = |at: usize| {
                // Inside `{% raw %}` braces are meant as they stand.
                let inside_raw = self.jinja[..at].rfind("endraw").map_or(0, |end| end + 6);
                self.jinja[inside_raw..at].contains("raw")
            };
            let mut found = Vec::new();
            for mark in ["}}", "%}"] {
                let places = piece.source.match_indices(mark).map(|(at, _)| piece.range.start + at);
                found.extend(places.filter(|at| !literal(*at)).map(|at| (mark, at)));
            }
            for (mark, at) in found {
                let message = format!("`{mark}` closes nothing, and is printed as it stands");
                self.add(Severity::Warning, at..at + mark.len(), message, "is an opening mark missing?");
            }
            for (at, _) in piece.source.match_indices('{') {
                let name: String =
                    piece.source[at + 1..].chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                let end = at + 1 + name.len();
                let starts_well = name.starts_with(|c: char| c.is_alphabetic() || c == '_');
                let single = !piece.source[end..].starts_with("}}") && piece.source[end..].starts_with('}');
                if starts_well && single && !literal(piece.range.start + at) {
                    let span = piece.range.start + at..piece.range.start + end + 1;
                    let message = format!("`{{{name}}}` is printed as it stands");
                    let hint = format!("`{{{{ {name} }}}}` prints the field");
                    self.add(Severity::Warning, span, message, &hint);
                }
            }
        }
    }

    /// What keeps the template from being turned inside out, where nothing above has said it.
    fn remix(&mut self, template: &Template, pieces: &[Piece<'_>]) {
        let broken = self.findings.iter().any(|finding| finding.severity == Severity::Error);
        match invert_one(template, &Options::default()) {
            Ok(inverted) if inverted.only_passage => {
                let behind = syntax::separators(pieces).first().map_or(0, |separator| separator.end);
                let message = "the completion is nothing but the passage, so `remix` makes nothing of it";
                let hint = "let the completion say something about the passage, or use `instil apply`";
                self.add(Severity::Warning, behind..self.jinja.len(), message, hint);
            }
            Ok(_) => {}
            Err(skipped) => {
                let hint = skipped.detail.as_str();
                let message = format!("`remix` leaves it out: {}", lower_first(&skipped.reason.to_string()));
                match skipped.reason {
                    SkipReason::NoSeparator => {}
                    SkipReason::InvalidTemplate if self.jinja.contains(VARIABLE) => {
                        let at = self.jinja.find(VARIABLE).unwrap_or(0);
                        self.add(Severity::Warning, at..at + VARIABLE.len(), message, hint);
                    }
                    SkipReason::InvalidTemplate if broken => {}
                    _ => self.add_to_file(Severity::Warning, message, hint),
                }
            }
        }
    }
}

fn lower_first(sentence: &str) -> String {
    let mut rest = sentence.chars();
    rest.next().map_or(String::new(), |first| first.to_lowercase().chain(rest).collect())
}

/// The span without the blanks at its ends, or as it is where nothing would be left.
fn trimmed(jinja: &str, span: Range<usize>) -> Range<usize> {
    let text = &jinja[span.clone()];
    let start = span.start + text.len() - text.trim_start().len();
    if text.trim().is_empty() { span } else { start..start + text.trim().len() }
}

/// The separators on the way through a template that meets most of them: one branch of each condition,
/// loops twice.
fn longest(pieces: &[Piece<'_>], at: &mut usize) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    while let Some(piece) = pieces.get(*at) {
        match piece.tag() {
            Some(opening @ ("if" | "for")) => {
                *at += 1;
                let mut worst = longest(pieces, at);
                if opening == "for" {
                    worst.extend(worst.clone());
                }
                while matches!(pieces.get(*at).and_then(Piece::tag), Some("elif" | "else")) {
                    *at += 1;
                    let other = longest(pieces, at);
                    if other.len() > worst.len() {
                        worst = other;
                    }
                }
                found.extend(worst);
            }
            Some("elif" | "else" | "endif" | "endfor") => return found,
            _ => found.extend(syntax::separators(std::slice::from_ref(piece))),
        }
        *at += 1;
    }
    found
}
