//! Pools of a tokenizer, and samples as its tokens.

use std::collections::HashSet;

use serde_json::{Map, Value, json};
use tokenizers::Tokenizer;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;

use super::*;

/// A byte-level tokenizer that has the words of a synthetic pool with the blank before them, `Document`, and a special
/// token; and one that has no bytes but knows letters, with `▁` for blanks, as SentencePiece has it.
fn tokenizer(is_bytes: bool) -> Tokenizer {
    let words = Pool::synthetic(300).unwrap();
    let blank = if is_bytes { 'Ġ' } else { '▁' };
    let mut alphabet: Vec<String> = if is_bytes {
        ByteLevel::alphabet().into_iter().map(String::from).collect()
    } else {
        (' '..='~').chain(['\n', blank]).map(String::from).collect()
    };
    alphabet.sort();
    let mut vocabulary = Map::new();
    let mut merges: Vec<Value> = Vec::new();
    let add = |token: String, vocabulary: &mut Map<String, Value>| {
        let next = vocabulary.len();
        vocabulary.entry(token).or_insert_with(|| next.into());
    };
    add("<s>".into(), &mut vocabulary);
    alphabet.into_iter().for_each(|letter| add(letter, &mut vocabulary));
    let whole = (0..words.size()).map(|word| format!("{blank}{}", words.word(word)));
    for word in whole.chain(["Document".to_owned(), format!("{blank}x")]) {
        let letters: Vec<char> = word.chars().collect();
        for end in 1..letters.len() {
            let head: String = letters[..end].iter().collect();
            merges.push(json!([head, letters[end].to_string()]));
            add(format!("{head}{}", letters[end]), &mut vocabulary);
        }
    }
    let mut seen = HashSet::new();
    merges.retain(|merge| seen.insert(merge.to_string()));
    let level =
        json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true});
    let space = json!({"type": "Metaspace", "replacement": "▁", "prepend_scheme": "never", "split": true});
    let file = json!({
        "version": "1.0", "truncation": null, "padding": null, "normalizer": null, "post_processor": null,
        "added_tokens": [{"id": 0, "content": "<s>", "single_word": false, "lstrip": false, "rstrip": false,
            "normalized": false, "special": true}],
        "pre_tokenizer": if is_bytes { &level } else { &space },
        "decoder": if is_bytes { &level } else { &space },
        "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "vocab": vocabulary,
            "merges": merges},
    });
    Tokenizer::from_bytes(file.to_string()).unwrap()
}

fn stream_of(pool: &Arc<Pool>, name: &str, wording: Wording) -> Stream {
    let mut plan = plan(name, wording, &[]).unwrap();
    plan.pool = Arc::clone(pool);
    for (knob, value) in match name {
        "lookup" => [("pairs", "5..9")].as_slice(),
        "mcqa" => &[("question_len", "10..20"), ("margin", "1")],
        "matching" => &[("fields", "2"), ("value_len", "1..6")],
        _ => &[],
    } {
        plan.settings.from.set(knob, value).unwrap();
        plan.settings.to.set(knob, value).unwrap();
    }
    Stream::new(plan).unwrap()
}

#[test]
fn safe_words_are_tokens_that_come_again() {
    for is_bytes in [true, false] {
        let tokenizer = tokenizer(is_bytes);
        let vocabulary = HuggingFace::new(&tokenizer).unwrap();
        let pool = Pool::of_vocabulary(&vocabulary, Words::Safe).unwrap();
        let words: HashSet<_> = (0..pool.size()).map(|word| pool.word(word).into_owned()).collect();
        let synthetic = Pool::synthetic(300).unwrap();
        assert!((0..300).all(|word| words.contains(synthetic.word(word).as_ref())));
        assert!(!words.contains("x") && !words.contains("Document"), "one letter, and no blank");
        assert_eq!(pool.mode(), "safe");
        let all = Pool::of_vocabulary(&vocabulary, Words::All).unwrap();
        assert_eq!(all.size() as usize, tokenizer.get_vocab_size(true) - 1, "all but <s>");
        assert_ne!(all.hash(), pool.hash());
        let any = Pool::of_vocabulary(&vocabulary, Words::AnyScript).unwrap();
        assert!(any.size() >= pool.size());
    }
}

#[test]
fn ids_are_those_of_the_text() {
    for is_bytes in [true, false] {
        let tokenizer = tokenizer(is_bytes);
        let vocabulary = HuggingFace::new(&tokenizer).unwrap();
        let pool = Arc::new(Pool::of_vocabulary(&vocabulary, Words::Safe).unwrap());
        for template in templates() {
            for wording in [Wording::Bare, Wording::Instruct, Wording::Harness] {
                let stream = stream_of(&pool, template.name(), wording);
                let mut encoder = Encoder::new(&stream, &vocabulary, Some(0), Some(0)).unwrap();
                let mut sample = Sample::default();
                for index in 0..20 {
                    stream.fill(index, &mut sample).unwrap();
                    assert!(stream.verify(&sample), "{}", sample.text());
                    let ids = encoder.encode(&sample).unwrap();
                    assert!(
                        encoder.is_exact(&sample, &ids).unwrap(),
                        "{}: {}",
                        template.name(),
                        sample.text()
                    );
                    let prompt = vocabulary.encode(sample.prompt()).unwrap();
                    assert_eq!(ids.prompt, prompt.len() + 1, "{}: {}", template.name(), sample.text());
                    let mask: Vec<u8> = ids.loss_mask().collect();
                    assert_eq!(
                        mask.iter().map(|one| usize::from(*one)).sum::<usize>(),
                        mask.len() - ids.prompt
                    );
                }
            }
        }
    }
}

#[test]
fn all_tokens_stay_themselves_though_their_text_does_not() {
    let tokenizer = tokenizer(true);
    let vocabulary = HuggingFace::new(&tokenizer).unwrap();
    let pool = Arc::new(Pool::of_vocabulary(&vocabulary, Words::All).unwrap());
    let stream = stream_of(&pool, "doc_qa", Wording::Bare);
    let mut encoder = Encoder::new(&stream, &vocabulary, None, None).unwrap();
    let mut sample = Sample::default();
    let mut exact = 0;
    for index in 0..100 {
        stream.fill(index, &mut sample).unwrap();
        assert!(stream.verify(&sample));
        let ids = encoder.encode(&sample).unwrap();
        let doc: Vec<u32> =
            sample.items(0).next().unwrap().iter().map(|word| pool.ids(*word).unwrap()[0]).collect();
        assert!(
            ids.input_ids.windows(doc.len()).any(|part| part == doc),
            "the drawn tokens are there, one for one"
        );
        exact += usize::from(encoder.is_exact(&sample, &ids).unwrap());
    }
    assert!(exact < 10, "{exact} texts of any tokens came again");
    let error =
        Encoder::new(&stream_of(&pool, "doc_qa", Wording::Chat), &vocabulary, None, None).err().unwrap();
    assert!(error.to_string().contains("chat template"));
    let synthetic = super::stream("doc_qa", Wording::Bare, &[]);
    assert!(Encoder::new(&synthetic, &vocabulary, None, None).is_err());
}
