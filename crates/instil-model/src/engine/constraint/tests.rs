//! Forms walked by any tokens that their masks allow.

use std::collections::BTreeSet;

use instil::TaskKind;
use instil::check::check;
use instil::check::words::occurs;
use instil::parse::{self, Asked};
use instil::reject::Reason;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::tokenizer::Tokenizer;

/// A tokenizer over bytes that has these tokens, and 0 for the end of text.
fn tokenizer<'a>(tokens: impl IntoIterator<Item = &'a [u8]>) -> Tokenizer {
    let mut others = (256..).filter_map(char::from_u32);
    let letters: Vec<char> = (0..=255_u8)
        .map(|byte| match byte {
            b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff => char::from(byte),
            _ => others.next().unwrap(),
        })
        .collect();
    let spelt = |token: &[u8]| token.iter().map(|byte| letters[usize::from(*byte)]).collect::<String>();
    let tokens: BTreeSet<String> = tokens.into_iter().map(spelt).collect();
    let mut vocabulary: serde_json::Map<_, _> =
        (1..).zip(tokens).map(|(id, token): (u32, String)| (token, json!(id))).collect();
    vocabulary.insert("<end>".into(), json!(0));
    let bytes =
        json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true});
    let files = [
        (
            "tokenizer.json",
            json!({
                "version": "1.0", "decoder": bytes, "model": {"type": "BPE", "vocab": vocabulary, "merges": []},
                "added_tokens": [{"id": 0, "content": "<end>", "special": true, "single_word": false,
                    "lstrip": false, "rstrip": false, "normalized": false}],
            }),
        ),
        ("tokenizer_config.json", json!({"eos_token": "<end>"})),
    ];
    Tokenizer::of_files("a test", &|name| {
        Ok(files.iter().find(|(file, _)| *file == name).map(|(_, json)| json.to_string().into_bytes()))
    })
    .unwrap()
}

/// Every byte, and these.
fn with_bytes(more: &[Vec<u8>]) -> Tokenizer {
    let bytes: Vec<[u8; 1]> = (0..=255).map(|byte| [byte]).collect();
    let bytes = bytes.iter().map(<[u8; 1]>::as_slice);
    tokenizer(bytes.chain(more.iter().map(Vec::as_slice)))
}

fn constraints(tokenizer: &Tokenizer) -> Arc<Constraints> {
    // Rows are wider than the vocabulary, as models' often are.
    Arc::new(Constraints::new(Vocabulary::of(tokenizer, tokenizer.vocab_size() + 3).unwrap()))
}

/// What a form gives if each token is drawn from those allowed, in at most `left` of them.
fn walk(form: &Form, tokenizer: &Tokenizer, mut left: u32, mut draw: impl FnMut(usize) -> usize) -> Vec<u8> {
    let mut form = form.clone();
    let mut written = Vec::new();
    while left > 0 {
        let mask = form.mask(left);
        let allowed: Vec<u32> =
            (0..).take(tokenizer.vocab_size() + 3).filter(|token| mask.allows(*token)).collect();
        assert!(!allowed.is_empty());
        assert_eq!(mask.first(), allowed.first().copied());
        let token = allowed[draw(allowed.len())];
        if token == 0 {
            return written;
        }
        written.extend_from_slice(tokenizer.token_bytes(token).unwrap());
        left -= 1;
        form.push(token, left);
    }
    panic!("no end after {:?}", String::from_utf8_lossy(&written));
}

/// Whether a form allows these tokens and the end after them.
fn allows(form: &Form, tokens: &[u32], left: u32) -> bool {
    let mut form = form.clone();
    let all = tokens.iter().chain([&0]).zip((0..=left).rev()).all(|(token, left)| {
        let allowed = form.mask(left).allows(*token);
        form.push(*token, left - 1);
        allowed
    });
    all && tokens.len() < left as usize
}

