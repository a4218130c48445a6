use std::collections::BTreeMap;
use std::time::Instant;

use proptest::prelude::*;
use serde_json::json;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;

use super::*;
use crate::record::Origin;

fn document(text: &str) -> Document {
    Document {
        id: "d".to_owned(),
        text: text.to_owned(),
        origin: Origin { source: "a.txt".into(), row: Some(2) },
    }
}

/// The file of a byte-level tokenizer that merges a few letters, puts `<s>` before every text, and
/// cuts what is longer than four tokens.
fn tiny_tokenizer_json() -> String {
    let merges =
        [("t", "h"), ("th", "e"), ("Ġ", "the"), ("i", "n"), ("a", "n"), ("e", "r"), ("Ġ", "a"), ("Ċ", "Ċ")];
    let mut tokens: Vec<String> = ByteLevel::alphabet().into_iter().map(String::from).collect();
    tokens.sort_unstable();
    tokens.insert(0, "<s>".to_owned());
    tokens.extend(merges.iter().map(|(a, b)| format!("{a}{b}")));
    let vocabulary: BTreeMap<_, _> = tokens.into_iter().zip(0..).collect();
    let level =
        json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true});
    let special = json!({"id": 0, "content": "<s>", "single_word": false, "lstrip": false, "rstrip": false,
        "normalized": false, "special": true});
    let sequence = |id: &str| json!({"Sequence": {"id": id, "type_id": 0}});
    let start = json!({"SpecialToken": {"id": "<s>", "type_id": 0}});
    json!({
        "version": "1.0",
        "truncation": {"direction": "Right", "max_length": 4, "strategy": "LongestFirst", "stride": 0},
        "padding": {"strategy": {"Fixed": 16}, "direction": "Right", "pad_to_multiple_of": null, "pad_id": 0,
            "pad_type_id": 0, "pad_token": "<s>"},
        "added_tokens": [special],
        "normalizer": null,
        "pre_tokenizer": level,
        "post_processor": {"type": "TemplateProcessing", "single": [start, sequence("A")],
            "pair": [start, sequence("A"), sequence("B")],
            "special_tokens": {"<s>": {"id": "<s>", "ids": [0], "tokens": ["<s>"]}}},
        "decoder": level,
        "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "vocab": vocabulary,
            "merges": merges},
    })
    .to_string()
}

fn tiny_tokenizer() -> Arc<Tokenizer> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokenizer.json");
    fs::write(&path, tiny_tokenizer_json()).unwrap();
    Arc::new(load_tokenizer(&path).unwrap())
}

fn passages(text: &str, limit: Limit) -> Vec<String> {
    Chunker::new(limit).chunk(&document(text)).into_iter().map(|passage| passage.text).collect()
}

fn by_chars(text: &str, max: usize) -> Vec<String> {
    passages(text, Limit::Chars(max))
}

#[test]
fn a_document_within_the_limit_is_one_passage() {
    let text = "\n # Title\n\nOne.\n\n  Two. \n";
    let found = Chunker::new(Limit::Chars(21)).chunk(&document(text));
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].text, "# Title\n\nOne.\n\n  Two.");
    assert_eq!(found[0].text, text[found[0].span.clone()]);
    assert_eq!((&*found[0].document, found[0].origin.row), ("d", Some(2)));
    assert_eq!(by_chars(" \n\t", 10), [""; 0]);
    assert_eq!(by_chars("äöü", 3), ["äöü"]);
    let max = count(&tiny_tokenizer(), text.trim(), false);
    assert_eq!(passages(text, Limit::Tokens { max, tokenizer: tiny_tokenizer() }).len(), 1);
}

#[test]
fn nothing_is_cut_where_no_limit_is() {
    let text = format!("  {} ", "A cat sat. ".repeat(1000));
    let found = Chunker::whole().chunk(&document(&text));
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].text, text.trim());
    assert!(Chunker::whole().chunk(&document(" ")).is_empty());
}

#[test]
fn whole_paragraphs_go_together() {
    let text = "One is here.\n\nTwo is here.\n\nThree is here.\n\nFour is here.";
    assert_eq!(by_chars(text, 30), ["One is here.\n\nTwo is here.", "Three is here.\n\nFour is here."]);
}

#[test]
fn a_long_paragraph_is_cut_between_sentences() {
    let text = "Short one.\n\nThe cat sat on the mat. The dog lay on the rug. The bird flew over the tree.";
    let expected =
        ["Short one.\n\nThe cat sat on the mat.", "The dog lay on the rug.", "The bird flew over the tree."];
    assert_eq!(by_chars(text, 50), expected);
}

#[test]
fn a_long_sentence_is_cut_at_blanks_and_a_long_word_between_characters() {
    let text = "one two three four five six seven eight nine ten eleven twelve";
    for passage in by_chars(text, 16) {
        assert!(text.split(' ').collect::<Vec<_>>().join(" ").contains(&passage));
        assert!(passage.split(' ').all(|word| text.split(' ').any(|other| other == word)), "{passage}");
    }
    assert_eq!(by_chars("ääääääääää", 4), ["ääää", "ääää", "ää"]);
}

