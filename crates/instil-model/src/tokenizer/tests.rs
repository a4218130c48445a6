use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;
use crate::weights::gguf::Gguf;

/// A real tokenizer that needn't be there: SentencePiece with bytes for what it lacks.
#[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
fn tiny_stories() -> Option<Tokenizer> {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/models/TinyStories-656K"));
    if folder.is_dir() {
        return Some(Tokenizer::of_folder(folder).unwrap());
    }
    eprintln!("skipped: {} is not there", folder.display());
    None
}

static TINY_STORIES: LazyLock<Option<Tokenizer>> = LazyLock::new(tiny_stories);

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
        let Some(tokenizer) = &*TINY_STORIES else { return Ok(()) };
        prop_assert_eq!(streamed(tokenizer, &ids), tokenizer.decode(&ids).unwrap());
        let ids = tokenizer.encode(&text, true).unwrap();
        prop_assert_eq!(tokenizer.decode(&ids).unwrap(), text.clone());
        prop_assert_eq!(streamed(tokenizer, &ids), text);
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
fn a_text_that_goes_on_keeps_its_blanks() {
    let tokenizer = |decoder| made(decoder, &TOKENS);
    let text = |mut detokenizer: Detokenizer, ids: &[u32]| {
        let mut text: String = ids.iter().filter_map(|id| detokenizer.push(*id)).collect();
        text.extend(detokenizer.finish());
        text
    };
    // 0 is special, 3 and 5 begin with blanks, 4 is `a`.
    for (decoder, alone) in [(LLAMA, "the  "), (METASPACE, "the  "), (KEEPS_HEAD, " the  ")] {
        let tokenizer = tokenizer(decoder);
        assert_eq!(text(tokenizer.detokenizer(), &[5, 3]), alone);
        assert_eq!(text(tokenizer.detokenizer().after(&[0]), &[5, 3]), alone, "nothing was said yet");
        assert_eq!(text(tokenizer.detokenizer().after(&[0, 4]), &[5, 3]), " the  ");
    }
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

#[derive(serde::Deserialize)]
struct Golden {
    text: String,
    ids: Vec<u32>,
    decoded: Option<String>,
}

fn goldens(path: &Path) -> Vec<Golden> {
    let json: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    serde_json::from_value(json["texts"].clone()).unwrap()
}

fn decoder_goldens() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens/decoder")
}

#[test]
fn a_folders_tokens_are_the_references() {
    let tokenizer = Tokenizer::of_folder(&decoder_goldens().join("llama")).unwrap();
    let goldens = goldens(&decoder_goldens().join("tokenizer.json-goldens.json"));
    assert!(goldens.len() > 5);
    for Golden { text, ids, .. } in goldens {
        assert_eq!(tokenizer.encode_prompt(&text).unwrap(), ids, "{text:?}");
    }
}

#[test]
fn a_gguf_vocabularys_tokens_and_texts_are_the_references() {
    for name in ["spm", "gpt-2", "llama-bpe", "qwen2"] {
        let path = decoder_goldens().join(format!("gguf/vocabulary-{name}"));
        let gguf = path.with_added_extension("gguf");
        let gguf = Gguf::parse(&fs::read(&gguf).unwrap(), &gguf).unwrap();
        let tokenizer = Tokenizer::of_gguf(&gguf).unwrap();
        let goldens = goldens(&path.with_added_extension("json"));
        assert!(goldens.len() > 5);
        for Golden { text, ids, decoded } in goldens {
            assert_eq!(tokenizer.encode(&text, false).unwrap(), ids, "{name}: {text:?}");
            let decoded = decoded.unwrap();
            assert_eq!(tokenizer.decode(&ids).unwrap(), decoded, "{name}: {text:?}");
            assert_eq!(streamed(&tokenizer, &ids), decoded, "{name}: {text:?}");
        }
    }
}

static VOCABULARIES: LazyLock<Vec<Tokenizer>> = LazyLock::new(|| {
    let path = |name| decoder_goldens().join(format!("gguf/vocabulary-{name}.gguf"));
    let gguf = |path: std::path::PathBuf| Gguf::parse(&fs::read(&path).unwrap(), &path).unwrap();
    let names = ["spm", "gpt-2", "llama-bpe", "qwen2"];
    names.iter().map(|name| Tokenizer::of_gguf(&gguf(path(name))).unwrap()).collect()
});

proptest! {
    #[test]
    fn every_gguf_vocabulary_streams(
        which in 0usize..4,
        text in "\\PC{0,30}",
        ids in prop::collection::vec(0u32..600, 0..30),
    ) {
        let tokenizer = &VOCABULARIES[which];
        prop_assert_eq!(streamed(tokenizer, &ids), tokenizer.decode(&ids).unwrap());
        let ids = tokenizer.encode(&text, false).unwrap();
        prop_assert_eq!(streamed(tokenizer, &ids), tokenizer.decode(&ids).unwrap());
    }
}

#[test]
fn sentence_pieces_follow_the_scores() {
    // `ab` scores higher than `bc`, and of two equal unions the left one wins.
    let tokens = ["<unk>", "▁", "a", "b", "c", "ab", "bc", "aa", "<0x64>"].map(str::to_owned);
    let scores = [0.0, -9.0, -9.0, -9.0, -9.0, -1.0, -2.0, -3.0, 0.0];
    let pieces = SentencePiece::new(&tokens, &scores, &|id| id == 0, false);
    assert_eq!(pieces.encode("abc"), [5, 4]);
    assert_eq!(pieces.encode("aaa"), [7, 2]);
    assert_eq!(pieces.encode("bca<unk>d"), [6, 2, 0, 8]);
    assert_eq!(pieces.encode("e"), [0], "no token and no byte");
    let leading = SentencePiece::new(&tokens, &scores, &|id| id == 0, true);
    assert_eq!(leading.encode("a<unk>a"), [1, 2, 0, 1, 2]);
    assert!(leading.encode("").is_empty());
}

#[test]
fn unknown_kinds_of_gguf_tokenizers_are_refused_by_name() {
    let refused = |texts: &[(&str, Value)]| {
        let gguf = Gguf {
            place: "a.gguf".into(),
            keys: Vec::new(),
            metadata: texts
                .iter()
                .map(|(key, value)| {
                    let value = match value {
                        Value::String(text) => crate::weights::gguf::Value::Text(text.clone()),
                        other => crate::weights::gguf::Value::Texts(
                            other
                                .as_array()
                                .unwrap()
                                .iter()
                                .map(|text| text.as_str().unwrap().to_owned())
                                .collect(),
                        ),
                    };
                    (format!("tokenizer.ggml.{key}"), value)
                })
                .collect(),
            tensors: Default::default(),
        };
        Tokenizer::of_gguf(&gguf).map(drop).unwrap_err().to_string()
    };
    let tokens = ("tokens", serde_json::json!(["a"]));
    assert_eq!(refused(&[]), "a.gguf: there is no tokenizer (`tokenizer.ggml.model`)");
    assert_eq!(
        refused(&[("model", "bert".into()), tokens.clone()]),
        "a.gguf: the tokenizer `bert` isn't known"
    );
    assert_eq!(refused(&[("model", "llama".into()), tokens.clone()]), "a.gguf: 1 tokens have 0 scores");
    let error = refused(&[("model", "gpt2".into()), ("pre", "tekken".into()), tokens]);
    assert!(error.starts_with("a.gguf: the tokenizer's pattern `tekken`"), "{error}");
}