/// Some tokens that together are a text, chosen by `draw`.
fn spelt(tokenizer: &Tokenizer, text: &[u8], mut draw: impl FnMut(usize) -> usize) -> Vec<u32> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let fitting: Vec<u32> = (1..tokenizer.vocab_size() as u32)
            .filter(|token| text[at..].starts_with(tokenizer.token_bytes(*token).unwrap()))
            .collect();
        let token = fitting[draw(fitting.len())];
        at += tokenizer.token_bytes(token).unwrap().len();
        tokens.push(token);
    }
    tokens
}

/// Numbers below others, from a list that is gone through again and again.
fn numbers(seed: &[u32]) -> impl FnMut(usize) -> usize {
    let mut state = seed.iter().fold(7_u64, |state, number| state * 31 + u64::from(*number));
    move |below| {
        state = instil::rng::nth(state, 1);
        (state % below as u64) as usize
    }
}

fn texts() -> impl Strategy<Value = String> {
    proptest::collection::vec(
        proptest::sample::select(vec![
            "a", "cat", "Is", "don't", " ", " ", "  ", "\n", ",", ". ", "(", ")", "é", "北京", "12", "$",
            "-", "<|pipe|>", "</s>", "{{", "}}", "’", "\u{301}", "🐈",
        ]),
        1..14,
    )
    .prop_map(|words| words.concat())
}

/// Tokens that are pieces of a text, broken characters among them.
fn pieces(text: &str, cuts: &[(usize, usize)]) -> Vec<Vec<u8>> {
    let bytes = text.as_bytes();
    cuts.iter()
        .filter_map(|(from, len)| bytes.get(from % bytes.len()..(from % bytes.len() + len).min(bytes.len())))
        .filter(|piece| !piece.is_empty())
        .map(<[u8]>::to_vec)
        .collect()
}

fn pair(kind: TaskKind, passage: &str, labels: &[&str]) -> Constraint {
    let labels = labels.iter().map(|label| (*label).to_owned()).collect();
    Constraint::Pair(Arc::new(Pair { kind, passage: passage.to_owned(), labels }))
}

/// A form in front of whose response everything was written.
fn behind(form: &Form, instruction: &str, tokenizer: &Tokenizer) -> Form {
    let mut form = form.clone();
    for token in spelt(tokenizer, format!("{instruction}{PIPE}").as_bytes(), |_| 0) {
        assert!(form.mask(500).allows(token), "{instruction}");
        form.push(token, 499);
    }
    form
}

