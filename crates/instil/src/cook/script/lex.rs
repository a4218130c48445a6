//! From the text of a script to its tokens, with the ends of lines and blocks among them.

use super::{Fault, Place};

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    Name(String),
    Number(i64),
    /// A decimal from 0 to 1, in millionths.
    Share(u32),
    Text(String),
    /// A sign or a word of the language.
    Sign(&'static str),
    /// A line's end.
    Line,
    /// A block begins.
    Indent,
    /// A block ends.
    Dedent,
    End,
}

/// Signs, the longer before those that they begin with.
const SIGNS: &[&str] = &[
    "//=", "==", "!=", "<=", ">=", "+=", "-=", "*=", "%=", "//", "+", "-", "*", "%", "<", ">", "=", "(", ")",
    "[", "]", "{", "}", ",", ":", ".",
];
const WORDS: &[&str] = &[
    "def", "return", "if", "elif", "else", "for", "in", "not", "and", "or", "break", "continue", "pass",
    "True", "False", "None",
];
/// Words of Python that a script can't use, each with the way out.
const FOREIGN: &[(&str, &str)] = &[
    ("while", "loop over a range that is long enough, and `break`: `for i in range(1000):`"),
    ("import", "a script loads nothing; all operations are built in"),
    ("from", "a script loads nothing; all operations are built in"),
    ("load", "a script loads nothing; all operations are built in"),
    ("lambda", "write a function with `def` and name it"),
    ("class", "use a dict, or a tuple"),
    ("try", "ask before, with `if`; there are no exceptions"),
    ("raise", "stop the run with `fail(\"why\")`, or draw the sample anew with `redraw()`"),
    ("global", "functions read the names of the top level, and return what they make"),
    ("nonlocal", "functions read the names of the top level, and return what they make"),
    ("with", "a script has nothing to open"),
    ("assert", "write `if …: fail(\"why\")`"),
    ("del", "make a new list of what is to stay"),
    ("is", "compare with `==`"),
    ("yield", "return a list"),
    ("async", "a script has nothing to wait for"),
    ("await", "a script has nothing to wait for"),
];

pub(super) fn tokens(text: &str) -> Result<Vec<(Token, Place)>, Fault> {
    let mut lexer =
        Lexer { rest: text, line: 1, column: 1, tokens: Vec::new(), open: Vec::new(), blocks: vec![0] };
    lexer.run()?;
    Ok(lexer.tokens)
}

struct Lexer<'a> {
    rest: &'a str,
    line: u32,
    column: u32,
    tokens: Vec<(Token, Place)>,
    /// Brackets that are open, within which lines don't end.
    open: Vec<(&'static str, Place)>,
    /// How far the blocks are moved in.
    blocks: Vec<u32>,
}

