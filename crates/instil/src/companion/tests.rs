use std::path::Path;

use super::*;
use crate::convert::SHAPES;

fn shape(name: &str) -> &'static Shape {
    Shape::parse(name).unwrap()
}

fn text(companion: &str, path: &str, name: &str, columns: &[&'static str]) -> String {
    let data = Dataset::of(Path::new(path), shape(name), columns.iter().copied()).unwrap();
    Companion::parse(companion).unwrap().text(&data).unwrap()
}

fn refused(companion: Companion) -> Vec<&'static str> {
    SHAPES
        .iter()
        .filter(|shape| Rows::of(shape).is_ok() && companion.check(shape).is_err())
        .map(|shape| shape.name)
        .collect()
}

#[test]
fn what_a_tool_cannot_read_is_refused_by_name() {
    assert_eq!(
        refused(Companion::Axolotl),
        [
            "super-ni",
            "openai-dpo",
            "llamafactory-ranking",
            "preference-implicit",
            "unpaired-messages",
            "prompt-completion-messages",
            "prompt-messages",
            "prompt",
        ]
    );
    assert_eq!(
        refused(Companion::LlamaFactory),
        [
            "super-ni",
            "openai-dpo",
            "segments",
            "stepwise",
            "preference-messages",
            "preference-implicit-messages",
            "preference-implicit",
            "unpaired-messages",
            "prompt-completion-messages",
            "prompt-messages",
        ]
    );
    assert_eq!(refused(Companion::Trl), ["super-ni", "segments", "stepwise", "prompt-messages", "prompt"]);
    assert_eq!(
        refused(Companion::LmEval),
        [
            "super-ni",
            "segments",
            "stepwise",
            "preference-implicit-messages",
            "preference-implicit",
            "unpaired-messages",
            "unpaired",
            "prompt-messages",
            "prompt",
        ]
    );
    let error = Companion::LlamaFactory.check(shape("preference-messages")).unwrap_err();
    assert_eq!(error.to_string(), "llama-factory can't be told to read rows of `preference-messages`");
    assert_eq!(error.hint(), Some("`instil convert … --to preference-sharegpt` makes rows that it reads"));
}

#[test]
fn what_a_refusal_advises_is_read() {
    for companion in Companion::ALL {
        for name in refused(companion) {
            let error = companion.check(shape(name)).unwrap_err();
            let Some((_, advised)) = error.hint().unwrap().split_once("--to ") else { continue };
            let advised = advised.split('`').next().unwrap();
            companion.check(shape(advised)).unwrap();
        }
    }
}

#[test]
fn every_text_that_there_is_holds_the_path_and_the_mark() {
    for companion in Companion::ALL {
        for shape in SHAPES.iter().filter(|shape| companion.check(shape).is_ok()) {
            for path in ["my set/train.jsonl", "out"] {
                let data = Dataset::of(Path::new(path), shape, shape.columns().iter().copied()).unwrap();
                let text = companion.text(&data).unwrap();
                let place = match (companion, data.is_folder) {
                    (Companion::LlamaFactory, true) => "\"data\"",
                    (Companion::LlamaFactory | Companion::Trl, false) => "\"train.jsonl\"",
                    (_, true) => "\"out\"",
                    (_, false) => "\"my set/train.jsonl\"",
                };
                assert!(text.contains(place), "{text}");
                assert_eq!(text.lines().next().unwrap().contains(MARK), companion != Companion::LlamaFactory);
                assert!(text.ends_with('\n') && !text.contains("\n\n\n\n"), "{text}");
            }
        }
    }
}