proptest! {
    /// Words of a passage can be written in all tokens that spell them, and what is written are words of it.
    #[test]
    fn every_span_is_reachable_in_every_tokens(
        text in texts(),
        cuts in proptest::collection::vec((0_usize..60, 1_usize..9), 0..12),
        seed in proptest::collection::vec(0_u32..1000, 3),
        left in 1_u32..60,
    ) {
        let tokenizer = with_bytes(&pieces(&text, &cuts));
        let shared = constraints(&tokenizer);
        let form = Form::of(&shared, &pair(TaskKind::Exqa, &text, &[]), false, 500).unwrap().unwrap();
        let form = behind(&form, "{{context}} What?", &tokenizer);
        let mut draw = numbers(&seed);
        let bounds: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
        let mut spans = 0;
        for (number, from) in bounds.iter().enumerate() {
            for to in &bounds[number + 1..] {
                let span = &text[*from..*to];
                let is_bare = span.starts_with(char::is_alphanumeric) && span.ends_with(char::is_alphanumeric);
                let before = text[..*from].chars().next_back();
                let after = text[*to..].chars().next();
                let parts = |c: Option<char>| c.is_none_or(|c| c == ' ' || c == '\n');
                // Whole words, as plain as they can be: with marks at their ends more is allowed.
                if is_bare && parts(before) && parts(after) && !span.contains(PIPE) {
                    prop_assert!(occurs(span, &text));
                    spans += 1;
                    for blank in ["", "\n", " "] {
                        let tokens = spelt(&tokenizer, format!("{blank}{span}").as_bytes(), &mut draw);
                        prop_assert!(allows(&form, &tokens, 400), "{text:?}: {span:?} {tokens:?}");
                    }
                }
            }
        }
        if spans > 0 {
            // Enough for a word in bytes.
            let left = left + 60;
            let written = String::from_utf8(walk(&form, &tokenizer, left, &mut draw)).unwrap();
            let answer = written.trim_start_matches(['\n', ' ']);
            prop_assert!(text.contains(answer) && occurs(answer, &text), "{text:?}: {answer:?}");
        }
    }

    /// Whatever tokens are drawn, a pair comes of it that parses and has an answer of its kind.
    #[test]
    fn every_pair_that_is_allowed_parses(
        text in texts(),
        cuts in proptest::collection::vec((0_usize..60, 1_usize..9), 0..12),
        kind in proptest::sample::select(TaskKind::ALL.to_vec()),
        seed in proptest::collection::vec(0_u32..1000, 3),
        left in 40_u32..80,
    ) {
        let more = ["<|", "|>", ">\n", "{{context}}", "{{con", "}} Is", "</s", "yes", "Ye", "s", " |", "|>\n "];
        let mut tokens = pieces(&text, &cuts);
        tokens.extend(more.iter().map(|token| token.as_bytes().to_vec()));
        let tokenizer = with_bytes(&tokens);
        let shared = constraints(&tokenizer);
        let labels = ["Sports", "World news"];
        let form = Form::of(&shared, &pair(kind, &text, &labels), false, left).unwrap().unwrap();
        let written = String::from_utf8(walk(&form, &tokenizer, left, numbers(&seed))).unwrap();
        let labels = labels.map(str::to_owned);
        let asked = Asked { kind, passage: &text, labels: if instil::prompt::takes_labels(kind) { &labels } else { &[] } };
        let parsed = parse::bonito(&written, false, asked);
        // What nobody can rule out byte by byte: an instruction that quotes the whole passage and nothing else.
        let quotes = parsed == Err(Reason::EmptyInstruction) && written.contains(text.trim());
        prop_assert!(parsed.is_ok() || quotes, "{kind:?} {text:?}: {written:?}: {parsed:?}");
        if let Ok(parsed) = parsed
            && !matches!(kind, TaskKind::Mcqa)
        {
            let verdict = check(&parsed, asked);
            let wrong = matches!(verdict, Err(Reason::NotYesNo | Reason::NotALabel | Reason::AnswerNotInText));
            prop_assert!(!wrong || kind == TaskKind::Exqa && !has_short_word(&text), "{kind:?} {text:?}: {written:?}: {verdict:?}");
        }
    }

    /// A vocabulary that can't write everything is never led where it can't go on.
    #[test]
    fn what_cannot_be_written_is_not_begun(
        choices in proptest::collection::vec("[ab]{1,5}", 1..5),
        tokens in proptest::collection::vec("[ab]{1,3}", 1..6),
        seed in proptest::collection::vec(0_u32..1000, 3),
        more in 0_u32..4,
    ) {
        let tokenizer = tokenizer(tokens.iter().map(String::as_bytes));
        let shared = constraints(&tokenizer);
        let constraint = Constraint::Choice(choices.clone().into());
        let writable = |text: &str| {
            let mut reached = BTreeSet::from([0]);
            for at in 0..text.len() {
                if reached.contains(&at) {
                    let fitting = tokens.iter().filter(|token| text[at..].starts_with(token.as_str()));
                    reached.extend(fitting.map(|token| at + token.len()));
                }
            }
            reached.contains(&text.len())
        };
        match Form::of(&shared, &constraint, true, 1000) {
            Err(why) => {
                prop_assert!(why.contains("no tokens"));
                prop_assert!(!choices.iter().any(|choice| writable(choice)));
            }
            Ok(form) => {
                let why = Form::of(&shared, &constraint, true, 1).err().unwrap();
                let least: u32 = why.split(' ').find_map(|word| word.parse().ok()).unwrap();
                let written = walk(&form.unwrap(), &tokenizer, least + more, numbers(&seed));
                prop_assert!(choices.iter().any(|choice| choice.as_bytes() == written));
            }
        }
    }
}