#[test]
fn a_heading_goes_with_what_it_heads() {
    let text = "The first part is here.\n\nSecond part\n\nIt is longer than the rest of the line.";
    assert_eq!(
        by_chars(text, 60),
        ["The first part is here.", "Second part\n\nIt is longer than the rest of the line."]
    );
    let text = "The first part is here.\n# Second\n## Part\nIt is longer than the rest of the line.";
    assert_eq!(
        by_chars(text, 60),
        ["The first part is here.", "# Second\n## Part\nIt is longer than the rest of the line."]
    );
}

#[test]
fn a_tiny_end_is_shared_with_what_comes_before() {
    let sentence = "The cat sat on the mat. ";
    let text = sentence.repeat(9);
    let lengths: Vec<_> = by_chars(&text, 200).iter().map(String::len).collect();
    assert_eq!(lengths, [95, 119]);
    let text = sentence.repeat(25);
    let lengths: Vec<_> = by_chars(&text, 200).iter().map(String::len).collect();
    assert_eq!(lengths, [191, 191, 95, 119]);
}

#[test]
fn tokens_are_counted_to_the_end() {
    let tokenizer = tiny_tokenizer();
    assert_eq!(count_tokens(&tokenizer, "the the"), 3, "<s>, the, Ġthe: neither cut nor padded");
    let text = "the cat and the dog ran in the rain. ".repeat(50);
    let passages = passages(&text, Limit::Tokens { max: 100, tokenizer: Arc::clone(&tokenizer) });
    let counts: Vec<_> = passages.iter().map(|passage| count_tokens(&tokenizer, passage) - 1).collect();
    assert!(counts.iter().all(|count| (40..=100).contains(count)), "{counts:?}");
}

#[test]
fn a_wrong_tokenizer_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokenizer.json");
    let error = load_tokenizer(&path).unwrap_err();
    assert_eq!(error.to_string(), format!("failed to read tokenizer `{}`", path.display()));
    assert_eq!(error.hint(), Some("name a `tokenizer.json`, as it lies beside the weights of a model"));
    fs::write(&path, "{}").unwrap();
    let error = load_tokenizer(&path).unwrap_err();
    assert_eq!(error.to_string(), format!("`{}` is not a tokenizer", path.display()));
    assert_eq!(error.hint(), Some("it must be a `tokenizer.json` in the format of Hugging Face tokenizers"));
}

#[test]
fn time_grows_with_the_text_and_not_with_its_square() {
    // Each of these would take minutes if anything were counted again for every piece.
    let word = "word ".repeat(200_000);
    let blob = "x".repeat(1_000_000);
    let lines = "A heading\n\n".repeat(100_000);
    let blanks = " ".repeat(1_000_000) + "end";
    for text in [&word, &blob, &lines, &blanks] {
        let start = Instant::now();
        let found = by_chars(text, 1000);
        assert!(found.iter().all(|passage| passage.chars().count() <= 1000));
        assert!(start.elapsed().as_secs() < 10, "{:.30}: {:?}", text, start.elapsed());
    }
}

#[test]
fn a_short_word_of_long_characters_is_cut() {
    let limit = |max| Limit::Tokens { max, tokenizer: tiny_tokenizer() };
    assert_sound("?{\u{c454c}", &limit(5));
    assert_eq!(passages("🦀🦀", limit(1)), ["🦀", "🦀"], "more tokens than the limit, and no way to cut");
}

/// What holds whatever the text and the limit.
fn assert_sound(text: &str, limit: &Limit) {
    let found = Chunker::new(limit.clone()).chunk(&document(text));
    let mut at = 0;
    for passage in &found {
        assert_eq!(passage.text, text[passage.span.clone()]);
        assert_eq!(passage.text, passage.text.trim());
        assert!(!passage.text.is_empty());
        assert!(text[at..passage.span.start].trim().is_empty(), "{:?}", &text[at..passage.span.start]);
        at = passage.span.end;
        let size = limit.measure(&passage.text);
        assert!(size <= limit.max() || passage.text.chars().count() == 1, "{size} of {:?}", passage.text);
    }
    assert!(text[at..].trim().is_empty(), "{:?}", &text[at..]);
    if limit.measure(text.trim()) <= limit.max() {
        assert!(found.len() <= 1);
    }
}

/// Texts with what chunking looks at: words, stops, blanks, lines and headings.
fn any_text() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        8 => "[a-z]{1,9} ",
        2 => "[A-Z][a-z]{0,5}[.!?:,] ?",
        2 => "\n{1,3}",
        1 => "\n#{1,3} [A-Z][a-z]{0,9}\n",
        1 => "[ \t\r\u{a0}\u{2028}\u{3000}]{1,4}",
        1 => "[äß你🦀\u{301}]{1,12}",
        1 => ".{0,12}",
    ];
    proptest::collection::vec(part, 0..80).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn passages_are_sound_by_characters(text in any_text(), max in 0usize..120) {
        assert_sound(&text, &Limit::Chars(max));
    }

    #[test]
    fn passages_are_sound_by_tokens(text in any_text(), max in 0usize..60) {
        assert_sound(&text, &Limit::Tokens { max, tokenizer: tiny_tokenizer() });
    }
}
