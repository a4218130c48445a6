use proptest::prelude::*;

use super::*;

/// A real tokenizer that needn't be there: SentencePiece with bytes for what it lacks.
fn tiny_stories() -> Option<Tokenizer> {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/models/TinyStories-656K"));
    if folder.is_dir() {
        return Some(Tokenizer::of_folder(folder).unwrap());
    }
    eprintln!("skipped: no {}", folder.display());
    None
}

/// A tokenizer of this `decoder` and these tokens, in the order of their ids; those in `<>` of more than one letter
/// that are no bytes are special.
fn made(decoder: &str, tokens: &[&str]) -> Tokenizer {
    let vocab: serde_json::Map<String, Value> =
        tokens.iter().enumerate().map(|(id, token)| ((*token).to_owned(), id.into())).collect();
    let special: Vec<Value> = tokens
        .iter()
        .enumerate()
        .filter(|(_, token)| token.starts_with("<s") || token.starts_with("</"))
        .map(|(id, token)| {
            serde_json::json!({
                "id": id, "content": token, "single_word": false, "lstrip": false, "rstrip": false,
                "normalized": false, "special": true
            })
        })
        .collect();
    let json = serde_json::json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": special,
        "normalizer": null, "pre_tokenizer": null, "post_processor": null,
        "decoder": serde_json::from_str::<Value>(decoder).unwrap(),
        "model": {"type": "BPE", "vocab": vocab, "merges": [], "byte_fallback": true, "unk_token": null}
    });
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("tokenizer.json"), json.to_string()).unwrap();
    Tokenizer::of_folder(folder.path()).unwrap()
}

const LLAMA: &str = r#"{"type": "Sequence", "decoders": [
    {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
    {"type": "ByteFallback"}, {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 0}]}"#;
const KEEPS_HEAD: &str = r#"{"type": "Sequence", "decoders": [
    {"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"}]}"#;
const METASPACE: &str =
    r#"{"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true}"#;
const BYTES: &str =
    r#"{"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true}"#;
const OTHER: &str = r#"{"type": "WordPiece", "prefix": "@@", "cleanup": true}"#;

const TOKENS: [&str; 20] = [
    "<s>", "</s>", "▁", "▁▁", "a", "▁the", "é", "<0xC3>", "<0xA9>", "<0xF0>", "<0x9F>", "<0x98>", "<0x80>",
    "<0x20>", "<0xFF>", "Ã", "©", "Ġ", "@@b", "ð",
];

/// What a detokenizer gives, part by part.
fn streamed(tokenizer: &Tokenizer, ids: &[u32]) -> String {
    let mut detokenizer = tokenizer.detokenizer();
    let mut text: String = ids.iter().filter_map(|id| detokenizer.push(*id)).collect();
    text.extend(detokenizer.finish());
    text
}

proptest! {
    #[test]
    fn parts_make_the_text_with_every_decoder(
        decoder in prop::sample::select(vec![LLAMA, KEEPS_HEAD, METASPACE, BYTES, OTHER]),
        ids in prop::collection::vec(0u32..22, 0..24),
    ) {
        let tokenizer = made(decoder, &TOKENS);
        prop_assert_eq!(streamed(&tokenizer, &ids), tokenizer.decode(&ids).unwrap());
    }

    #[test]
    fn a_real_vocabulary_streams_and_reads_back(text in "[a-zA-Z ,.!?'\"]{0,60}", ids in prop::collection::vec(0u32..2100, 0..40)) {
        let Some(tokenizer) = tiny_stories() else { return Ok(()) };
        prop_assert_eq!(streamed(&tokenizer, &ids), tokenizer.decode(&ids).unwrap());
        let ids = tokenizer.encode(&text, true).unwrap();
        prop_assert_eq!(tokenizer.decode(&ids).unwrap(), text.clone());
        prop_assert_eq!(streamed(&tokenizer, &ids), text);
    }
}