impl Lexer<'_> {
    fn place(&self) -> Place {
        Place { line: self.line, column: self.column }
    }

    /// Goes on by `bytes` of the text, which end at a character's end.
    fn skip(&mut self, bytes: usize) {
        let (passed, rest) = self.rest.split_at(bytes);
        for letter in passed.chars() {
            if letter == '\n' {
                self.line += 1;
                self.column = 1;
            } else {
                self.column += 1;
            }
        }
        self.rest = rest;
    }

    fn run(&mut self) -> Result<(), Fault> {
        loop {
            if self.column == 1 && self.open.is_empty() {
                self.indent()?;
            }
            let Some(first) = self.rest.chars().next() else { break };
            let place = self.place();
            match first {
                '\n' => {
                    if self.open.is_empty() && !matches!(self.tokens.last(), None | Some((Token::Line, _))) {
                        self.tokens.push((Token::Line, place));
                    }
                    self.skip(1);
                }
                ' ' | '\t' | '\r' => self.skip(1),
                '#' => self.skip(self.rest.find('\n').unwrap_or(self.rest.len())),
                '\\' if self.rest.starts_with("\\\n") => self.skip(2),
                '"' | '\'' => self.text(place)?,
                '0'..='9' => self.number(place)?,
                'a'..='z' | 'A'..='Z' | '_' => self.name(place)?,
                _ => self.sign(place)?,
            }
        }
        if let Some((bracket, place)) = self.open.last() {
            return Err(Fault::new(*place, format!("`{bracket}` is not closed")));
        }
        let place = self.place();
        if !matches!(self.tokens.last(), None | Some((Token::Line | Token::Dedent, _))) {
            self.tokens.push((Token::Line, place));
        }
        self.tokens.extend(self.blocks[1..].iter().map(|_| (Token::Dedent, place)));
        self.tokens.push((Token::End, place));
        Ok(())
    }

    /// At the start of a line: whether a block begins or ends.
    fn indent(&mut self) -> Result<(), Fault> {
        let blanks = self.rest.len() - self.rest.trim_start_matches([' ', '\t']).len();
        let line = &self.rest[..blanks];
        let rest = &self.rest[blanks..];
        // A line without anything in it says nothing of blocks.
        if rest.is_empty() || rest.starts_with(['\n', '\r', '#']) {
            self.skip(blanks);
            return Ok(());
        }
        if line.contains('\t') {
            return Err(Fault::new(self.place(), "a tab at the start of a line").with_hint("use four blanks"));
        }
        self.skip(blanks);
        let (place, blanks) = (self.place(), blanks as u32);
        let current = self.blocks.last().copied().unwrap_or(0);
        if blanks > current {
            self.blocks.push(blanks);
            self.tokens.push((Token::Indent, place));
        }
        while self.blocks.last().is_some_and(|block| *block > blanks) {
            self.blocks.pop();
            self.tokens.push((Token::Dedent, place));
        }
        if self.blocks.last() != Some(&blanks) {
            return Err(Fault::new(place, "this line belongs to no block")
                .with_hint("move it in as far as a line above it"));
        }
        Ok(())
    }

    fn name(&mut self, place: Place) -> Result<(), Fault> {
        let len = self.rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(self.rest.len());
        let name = &self.rest[..len];
        if let Some((_, hint)) = FOREIGN.iter().find(|(word, _)| *word == name) {
            return Err(Fault::new(place, format!("a script has no `{name}`")).with_hint(*hint));
        }
        let token = match WORDS.iter().find(|word| **word == name) {
            Some(word) => Token::Sign(word),
            None => Token::Name(name.to_owned()),
        };
        self.skip(len);
        self.tokens.push((token, place));
        Ok(())
    }

    fn number(&mut self, place: Place) -> Result<(), Fault> {
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '_';
        let len = self.rest.find(|c| !is_part(c)).unwrap_or(self.rest.len());
        let text = &self.rest[..len];
        let token = if text.contains('.') {
            let share = crate::cook::knobs::millionths(text).ok_or_else(|| {
                Fault::new(place, format!("`{text}` is no share"))
                    .with_hint("decimals are shares from 0.0 to 1.0, with up to six places")
            })?;
            Token::Share(share)
        } else {
            let number = text.parse().map_err(|_| {
                Fault::new(place, format!("`{text}` is no number"))
                    .with_hint("write whole numbers of up to 18 digits")
            })?;
            Token::Number(number)
        };
        self.skip(len);
        self.tokens.push((token, place));
        Ok(())
    }

    fn text(&mut self, place: Place) -> Result<(), Fault> {
        let quote = &self.rest[..1];
        let triple = quote.repeat(3);
        let is_triple = self.rest.starts_with(&triple);
        let end = if is_triple { triple.as_str() } else { quote };
        let end = end.to_owned();
        self.skip(end.len());
        let mut text = String::new();
        loop {
            let Some(letter) = self.rest.chars().next() else {
                return Err(Fault::new(place, "this string is not closed"));
            };
            if self.rest.starts_with(&end) {
                self.skip(end.len());
                break;
            }
            match letter {
                '\n' if !is_triple => {
                    return Err(Fault::new(place, "this string is not closed where its line ends")
                        .with_hint("write `\\n` for a line's end, or three quotes around several lines"));
                }
                '\\' => {
                    let at = self.place();
                    self.skip(1);
                    let escape = self.rest.chars().next();
                    text.push(match escape {
                        Some('n') => '\n',
                        Some('t') => '\t',
                        Some(same @ ('\\' | '"' | '\'')) => same,
                        _ => {
                            return Err(Fault::new(at, "a string has no such escape")
                                .with_hint("there are \\n, \\t, \\\\, \\\" and \\'"));
                        }
                    });
                    self.skip(1);
                }
                letter => {
                    text.push(letter);
                    self.skip(letter.len_utf8());
                }
            }
        }
        self.tokens.push((Token::Text(text), place));
        Ok(())
    }

    fn sign(&mut self, place: Place) -> Result<(), Fault> {
        let Some(sign) = SIGNS.iter().find(|sign| self.rest.starts_with(**sign)) else {
            let letter = self.rest.chars().next().unwrap_or_default();
            let fault = Fault::new(place, format!("`{letter}` has no meaning here"));
            return Err(match letter {
                '/' => fault.with_hint("numbers are whole: divide with `//`"),
                _ => fault,
            });
        };
        match *sign {
            "(" | "[" | "{" => self.open.push((sign, place)),
            ")" | "]" | "}" => {
                let pair = match *sign {
                    ")" => "(",
                    "]" => "[",
                    _ => "{",
                };
                match self.open.pop() {
                    Some((open, _)) if open == pair => {}
                    Some((open, at)) => {
                        let Place { line, column } = at;
                        return Err(Fault::new(
                            place,
                            format!("`{sign}` doesn't close the `{open}` of line {line}, column {column}"),
                        ));
                    }
                    None => return Err(Fault::new(place, format!("`{sign}` closes nothing"))),
                }
            }
            _ => {}
        }
        self.skip(sign.len());
        self.tokens.push((Token::Sign(sign), place));
        Ok(())
    }
}