#[test]
fn axolotl_gets_the_mapping_of_sharegpt() {
    insta::assert_snapshot!(text("axolotl", "out.jsonl", "sharegpt", &["conversations"]), @r#"
    # Made by instil: what axolotl has to know of this dataset. Put it into your configuration.
    # Paths are meant from the folder that axolotl is called in.
    datasets:
      - path: "out.jsonl"
        ds_type: json
        split: train
        type: chat_template
        field_messages: conversations
        message_property_mappings:
          role: from
          content: value
        roles:
          system: [system]
          user: [human, user]
          assistant: [gpt, assistant, model, chatgpt, bing, bard, function_call]
          tool: [observation, tool, function_response]
    chat_template: tokenizer_default
    "#);
}

#[test]
fn llama_factory_gets_columns_that_are_there_alone() {
    let entry = |columns: &[&'static str]| -> Value {
        serde_json::from_str(&text("llama-factory", "a.jsonl", "alpaca", columns)).unwrap()
    };
    assert_eq!(
        entry(&["instruction", "output"])["a"]["columns"],
        serde_json::json!({"prompt": "instruction", "response": "output"})
    );
    assert_eq!(
        entry(&["instruction", "input", "output", "system"])["a"]["columns"],
        serde_json::json!({"prompt": "instruction", "query": "input", "response": "output", "system": "system"})
    );
    let data = Dataset::of(Path::new("a.jsonl.gz"), shape("alpaca"), []).unwrap();
    let error = Companion::LlamaFactory.text(&data).unwrap_err();
    assert!(std::error::Error::source(&error).unwrap().to_string().contains("packed"));
}

#[test]
fn splits_are_told_apart() {
    let mut data = Dataset::of(Path::new("out"), shape("messages"), ["id", "messages"]).unwrap();
    data.splits = vec!["train".to_owned(), "validation".to_owned()];
    let entries: Value = serde_json::from_str(&Companion::LlamaFactory.text(&data).unwrap()).unwrap();
    assert_eq!(entries["out"]["split"], "train");
    assert_eq!(entries["out_validation"]["split"], "validation");
    assert_eq!(entries["out_validation"]["script_url"], ".");
    assert!(Companion::LmEval.text(&data).unwrap().contains("test_split: validation"));
    let axolotl = Companion::Axolotl.text(&data).unwrap();
    assert!(axolotl.contains("test_datasets:\n  - path: \"out\"\n    split: validation"), "{axolotl}");
}

#[test]
fn entries_of_others_stay_and_files_of_others_are_not_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.jsonl");
    std::fs::write(&path, "{\"prompt\":\"a\",\"completion\":\"b\"}\n").unwrap();
    let info = folder.path().join("dataset_info.json");
    std::fs::write(&info, r#"{"mine": {"file_name": "mine.json"}}"#).unwrap();
    let data = Dataset::look(&path, None).unwrap();
    assert_eq!(data.shape.name, "prompt-completion");
    assert_eq!(write(Companion::LlamaFactory, &data).unwrap(), info);
    let entries: Map<String, Value> = serde_json::from_slice(&std::fs::read(&info).unwrap()).unwrap();
    assert_eq!(entries.keys().collect::<Vec<_>>(), ["mine", "rows"]);
    // The same again is no trouble; an entry of the same name for another file is.
    write(Companion::LlamaFactory, &data).unwrap();
    std::fs::write(&info, r#"{"rows": {"file_name": "other.json"}}"#).unwrap();
    let error = write(Companion::LlamaFactory, &data).unwrap_err();
    assert!(error.to_string().ends_with("has an entry `rows` for other data"), "{error}");
    // What `datasets` keeps beside its own files.
    std::fs::write(&info, r#"{"features": {}, "splits": 1}"#).unwrap();
    assert!(write(Companion::LlamaFactory, &data).is_err());

    let yaml = write(Companion::Axolotl, &data).unwrap();
    assert_eq!(yaml, folder.path().join("rows.axolotl.yaml"));
    write(Companion::Axolotl, &data).unwrap();
    std::fs::write(&yaml, "base_model: mine\n").unwrap();
    assert!(write(Companion::Axolotl, &data).is_err());
    assert_eq!(std::fs::read_to_string(&yaml).unwrap(), "base_model: mine\n");
    assert!(!folder.path().join("rows.axolotl.yaml.partial").exists());
}

#[test]
fn names_are_what_trainers_take() {
    for (path, name) in [("a/my set.v2.jsonl", "my_set"), ("out/", "out"), (".hidden.jsonl", "hidden")] {
        assert_eq!(Dataset::of(Path::new(path), shape("text"), []).unwrap().name, name);
    }
}