#[test]
fn a_character_of_several_tokens_comes_as_one() {
    let tokenizer = made(BYTES, &TOKENS);
    let mut detokenizer = tokenizer.detokenizer();
    assert_eq!(detokenizer.push(15), None, "half of é");
    assert_eq!(detokenizer.push(16).as_deref(), Some("é"));
    assert_eq!(detokenizer.push(19), None, "a quarter of something");
    assert_eq!(detokenizer.push(4).as_deref(), Some("\u{fffd}a"));
    assert_eq!(detokenizer.push(15), None);
    assert_eq!(detokenizer.finish().as_deref(), Some("\u{fffd}"), "what never became whole");

    let tokenizer = made(LLAMA, &TOKENS);
    let mut detokenizer = tokenizer.detokenizer();
    assert_eq!(detokenizer.push(5).as_deref(), Some("the"), "the blank at the head is none of the text");
    assert_eq!(detokenizer.push(0), None, "special tokens are no text");
    assert_eq!(detokenizer.push(5).as_deref(), Some(" the"));
    assert_eq!([9, 10, 11, 12].map(|id| detokenizer.push(id)), [const { None }; 4]);
    assert_eq!(detokenizer.push(4).as_deref(), Some("😀a"));
    assert_eq!(detokenizer.finish(), None);
    assert_eq!(detokenizer.push(5).as_deref(), Some("the"), "a new text begins");
}

#[test]
fn prompts_begin_and_completions_end() {
    let Some(tokenizer) = tiny_stories() else { return };
    assert_eq!((tokenizer.bos(), tokenizer.end(), tokenizer.pad()), (Some(1), Some(2), Some(0)));
    assert_eq!(tokenizer.eos(), &BTreeSet::from([2]));
    assert_eq!(
        tokenizer.decode(&[1, 2]).unwrap(),
        "",
        "its special tokens are `normalized`, and special all the same"
    );
    let plain = tokenizer.encode("Once upon", false).unwrap();
    assert_eq!(tokenizer.encode("Once upon", true).unwrap(), [&[1], plain.as_slice()].concat());
    assert_eq!(tokenizer.encode_prompt("Once upon").unwrap(), [&[1], plain.as_slice()].concat());
    assert_eq!(tokenizer.encode_completion("Once upon").unwrap(), [plain.as_slice(), &[2]].concat());
    assert_eq!(tokenizer.vocab_size(), 2048);
    assert_eq!(tokenizer.token_bytes(plain[0]), Some(" ".as_bytes()));
    assert_eq!(tokenizer.token_bytes(1), None);
    assert_eq!(tokenizer.encode_prompt("").unwrap(), [1]);
}

#[test]
fn flags_beside_the_tokenizer_decide_what_texts_begin_and_end_with() {
    let base = made(LLAMA, &TOKENS);
    let json = base.inner.to_string(false).unwrap();
    let open = |config: &str| {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("tokenizer.json"), &json).unwrap();
        fs::write(folder.path().join("tokenizer_config.json"), config).unwrap();
        fs::write(folder.path().join("generation_config.json"), r#"{"eos_token_id": [1, 7]}"#).unwrap();
        Tokenizer::of_folder(folder.path()).unwrap()
    };
    let tokens = r#""bos_token": "<s>", "eos_token": {"content": "</s>"}"#;
    let neither = open(&format!("{{{tokens}}}"));
    let both = open(&format!(r#"{{{tokens}, "add_bos_token": true, "add_eos_token": true}}"#));
    assert_eq!(neither.encode("aa", true).unwrap(), [4, 4]);
    assert_eq!(both.encode("aa", true).unwrap(), [0, 4, 4, 1]);
    assert_eq!(both.encode_prompt("aa").unwrap(), [0, 4, 4], "a prompt doesn't end");
    assert_eq!(both.eos(), &BTreeSet::from([1, 7]));
    assert_ne!(neither.hash(), both.hash());
}

#[test]
fn a_folder_without_a_readable_tokenizer_is_told_so() {
    let folder = tempfile::tempdir().unwrap();
    let error = Tokenizer::of_folder(folder.path()).map(drop).unwrap_err();
    assert!(error.to_string().ends_with("has no tokenizer.json"), "{error}");
    fs::write(folder.path().join("tokenizer.model"), "\n").unwrap();
    let error = Tokenizer::of_folder(folder.path()).map(drop).unwrap_err();
    assert!(format!("{error:?}").contains("`tokenizer.model` alone isn't read"), "{error:?}");
    assert!(error.hint().unwrap().contains("save_pretrained"));
    fs::write(folder.path().join("tokenizer.json"), "{").unwrap();
    let error = Tokenizer::of_folder(folder.path()).map(drop).unwrap_err();
    assert!(error.to_string().contains("tokenizer.json isn't understood"), "{error}");
}