/// Whether a text has a word that fits what is kept for a response.
fn has_short_word(text: &str) -> bool {
    let is_short = |word: &str| word.len() < RESERVE as usize && word.contains(char::is_alphanumeric);
    text.split_whitespace().any(|word| is_short(word) && !word.contains('|'))
}

/// The pipe's own letters once passed for what an instruction says.
#[test]
fn a_pipe_is_no_instruction() {
    let tokenizer = with_bytes(&[]);
    let shared = constraints(&tokenizer);
    for (kind, instruction, is_allowed) in [
        (TaskKind::Exqa, "", false),
        (TaskKind::Exqa, "!]. ", false),
        (TaskKind::Exqa, "{{context}}", false),
        (TaskKind::Exqa, "Who?", true),
        (TaskKind::Exqa, "<|pi? ", false),
        (TaskKind::Exqa, "<|pi? So", true),
        (TaskKind::TextGen, "", false),
        (TaskKind::TextGen, "!", true),
        (TaskKind::TextGen, "{{context}}", true),
    ] {
        let form = Form::of(&shared, &pair(kind, "A cat sat.", &[]), false, 500).unwrap().unwrap();
        let tokens = spelt(&tokenizer, format!("{instruction}<|pipe|>\nA cat").as_bytes(), |_| 0);
        assert_eq!(allows(&form, &tokens, 400), is_allowed, "{kind:?} {instruction:?}");
    }
}

#[test]
fn answers_follow_the_instruction() {
    let tokenizer = with_bytes(&[]);
    let shared = constraints(&tokenizer);
    let ends = |kind, instruction: &str, response: &str| {
        let form = Form::of(&shared, &pair(kind, "A cat sat.", &[]), false, 500).unwrap().unwrap();
        let form = behind(&form, instruction, &tokenizer);
        allows(&form, &spelt(&tokenizer, response.as_bytes(), |_| 0), 100)
    };
    assert!(ends(TaskKind::Nli, "{{context}} So? Yes, No or Maybe?", "\nMaybe"));
    assert!(!ends(TaskKind::Nli, "{{context}} So? Yes, No or Maybe?", "\nNeutral"));
    assert!(ends(TaskKind::Nli, "{{context}} So?", "Neutral"));
    assert!(ends(TaskKind::Mcqa, "Who?\n- a cat\n- a hen\n", "a hen"));
    assert!(!ends(TaskKind::Mcqa, "Who?\n- a cat\n- a hen\n", "a dog"));
    assert!(ends(TaskKind::Exqa, "Who?", " cat sat."));
    assert!(!ends(TaskKind::Exqa, "Who?", "at"));
    assert!(ends(TaskKind::Qa, "Who?", "Nobody."));
    assert!(!ends(TaskKind::Qa, "Who?", " "));
    assert!(!ends(TaskKind::Qa, "Who?", "He said </s>."));
    assert!(!ends(TaskKind::Qa, "Who?", "{{question}}"));
    assert!(ends(TaskKind::TextGen, "Write.", "{{context}}"));
}

#[test]
fn what_takes_more_tokens_than_there_are_is_refused() {
    let tokenizer = with_bytes(&[b"<|pipe|>".to_vec()]);
    let shared = constraints(&tokenizer);
    let of = |left| Form::of(&shared, &pair(TaskKind::Qa, "A cat.", &[]), false, left);
    // A letter, the pipe, what is kept for the response, the end.
    let least = 1 + 1 + RESERVE + 1;
    assert!(of(least).is_ok());
    let why = of(least - 1).err().unwrap();
    assert!(why.contains(&format!("takes {least} tokens, and it may have {}", least - 1)), "{why}");
    let without = self::tokenizer([b"ab".as_slice()]);
    assert!(Form::of(&constraints(&without), &pair(TaskKind::Qa, "A cat.", &[]), false, 500).is_err());
}
