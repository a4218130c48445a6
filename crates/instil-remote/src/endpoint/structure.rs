//! Constraints as servers take them: llama.cpp's `grammar`, vLLM's `structured_outputs`.
//!
//! Both read grammars in GBNF (llama.cpp's `grammars/README.md`; vLLM by way of xgrammar). A grammar is written before the
//! instruction is known, so labels of all sets are allowed, and the options of a question can't be; the checks decide. What
//! a server makes of a grammar where its tokens run out is its own matter: such an answer is cut off, and rejected.

use std::fmt::Write as _;

use instil::check::Answers;
use instil::lm::{Constraint, Pair};
use instil::prompt::bonito::{PIPE, PLACEHOLDER};
use serde_json::{Value, json};

/// Which structured output a server has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Structure {
    /// llama.cpp's: a field `grammar`.
    LlamaCpp,
    /// vLLM's, from 0.11 on: a field `structured_outputs`.
    Vllm,
}

impl Structure {
    /// That of the server that says of a model, in the answer to `GET /models`, that this is its owner.
    pub(super) fn of_owner(owner: &str) -> Option<Self> {
        match owner {
            "llamacpp" => Some(Self::LlamaCpp),
            "vllm" => Some(Self::Vllm),
            _ => None,
        }
    }

    /// The field of a call that holds a completion to something; none where it isn't held to anything.
    pub(super) fn field(self, constraint: &Constraint) -> Option<(&'static str, Value)> {
        let grammar = match constraint {
            Constraint::Free | Constraint::JsonSchema(_) => return None,
            Constraint::Choice(texts) if self == Self::Vllm => {
                return Some(("structured_outputs", json!({"choice": texts})));
            }
            Constraint::Choice(texts) => format!("root ::= {}\n", one_of(texts)),
            Constraint::Pair(pair) => of_pair(pair),
        };
        Some(match self {
            Self::LlamaCpp => ("grammar", grammar.into()),
            Self::Vllm => ("structured_outputs", json!({"grammar": grammar})),
        })
    }
}

/// An instruction, the pipe, a response. Both halves are without `<|`, which begins every marker, and `{{` only begins
/// the placeholder.
fn of_pair(pair: &Pair) -> String {
    let mut grammar = format!(
        "root ::= text {} \"\\n\"? response\ntext ::= piece+\npiece ::= [^<{{] | \"<\"+ [^<|{{] | {} | \"{{\" [^<{{]\n",
        quoted(PIPE),
        quoted(PLACEHOLDER)
    );
    match pair.answers("") {
        Answers::Any => grammar.push_str("response ::= text\n"),
        Answers::OneOf(texts) => {
            let _ = writeln!(grammar, "response ::= {}", one_of(&texts));
        }
        Answers::WordsOf(text) => words_of(&text, &mut grammar),
    }
    grammar
}

/// Words of a text, one after the other: a rule for each word, which the next one may follow.
fn words_of(text: &str, grammar: &mut String) {
    let words: Vec<(usize, &str)> =
        text.split_whitespace().map(|word| (word.as_ptr() as usize - text.as_ptr() as usize, word)).collect();
    let is_mark = |c: char| !c.is_alphanumeric();
    // Marks alone are no word, and none begins with them.
    let is_start = |word: &str| !word.trim_matches(is_mark).is_empty() && !word.contains(PIPE);
    let starts: Vec<String> = (0..)
        .zip(&words)
        .filter(|(_, (_, word))| is_start(word))
        .map(|(number, _)| format!("w{number}"))
        .collect();
    let _ = writeln!(grammar, "response ::= {}", starts.join(" | "));
    for (number, (at, word)) in words.iter().enumerate() {
        let next = words.get(number + 1).filter(|(_, next)| !next.contains(PIPE)).map(|(next, _)| {
            let gap = &text[at + word.len()..*next];
            format!("({} w{})?", quoted(gap), number + 1)
        });
        let next = next.unwrap_or_default();
        // What follows a word's last letter may be left out where the part ends.
        let core = word.trim_end_matches(is_mark);
        let rule = match (core.len(), &word[core.len()..]) {
            (0, _) | (_, "") => format!("{} {next}", quoted(word)),
            (_, marks) => format!("{} ({} {next})?", quoted(core), quoted(marks)),
        };
        let _ = writeln!(grammar, "w{number} ::= {}", rule.trim_end());
    }
}

fn one_of<T: AsRef<str>>(texts: &[T]) -> String {
    texts.iter().map(|text| quoted(text.as_ref())).collect::<Vec<_>>().join(" | ")
}

/// A text as a GBNF string.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => {
                let _ = write!(out, "\\U{:08X}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use instil::TaskKind;

    use super::*;

    fn pair(kind: TaskKind, passage: &str) -> Constraint {
        Constraint::Pair(Arc::new(Pair { kind, passage: passage.to_owned(), labels: Vec::new() }))
    }

    #[test]
    fn each_server_has_its_field() {
        let choice = Constraint::Choice(["a".to_owned(), "b \"c\"".to_owned()].into());
        assert_eq!(
            Structure::LlamaCpp.field(&choice),
            Some(("grammar", json!("root ::= \"a\" | \"b \\\"c\\\"\"\n")))
        );
        let vllm = Structure::Vllm.field(&choice);
        assert_eq!(vllm, Some(("structured_outputs", json!({"choice": ["a", "b \"c\""]}))));
        assert_eq!(Structure::Vllm.field(&Constraint::Free), None);
        assert!(Structure::of_owner("openai").is_none());
    }

    #[test]
    fn pairs_are_grammars() {
        let head = "root ::= text \"<|pipe|>\" \"\\n\"? response\ntext ::= piece+\n\
                    piece ::= [^<{] | \"<\"+ [^<|{] | \"{{context}}\" | \"{\" [^<{]\n";
        let of = |constraint| Structure::LlamaCpp.field(&constraint).unwrap().1.as_str().unwrap().to_owned();
        assert_eq!(of(pair(TaskKind::Qa, "A cat.")), format!("{head}response ::= text\n"));
        assert_eq!(
            of(pair(TaskKind::Ynqa, "A cat.")),
            format!(
                "{head}response ::= \"yes\" | \"Yes\" | \"no\" | \"No\" | \"true\" | \"True\" | \"false\" | \"False\"\n"
            )
        );
        assert_eq!(
            of(pair(TaskKind::Exqa, "A cat,\n - (sat).")),
            format!(
                "{head}response ::= w0 | w1 | w3\nw0 ::= \"A\" (\" \" w1)?\nw1 ::= \"cat\" (\",\" (\"\\n \" w2)?)?\n\
                 w2 ::= \"-\" (\" \" w3)?\nw3 ::= \"(sat\" (\").\" )?\n"
            )
        );
    }
}
