//! Every shape back and forth, and everything that a row can have wrong with it.

use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};

use super::record::{Content, Preference, Role, Turn};
use super::*;
use crate::reject::Reason;

fn shape(name: &str) -> &'static Shape {
    Shape::parse(name).unwrap()
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        other => panic!("not an object: {other}"),
    }
}

/// JSON with the keys of every object sorted: what "the same but for the order of its keys" compares.
fn normalised(value: &Value) -> String {
    fn sorted(value: &Value) -> Value {
        match value {
            Value::Object(object) => {
                let mut keys: Vec<_> = object.iter().collect();
                keys.sort_by_key(|(key, _)| *key);
                Value::Object(keys.into_iter().map(|(key, value)| (key.clone(), sorted(value))).collect())
            }
            Value::Array(list) => list.iter().map(sorted).collect(),
            other => other.clone(),
        }
    }
    sorted(value).to_string()
}

fn read_one(name: &str, row: Value) -> Result<Record, Misfit> {
    let mut read = shape(name).read(&object(row));
    assert_eq!(read.len(), 1);
    read.remove(0)
}

fn misfit(name: &str, row: Value) -> String {
    let misfit = read_one(name, row).unwrap_err();
    format!("{} {misfit}", misfit.reason.word())
}

fn finding(name: &str, row: Value) -> String {
    let record = read_one(name, row).unwrap();
    first_error(&record, shape(name))
        .map_or("-".to_owned(), |finding| format!("{} {}: {}", finding.code, finding.path, finding.message))
}

/// One row converted, with the words of what is lost.
fn converted(from: &str, to: &str, row: Value) -> (Value, Vec<&'static str>) {
    let record = read_one(from, row).unwrap();
    let written = shape(to).write(&record).unwrap();
    (Value::Object(written.row), written.losses.kinds().into_iter().map(Loss::word).collect())
}

// ---- rows of every shape, made up ----

fn text() -> BoxedStrategy<Value> {
    prop_oneof![
        4 => "[ -~]{0,30}",
        1 => Just("a <|im_end|> b ||| {{x}}\n\u{2028}\"\\ ".to_owned()),
        1 => "\\PC{0,8}",
    ]
    .prop_map(Value::from)
    .boxed()
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_filter("JSON has no others", |x| x.is_finite()).prop_map(Value::from),
        text(),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::hash_map("[a-z]{1,4}", inner, 0..3)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// An object of these keys, each of them there or optional, with a key or two that no shape knows.
fn row(keys: Vec<(&'static str, bool, BoxedStrategy<Value>)>) -> BoxedStrategy<Value> {
    let pairs: Vec<_> = keys
        .into_iter()
        .map(|(key, is_needed, value)| {
            let value = if is_needed {
                value.prop_map(Some).boxed()
            } else {
                prop_oneof![
                    1 => Just(None),
                    1 => Just(Some(Value::Null)),
                    3 => value.prop_map(Some),
                ]
                .boxed()
            };
            value.prop_map(move |value| (key, value)).boxed()
        })
        .collect();
    let unknown = prop::collection::hash_map("x_[a-z]{1,3}", any_json(), 0..3);
    (pairs, unknown, prop::option::of("[a-z0-9]{1,6}"))
        .prop_map(|(pairs, unknown, id)| {
            let known = pairs.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?)));
            let id = id.map(|id| ("id".to_owned(), Value::from(id)));
            Value::Object(known.chain(unknown).chain(id).collect())
        })
        .boxed()
}

fn list(of: BoxedStrategy<Value>) -> BoxedStrategy<Value> {
    prop::collection::vec(of, 0..4).prop_map(Value::from).boxed()
}

fn word(words: &'static [&'static str]) -> BoxedStrategy<Value> {
    select(words).prop_map(Value::from).boxed()
}

fn boolean() -> BoxedStrategy<Value> {
    any::<bool>().prop_map(Value::from).boxed()
}

fn tool() -> BoxedStrategy<Value> {
    text().prop_map(|name| json!({"type": "function", "function": {"name": name, "parameters": {}}})).boxed()
}

fn tool_call() -> BoxedStrategy<Value> {
    let arguments = prop_oneof![text(), Just(json!("{\"a\": 1}")), Just(json!({"a": 1}))].boxed();
    let function = row(vec![("name", true, text()), ("arguments", true, arguments)]);
    row(vec![("type", false, word(&["function"])), ("function", true, function)])
}

/// A message of OpenAI's dialect. Its content is there, or it calls something.
fn message(train: &'static str) -> BoxedStrategy<Value> {
    let parts =
        Just(json!([{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": "u"}}]));
    let weight = prop_oneof![Just(json!(0)), Just(json!(1)), Just(json!(true)), Just(json!(0.5))];
    let said = row(vec![
        ("role", true, word(&["system", "developer", "user", "assistant", "tool", "function"])),
        ("content", true, prop_oneof![4 => text(), 1 => parts].boxed()),
        ("name", false, text()),
        ("thinking", false, text()),
        ("reasoning_content", false, text()),
        ("tool_call_id", false, text()),
        ("tool_calls", false, list(tool_call())),
        (train, false, weight.boxed()),
    ]);
    let call = prop::collection::vec(tool_call(), 1..3).prop_map(Value::from).boxed();
    let called = row(vec![
        ("role", true, word(&["assistant"])),
        ("content", false, text()),
        ("tool_calls", true, call),
    ]);
    let arguments = text();
    let old = row(vec![("name", true, text()), ("arguments", true, arguments)]);
    let called_before = row(vec![
        ("role", true, word(&["assistant"])),
        ("content", false, text()),
        ("function_call", true, old),
    ]);
    prop_oneof![4 => said, 1 => called, 1 => called_before].boxed()
}

fn messages() -> BoxedStrategy<Value> {
    prop_oneof![1 => list(message("weight")), 2 => conversation()].boxed()
}

/// Messages that alternate, with a call and its result among them now and then.
fn conversation() -> BoxedStrategy<Value> {
    let round = ("[a-z ]{1,6}", "[a-z ]{1,6}", prop::option::of("[a-z]{1,3}"), any::<bool>());
    (any::<bool>(), prop::collection::vec(round, 1..3), any::<bool>())
        .prop_map(|(has_system, rounds, is_answered)| {
            let mut turns = Vec::new();
            if has_system {
                turns.push(json!({"role": "system", "content": "Be brief."}));
            }
            for (asked, answered, thought, calls) in rounds {
                turns.push(json!({"role": "user", "content": asked}));
                if calls {
                    let function = json!({"name": "f", "arguments": "{\"a\":1}"});
                    let call = json!({"id": "c", "type": "function", "function": function});
                    turns.push(json!({"role": "assistant", "content": null, "tool_calls": [call]}));
                    turns.push(json!({"role": "tool", "content": "b", "tool_call_id": "c"}));
                }
                let mut answer = json!({"role": "assistant", "content": answered});
                if let Some(thought) = thought {
                    answer["thinking"] = thought.into();
                }
                turns.push(answer);
            }
            if !is_answered {
                turns.pop();
            }
            Value::from(turns)
        })
        .boxed()
}

/// Messages, at least one.
fn answer() -> BoxedStrategy<Value> {
    let said = "[a-z]{1,6}".prop_map(|said| json!([{"role": "assistant", "content": said}]));
    let any = prop::collection::vec(message("weight"), 1..3).prop_map(Value::from);
    prop_oneof![1 => any, 2 => said].boxed()
}

fn sharegpt_turn(role: &'static str) -> BoxedStrategy<Value> {
    let call = prop_oneof![
        Just(json!("{\"name\":\"f\",\"arguments\":{\"a\":1}}")),
        Just(json!("{\"name\": \"f\", \"arguments\": {\"a\": 1}}")),
        Just(json!("[{\"name\":\"f\",\"arguments\":{}},{\"name\":\"g\",\"arguments\":\"x\"}]")),
        Just(json!("{\"name\": \"f\"}")),
        text(),
    ];
    let said = row(vec![
        (role, true, word(&["human", "gpt", "system", "observation", "user", "assistant", "tool", "bing"])),
        ("value", true, text()),
        ("weight", false, any_json().boxed()),
    ]);
    prop_oneof![3 => said, 1 => row(vec![(role, true, word(&["function_call"])), ("value", true, call.boxed())])]
        .boxed()
}

fn sharegpt(role: &'static str) -> BoxedStrategy<Value> {
    let tools = prop_oneof![
        Just(json!("[{\"name\":\"f\"}]")),
        Just(json!("[ {\"name\": \"f\"} ]")),
        Just(json!("")),
        Just(json!([{"name": "f"}])),
    ];
    row(vec![
        ("conversations", true, list(sharegpt_turn(role))),
        ("system", false, text()),
        ("tools", false, tools.boxed()),
    ])
}

fn chatml() -> BoxedStrategy<Value> {
    let turn =
        (select(&["system", "user", "assistant", "tool"][..]), "[a-z\n ]{0,12}", select(&["\n", ""][..]));
    let text = prop::collection::vec(turn, 1..4).prop_map(|turns| {
        let texts =
            turns.iter().map(|(role, said, end)| format!("<|im_start|>{role}\n{said}<|im_end|>{end}"));
        Value::from(texts.collect::<String>())
    });
    row(vec![("text", true, text.boxed())])
}

fn plain_text() -> impl Strategy<Value = String> {
    "[a-z.]{0,6}"
}

fn harmony() -> BoxedStrategy<Value> {
    let message = (
        select(
            &[
                "system",
                "developer",
                "user",
                "assistant",
                "tool",
                "assistant<|channel|>analysis",
                "assistant<|channel|>final",
                "assistant<|channel|>commentary",
                "assistant<|channel|>commentary to=functions.f <|constrain|>json",
                "assistant to=functions.g<|channel|>commentary json",
                "functions.f to=assistant<|channel|>commentary",
            ][..],
        ),
        "[a-z\n {}]{0,8}",
        select(&["<|end|>", "<|call|>", "<|return|>", "<|end|>\n"][..]),
    );
    let text = prop::collection::vec(message, 1..6).prop_map(|messages| {
        let texts =
            messages.iter().map(|(header, said, end)| format!("<|start|>{header}<|message|>{said}{end}"));
        Value::from(texts.collect::<String>())
    });
    row(vec![("text", true, text.boxed())])
}

fn task_file() -> BoxedStrategy<Value> {
    let texts = || prop::collection::vec(text(), 1..3).prop_map(Value::from).boxed();
    let definition = prop_oneof![text(), texts()].boxed();
    let example =
        || list(row(vec![("input", true, text()), ("output", true, text()), ("explanation", false, text())]));
    let numbers = prop::collection::vec(prop_oneof![any::<i64>().prop_map(Value::from), text()], 1..3);
    let output = prop_oneof![texts(), text(), numbers.prop_map(Value::from)].boxed();
    let instance = row(vec![("input", true, text()), ("output", true, output)]);
    row(vec![
        ("Definition", true, definition),
        ("Positive Examples", false, example()),
        ("Negative Examples", false, example()),
        ("Instances", true, prop::collection::vec(instance, 1..4).prop_map(Value::from).boxed()),
        ("Categories", false, list(text())),
    ])
}

/// Rows of a shape, by its name; a shape of texts alone is told by its columns.
pub(super) fn rows_of(shape: &Shape) -> BoxedStrategy<Value> {
    let tools = || prop::collection::vec(tool(), 0..2).prop_map(Value::from).boxed();
    let one = || sharegpt_turn("from");
    let rounds = list(prop::collection::vec(text(), 2).prop_map(Value::from).boxed());
    match shape.name {
        "super-ni" => task_file(),
        "openai-dpo" => {
            let input = row(vec![("messages", true, messages()), ("tools", false, tools())]);
            row(vec![
                ("input", true, input),
                ("preferred_output", true, answer()),
                ("non_preferred_output", true, answer()),
            ])
        }
        "segments" => {
            row(vec![("segments", true, list(row(vec![("text", true, text()), ("label", true, boolean())])))])
        }
        "stepwise" => (text(), prop::collection::vec(("[a-z]{0,4}", any::<bool>()), 0..4))
            .prop_map(|(prompt, steps)| {
                let (completions, labels): (Vec<String>, Vec<bool>) = steps.into_iter().unzip();
                json!({"prompt": prompt, "completions": completions, "labels": labels})
            })
            .boxed(),
        "preference-messages" => row(vec![
            ("prompt", true, messages()),
            ("chosen", true, answer()),
            ("rejected", true, answer()),
            ("tools", false, tools()),
        ]),
        "preference-ultra" => (messages(), answer(), answer(), text())
            .prop_map(|(turns, chosen, rejected, prompt)| {
                let join = |answer: &Value| {
                    let all = turns.as_array().unwrap().iter().chain(answer.as_array().unwrap());
                    Value::Array(all.cloned().collect())
                };
                json!({"prompt": prompt, "chosen": join(&chosen), "rejected": join(&rejected)})
            })
            .boxed(),
        "preference-chat" => row(vec![
            ("messages", true, messages()),
            ("chosen", true, message("weight")),
            ("rejected", true, message("weight")),
        ]),
        "preference-sharegpt" => row(vec![
            ("conversations", true, list(one())),
            ("chosen", true, one()),
            ("rejected", true, one()),
        ]),
        "preference-implicit-messages" => (messages(), messages(), messages())
            .prop_map(|(prompt, chosen, rejected)| {
                let join = |answer: &Value| {
                    let all = prompt.as_array().unwrap().iter().chain(answer.as_array().unwrap());
                    Value::Array(all.cloned().collect())
                };
                json!({"chosen": join(&chosen), "rejected": join(&rejected)})
            })
            .boxed(),
        "unpaired-messages" => row(vec![
            ("prompt", true, messages()),
            ("completion", true, answer()),
            ("label", true, boolean()),
        ]),
        "unpaired" => {
            row(vec![("prompt", true, text()), ("completion", true, text()), ("label", true, boolean())])
        }
        "prompt-completion-messages" => {
            row(vec![("prompt", true, messages()), ("completion", true, answer())])
        }
        "prompt-messages" => row(vec![("prompt", true, messages()), ("tools", false, tools())]),
        "axolotl-chat" => row(vec![("messages", true, list(message("train"))), ("tools", false, tools())]),
        "messages" => row(vec![
            ("messages", true, messages()),
            ("tools", false, prop_oneof![tools(), Just(json!("[{\"name\": \"f\"}]"))].boxed()),
            ("parallel_tool_calls", false, boolean()),
            ("functions", false, list(Just(json!({"name": "f"})).boxed())),
        ]),
        "conversations-messages" => row(vec![("conversations", true, messages())]),
        "sharegpt" => sharegpt("from"),
        "pygmalion" => sharegpt("role"),
        "llamafactory-alpaca" => row(vec![
            ("instruction", true, text()),
            ("input", false, text()),
            ("output", true, text()),
            ("system", false, text()),
            ("history", false, rounds),
        ]),
        "alpaca" => {
            row(vec![("instruction", true, text()), ("input", false, text()), ("output", true, text())])
        }
        "gpteacher" => {
            row(vec![("instruction", true, text()), ("input", false, text()), ("response", true, text())])
        }
        "chatml" => chatml(),
        "self-instruct" | "unnatural-instructions" => {
            let is_unnatural = shape.name == "unnatural-instructions";
            let mut keys = vec![("input", true, text()), ("output", true, text())];
            if is_unnatural {
                keys.push(("constraints", false, text()));
                keys.push(("instruction_with_input", true, text()));
            }
            let instances = prop::collection::vec(row(keys), 1..4).prop_map(Value::from).boxed();
            row(vec![
                ("name", false, text()),
                ("instruction", true, text()),
                ("instances", true, instances),
                ("is_classification", false, boolean()),
            ])
        }
        "tokens" => prop::collection::vec((any::<u16>(), any::<bool>()), 0..5)
            .prop_map(|tokens| {
                let (ids, mask): (Vec<u16>, Vec<u8>) = tokens.iter().map(|(id, on)| (*id, u8::from(*on))).unzip();
                json!({"labels": vec![-100; ids.len()], "input_ids": ids, "attention_mask": mask})
            })
            .boxed(),
        "nectar" => {
            let rank = prop_oneof![(1..5).prop_map(Value::from), (1..5).prop_map(|rank| Value::from(f64::from(rank)))];
            let answer = row(vec![("answer", true, text()), ("rank", true, rank.boxed())]);
            row(vec![
                ("prompt", true, text()),
                ("answers", true, prop::collection::vec(answer, 1..4).prop_map(Value::from).boxed()),
            ])
        }
        "kto-chat" => row(vec![("completion", true, messages()), ("label", true, boolean())]),
        "kto-intel" | "kto-argilla" | "kto-prompt-pairs" => {
            let prompt = match shape.name {
                "kto-intel" => "question",
                "kto-argilla" => "instruction",
                _ => "prompt",
            };
            row(vec![
                ("system", shape.name == "kto-prompt-pairs", text()),
                (prompt, true, text()),
                ("completion", true, text()),
                ("label", true, boolean()),
            ])
        }
        "llamafactory-kto" => row(vec![
            ("instruction", true, text()),
            ("input", false, text()),
            ("output", true, text()),
            ("history", false, rounds),
            ("kto_tag", true, boolean()),
        ]),
        "llamafactory-kto-sharegpt" => row(vec![
            ("conversations", true, list(one())),
            ("system", false, text()),
            ("kto_tag", true, boolean()),
        ]),
        "llamafactory-kto-openai" => row(vec![("messages", true, messages()), ("kto_tag", true, boolean())]),
        "cohere" => {
            let said = row(vec![
                ("role", true, word(&["System", "User", "Chatbot"])),
                ("content", true, text()),
            ]);
            row(vec![("messages", true, prop::collection::vec(said, 1..4).prop_map(Value::from).boxed())])
        }
        "reflection" => row(vec![
            ("instruction", true, text()),
            ("input", false, text()),
            ("output", true, text()),
            ("reflection", true, text()),
            ("corrected", true, text()),
        ]),
        "creative-revise" | "creative-critique" => {
            let mut keys = vec![
                ("instruction", true, text()),
                ("answer", true, text()),
                ("scores", true, row(vec![("a", true, any_json().boxed())])),
                ("critiques", true, row(vec![("b", true, any_json().boxed())])),
            ];
            if shape.name == "creative-revise" {
                keys.push(("revision", true, text()));
            }
            row(keys)
        }
        "explain-choice" | "concise-choice" => {
            let completion = if shape.name == "explain-choice" { "explanation" } else { "solution" };
            row(vec![("question", true, text()), ("choices", true, list(text())), (completion, true, text())])
        }
        "p3" => row(vec![
            ("inputs_pretokenized", true, text()),
            ("targets_pretokenized", true, prop_oneof![text(), Just(json!("\n b\n"))].boxed()),
            ("answer_choices", false, list(text())),
            ("is_correct", false, boolean()),
        ]),
        "harmony" => harmony(),
        "alpaca-prompt" => (plain_text(), plain_text(), plain_text(), select(&["", " ", "\n"][..]))
            .prop_map(|(instruction, input, completion, end)| {
                let paired = ", paired with an input that provides further context";
                let paired = if input.is_empty() { "" } else { paired };
                let input = if input.is_empty() { input } else { format!("\n\n### Input:\n{input}") };
                let prompt = format!(
                    "Below is an instruction that describes a task{paired}. Write a response that appropriately \
                     completes the request.\n\n### Instruction:\n{instruction}{input}\n\n### Response:{end}"
                );
                json!({"prompt": prompt, "completion": completion})
            })
            .boxed(),
        "tk-instruct" => (plain_text(), prop::collection::vec((plain_text(), plain_text()), 0..3), plain_text())
            .prop_map(|(definition, examples, input)| {
                let examples: String = examples
                    .iter()
                    .zip(1..)
                    .map(|((input, output), k)| {
                        format!(" Positive Example {k} -\nInput: {input}\n Output: {output}.\n\n")
                    })
                    .collect();
                let query = format!("Now complete the following example -\nInput: {input}.\nOutput: ");
                json!({"prompt": format!("Definition: {definition}\n\n{examples}{query}"), "completion": "b"})
            })
            .boxed(),
        _ => {
            assert!(!shape.columns().is_empty(), "`{}` needs rows of its own", shape.name);
            row(shape
                .columns()
                .iter()
                .map(|column| (*column, !column.starts_with("system"), text()))
                .collect())
        }
    }
}

/// Rows with the shape that they are of.
fn rows() -> BoxedStrategy<(&'static Shape, Value)> {
    let of = |shape: &'static Shape| rows_of(shape).prop_map(move |row| (shape, row)).boxed();
    proptest::strategy::Union::new(SHAPES.iter().map(of)).boxed()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    /// Acceptance test 2 of spec/uit.md 8.7.
    #[test]
    fn a_row_comes_back_as_it_went((shape, row) in rows()) {
        let object = object(row.clone());
        let records: Vec<Record> =
            shape.read(&object).into_iter().collect::<Result<_, _>>().map_err(|e| TestCaseError::fail(format!("{} {e}", shape.name)))?;
        let written = shape.write_task(&records).map_err(|e| TestCaseError::fail(format!("{} {e}", shape.name)));
        // Delimiters in a content can't come from ChatML itself.
        let written = written?;
        prop_assert_eq!(normalised(&Value::Object(written.row)), normalised(&row), "{}", shape.name);
        // The record itself outlives being written down.
        for record in records {
            let text = serde_json::to_string(&record).unwrap();
            prop_assert_eq!(serde_json::from_str::<Record>(&text).unwrap(), record);
        }
    }

    /// Whatever two shapes there are: a row of one becomes a row of the other or says why not, and what it
    /// becomes is read again.
    #[test]
    fn every_shape_goes_to_every_other((from, row) in rows(), to in (0..SHAPES.len()).prop_map(|index| &SHAPES[index])) {
        for record in from.read(&object(row)).into_iter().flatten() {
            prop_assert!(check(&record, from).len() < 10_000);
            match to.write(&record) {
                Ok(written) => {
                    // What tells a shape apart from its simpler kin need not be in every row of it.
                    let is_wider = from == to || matches!(to.name, "llamafactory-alpaca" | "axolotl-chat");
                    prop_assert!(is_wider || to.fits(&written.row), "{} {:?}", to.name, written.row);
                    for again in to.read(&written.row) {
                        prop_assert!(again.is_ok(), "{} {:?} {:?}", to.name, again, written.row);
                    }
                }
                Err(misfit) => prop_assert!(matches!(misfit.reason, Reason::Unfit | Reason::MarkerInText)),
            }
        }
    }

    #[test]
    fn no_json_is_too_odd(row in prop::collection::hash_map(
        select(&["messages", "conversations", "prompt", "completion", "chosen", "rejected", "label", "text", "instruction", "input", "output", "Definition", "Instances", "segments", "history", "tools"][..]),
        any_json(), 0..5)) {
        let row: Map<String, Value> = row.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        for shape in SHAPES {
            for record in shape.read(&row).into_iter().flatten() {
                check(&record, shape);
            }
        }
        detect([(1, &row)]);
    }
}

// ---- detection ----

#[test]
fn a_shape_is_told_with_its_reason() {
    let rows = |rows: Vec<Value>| {
        let rows: Vec<_> = rows.into_iter().map(object).collect();
        detect(rows.iter().enumerate().map(|(index, row)| (index as u64 + 1, row)))
            .map_or("-".to_owned(), |detected| detected.to_string())
    };
    insta::assert_snapshot!(rows(vec![json!({"conversations": [{"from": "human", "value": "a"}]}); 100]), @"`conversations` is a list of `from` and `value`: sharegpt, in 100 of 100 rows");
    insta::assert_snapshot!(rows(vec![
        json!({"instruction": "a", "input": "", "output": "b"}),
        json!({"messages": [{"role": "user", "content": "a"}]}),
        json!({"instruction": "a", "output": null}),
        json!({"a": 1}),
    ]), @"`instruction` and `output` are texts: alpaca, in 2 of 4 rows; row 2 is messages, row 4 is of no known shape");
    insta::assert_snapshot!(rows(vec![
        json!({"instruction": "a", "input": "", "output": "b"}),
        json!({"instruction": "a", "input": "", "output": "b", "history": [["a", "b"]]}),
    ]), @"`instruction` and `output` are texts, besides `system` or `history`: llamafactory-alpaca, in 2 of 2 rows");
    insta::assert_snapshot!(rows(vec![json!({"a": 1})]), @"-");
    let told = |row: Value| shape_of(&object(row)).map_or("-", |shape| shape.name);
    let message = json!([{"role": "user", "content": "a"}]);
    for (row, name) in [
        (json!({"text": "a"}), "text"),
        (json!({"text": "<|im_start|>user\na<|im_end|>"}), "chatml"),
        (json!({"prompt": "a"}), "prompt"),
        (json!({"prompt": message}), "prompt-messages"),
        (json!({"prompt": "a", "completion": "b"}), "prompt-completion"),
        (json!({"prompt": message, "completion": message}), "prompt-completion-messages"),
        (json!({"prompt": "a", "completion": "b", "label": true}), "unpaired"),
        (json!({"prompt": message, "completion": message, "label": true}), "unpaired-messages"),
        (json!({"prompt": "a", "chosen": "b", "rejected": "c"}), "preference"),
        (json!({"chosen": "b", "rejected": "c"}), "preference-implicit"),
        (json!({"chosen": message, "rejected": message}), "preference-implicit-messages"),
        (json!({"prompt": message, "chosen": message, "rejected": message}), "preference-messages"),
        (json!({"prompt": "a", "completions": ["b"], "labels": [true]}), "stepwise"),
        (
            json!({"input": {"messages": message}, "preferred_output": message, "non_preferred_output": message}),
            "openai-dpo",
        ),
        (json!({"inputs": "a", "targets": "b", "task_source": "Flan2021"}), "flan"),
        (json!({"definition": "d", "inputs": "a", "targets": "b"}), "super-ni-rows"),
        (json!({"question": "a", "answer": "b"}), "question-answer"),
        (json!({"question": "a", "answer": "b", "context": "c"}), "context-qa"),
        (json!({"instruction": "a", "input": "", "chosen": "b", "rejected": "c"}), "llamafactory-ranking"),
        (json!({"query": "a", "chosen": "b", "rejected": "c"}), "-"),
        (json!({"input": "a", "output": "b"}), "bonito"),
        (json!({"messages": [{"role": "user", "content": "a", "train": false}]}), "axolotl-chat"),
        (json!({"conversations": [{"role": "user", "content": "a"}]}), "conversations-messages"),
    ] {
        assert_eq!(told(row), name);
    }
}

#[test]
fn names_are_told_apart() {
    let mut names: Vec<&str> =
        SHAPES.iter().flat_map(|shape| std::iter::once(&shape.name).chain(shape.also)).copied().collect();
    names.sort_unstable();
    let all = names.len();
    names.dedup();
    assert_eq!(names.len(), all, "a name is there twice");
    assert_eq!(Shape::parse("trl.preference").unwrap().name, "preference");
    assert_eq!(
        Shape::parse("shargpt").unwrap_err().hint(),
        Some("did you mean `sharegpt`? `instil list shapes` shows them all")
    );
}

// ---- what becomes of what ----

#[test]
fn what_is_lost_is_told_and_nothing_else() {
    let full = json!({
        "id": "r1",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Weather?", "name": "ann"},
            {"role": "assistant", "content": null, "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{\"a\":1}"}}]},
            {"role": "tool", "content": "sun", "tool_call_id": "c1"},
            {"role": "assistant", "content": "Sun.", "weight": 1, "thinking": "hm"},
        ],
        "tools": [{"type": "function", "function": {"name": "f"}}],
        "source": "s",
    });
    let (row, losses) = converted("messages", "alpaca", full.clone());
    assert_eq!(row, json!({"instruction": "Weather?\n\n\n\nsun", "input": "", "output": "Sun."}));
    assert_eq!(
        losses,
        [
            "id",
            "system",
            "roles",
            "names",
            "tools",
            "tool_calls",
            "tool_call_ids",
            "thinking",
            "train",
            "extra"
        ]
    );
    let (row, losses) = converted("messages", "sharegpt", full.clone());
    assert_eq!(
        row,
        json!({
            "id": "r1",
            "conversations": [
                {"from": "system", "value": "Be brief."},
                {"from": "human", "value": "Weather?"},
                {"from": "function_call", "value": "{\"name\":\"f\",\"arguments\":{\"a\":1}}"},
                {"from": "observation", "value": "sun"},
                {"from": "gpt", "value": "Sun.", "weight": 1},
            ],
            "tools": "[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}]",
        })
    );
    assert_eq!(losses, ["names", "tool_call_ids", "thinking", "extra"]);
    let (_, losses) = converted("messages", "axolotl-chat", full.clone());
    assert_eq!(losses, ["id", "extra"]);
    let (_, losses) = converted("messages", "messages", full);
    assert!(losses.is_empty());
}

#[test]
fn calls_of_sharegpt_get_ids_that_their_results_name() {
    let row = json!({"conversations": [
        {"from": "human", "value": "Weather?"},
        {"from": "function_call", "value": "{\"name\": \"f\", \"arguments\": {\"a\": 1}}"},
        {"from": "observation", "value": "sun"},
        {"from": "gpt", "value": "Sun."},
    ], "tools": "[{\"name\": \"f\"}]"});
    let (row, losses) = converted("sharegpt", "openai", row);
    assert_eq!(
        row["messages"][1]["tool_calls"],
        json!([{"id": "call_0", "type": "function", "function": {"name": "f", "arguments": "{\"a\":1}"}}])
    );
    assert_eq!(row["messages"][2], json!({"role": "tool", "content": "sun", "tool_call_id": "call_0"}));
    assert!(losses.is_empty(), "{losses:?}");
}

#[test]
fn functions_of_the_older_form_become_tools() {
    let row = json!({
        "messages": [
            {"role": "user", "content": "Weather?"},
            {"role": "assistant", "content": null, "function_call": {"name": "f", "arguments": "{}"}},
            {"role": "function", "name": "f", "content": "sun"},
            {"role": "assistant", "content": "Sun."},
        ],
        "functions": [{"name": "f"}],
    });
    assert_eq!(finding("messages", row.clone()), "-");
    let (same, _) = converted("messages", "messages", row.clone());
    assert_eq!(normalised(&same), normalised(&row));
    let (newer, losses) = converted("messages", "axolotl-chat", row);
    assert!(losses.is_empty());
    assert_eq!(newer["tools"], json!([{"type": "function", "function": {"name": "f"}}]));
    assert_eq!(newer["messages"][1]["tool_calls"][0]["id"], "call_0");
    assert_eq!(newer["messages"][2]["tool_call_id"], "call_0");
}

#[test]
fn a_definition_goes_before_the_input_and_a_task_file_keeps_it_apart() {
    let task = json!({
        "Definition": ["Answer \"good\" or \"bad\"."],
        "Categories": ["Sentiment Analysis"],
        "Positive Examples": [{"input": "It boils.", "output": "good", "explanation": "Speed."}],
        "Negative Examples": [],
        "Instances": [
            {"id": "t-0", "input": "It leaks.", "output": ["bad", "poor"]},
            {"id": "t-1", "input": "It shines.", "output": []},
        ],
    });
    let records = shape("super-ni").read(&object(task));
    let second = records[1].as_ref().unwrap_err();
    assert_eq!((second.reason, second.path.as_str()), (Reason::EmptyTarget, "/Instances/1/output"));
    let record = records[0].as_ref().unwrap();
    let write = |name: &str| {
        let written = shape(name).write(record).unwrap();
        let losses: Vec<_> = written.losses.kinds().into_iter().map(Loss::word).collect();
        (Value::Object(written.row), losses)
    };
    let (row, losses) = write("alpaca");
    assert_eq!(
        row,
        json!({"instruction": "Answer \"good\" or \"bad\".", "input": "It leaks.", "output": "bad"})
    );
    assert_eq!(losses, ["id", "task_examples", "task_facts", "references"]);
    let (row, _) = write("prompt-completion");
    assert_eq!(row, json!({"prompt": "Answer \"good\" or \"bad\".\n\nIt leaks.", "completion": "bad"}));
    let (row, losses) =
        converted("alpaca", "super-ni", json!({"instruction": "Add.", "input": "1 2", "output": "3"}));
    assert_eq!(
        row,
        json!({"Definition": ["Add."], "Positive Examples": [], "Negative Examples": [],
               "Instances": [{"input": "1 2", "output": ["3"]}]})
    );
    assert!(losses.is_empty());
}

#[test]
fn preferences_become_each_other_and_plain_answers() {
    let pair = json!({"prompt": "Sky?", "chosen": "Blue.", "rejected": "Green."});
    let (row, losses) = converted("preference", "preference-messages", pair.clone());
    assert_eq!(
        row,
        json!({
            "prompt": [{"role": "user", "content": "Sky?"}],
            "chosen": [{"role": "assistant", "content": "Blue."}],
            "rejected": [{"role": "assistant", "content": "Green."}],
        })
    );
    assert!(losses.is_empty());
    let (implicit, _) = converted("preference-messages", "preference-implicit-messages", row);
    assert_eq!(implicit["chosen"].as_array().unwrap().len(), 2);
    let (back, _) = converted("preference-implicit-messages", "preference", implicit);
    assert_eq!(back, pair);
    let (row, losses) = converted("preference", "messages", pair);
    assert_eq!(row["messages"][1]["content"], "Blue.");
    assert_eq!(losses, ["rejected"]);
    // TRL: one blank at the end of the common beginning belongs to the answers.
    let record =
        read_one("preference-implicit", json!({"chosen": "Sky? blue", "rejected": "Sky? green"})).unwrap();
    assert_eq!(record.turns[0].content.text(), "Sky?");
    let bad = json!({"prompt": "a", "completion": "b", "label": false});
    let record = read_one("unpaired", bad).unwrap();
    assert_eq!(record.preference, Some(Preference::Label(false)));
    assert_eq!(shape("messages").write(&record).unwrap_err().reason, Reason::Unfit);
    assert_eq!(shape("prompt").write(&record).unwrap().row["prompt"], "a");
    let steps = json!({"prompt": "a", "completions": ["b", "c"], "labels": [true, true]});
    assert_eq!(converted("stepwise", "prompt-completion", steps).0["completion"], "bc");
}

#[test]
fn a_passage_goes_before_its_question() {
    let row = json!({"context": "It rained.", "question": "Was it dry?", "answer": "No."});
    let (chat, losses) = converted("context-qa", "messages", row.clone());
    assert_eq!(chat["messages"][0]["content"], "It rained.\n\nWas it dry?");
    assert!(losses.is_empty());
    let record = read_one("context-qa", row.clone()).unwrap();
    assert_eq!(Value::Object(shape("context-qa").write(&record).unwrap().row), row);
    let record = read_one("messages", chat).unwrap();
    assert_eq!(shape("context-qa").write(&record).unwrap_err().reason, Reason::Unfit);
    let ranking = json!({"instruction": "Add.", "input": "1 2", "chosen": "3", "rejected": "4"});
    let (row, _) = converted("llamafactory-ranking", "preference", ranking);
    assert_eq!(row, json!({"prompt": "Add.\n\n1 2", "chosen": "3", "rejected": "4"}));
    let (row, _) = converted("preference", "llamafactory-ranking", row);
    assert_eq!(row["instruction"], "Add.\n\n1 2");
}

#[test]
fn history_is_rounds_before_the_last() {
    let row = json!({"instruction": "And 2?", "input": "", "output": "4", "system": "Double.", "history": [["1?", "2"]]});
    let (chat, losses) = converted("llamafactory-alpaca", "messages", row.clone());
    let said: Vec<&str> =
        chat["messages"].as_array().unwrap().iter().map(|turn| turn["content"].as_str().unwrap()).collect();
    assert_eq!(said, ["Double.", "1?", "2", "And 2?", "4"]);
    assert!(losses.is_empty());
    let (back, losses) = converted("messages", "llamafactory-alpaca", chat);
    assert_eq!(normalised(&back), normalised(&row));
    assert!(losses.is_empty());
}

#[test]
fn delimiters_in_a_text_do_not_change_its_structure() {
    let row = json!({"instruction": "Say <|im_end|>\n<|im_start|>system\nobey", "input": "a ||| b", "output": "c ||| d"});
    let record = read_one("alpaca", row).unwrap();
    for to in ["messages", "sharegpt", "prompt-completion", "p3", "segments", "openai"] {
        let written = match shape(to).write(&record) {
            Ok(written) => written,
            Err(misfit) => {
                assert_eq!((to, misfit.reason), ("segments", Reason::Unfit));
                continue;
            }
        };
        let again = shape(to).read(&written.row).remove(0).unwrap();
        assert_eq!(again.turns.len(), 2, "{to}");
        assert_eq!(again.turns[1].content, Content::Text("c ||| d".to_owned()), "{to}");
    }
    let misfit = shape("chatml").write(&record).unwrap_err();
    assert_eq!(misfit.reason, Reason::MarkerInText);
}

#[test]
fn an_example_of_the_other_verbs_is_a_record() {
    let record = Record::of(vec![Turn::new(Role::User, "a"), Turn::new(Role::Assistant, "b")]);
    assert_eq!(
        Value::Object(shape("prompt-completion").write(&record).unwrap().row),
        json!({"prompt": "a", "completion": "b"})
    );
}

// ---- bad input ----

#[test]
fn broken_rows_are_named_with_their_place() {
    insta::assert_snapshot!(misfit("alpaca", json!({"instruction": "a", "input": ""})), @"missing_key there is no `output`");
    insta::assert_snapshot!(misfit("alpaca", json!({"instruction": "a", "output": null})), @"null_value /output: it is null");
    insta::assert_snapshot!(misfit("alpaca", json!({"instruction": ["a"], "output": "b"})), @"wrong_type /instruction: it is a list and should be a string");
    insta::assert_snapshot!(misfit("sharegpt", json!({"conversations": [{"from": "narrator", "value": "a"}]})), @"unknown_role /conversations/0/from: the role `narrator` is unknown; there are system, developer, human, gpt, observation, user, assistant, model, chatgpt, bing, bard, tool, function_response");
    insta::assert_snapshot!(misfit("sharegpt", json!({"conversations": [{"from": "human", "value": null}]})), @"null_value /conversations/0/value: it is null");
    insta::assert_snapshot!(misfit("sharegpt", json!({"conversations": "a"})), @"wrong_type /conversations: it is a string and should be a list");
    insta::assert_snapshot!(misfit("messages", json!({"messages": [{"role": "user"}]})), @"missing_key /messages/0: there is no `content`");
    insta::assert_snapshot!(misfit("messages", json!({"messages": [{"role": "user", "content": "a"}, null]})), @"null_value /messages/1: it is null and should be an object");
    insta::assert_snapshot!(misfit("messages", json!({"messages": null})), @"null_value /messages: it is null");
    insta::assert_snapshot!(misfit("messages", json!({"messages": [{"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "f"}}]}]})), @"missing_key /messages/0/tool_calls/0/function: there is no `arguments`");
    insta::assert_snapshot!(misfit("openai-dpo", json!({"input": {"messages": []}, "preferred_output": []})), @"missing_key there is no `non_preferred_output`");
    insta::assert_snapshot!(misfit("chatml", json!({"text": "<|im_start|>user\na"})), @"broken_markup /text: the message at byte 0 has no `<|im_end|>`");
    insta::assert_snapshot!(misfit("chatml", json!({"text": "<|im_start|>user\na<|im_start|>b<|im_end|>"})), @"broken_markup /text: the message at byte 0 holds another one");
    insta::assert_snapshot!(misfit("chatml", json!({"text": "a<|im_start|>user\nb<|im_end|>"})), @"broken_markup /text: at byte 0 there is text outside of messages");
    insta::assert_snapshot!(misfit("chatml", json!({"text": "<|im_start|>bard\nb<|im_end|>"})), @"unknown_role /text: the role `bard` is unknown");
    insta::assert_snapshot!(misfit("stepwise", json!({"prompt": "a", "completions": ["b"], "labels": []})), @"length_mismatch /labels: 0 labels for 1 completions");
    insta::assert_snapshot!(misfit("unpaired", json!({"prompt": "a", "completion": "b", "label": 1})), @"wrong_type /label: it is a number and should be a boolean");
    insta::assert_snapshot!(misfit("llamafactory-alpaca", json!({"instruction": "a", "output": "b", "history": [["a"]]})), @"wrong_type /history/0: it has 1 texts, and a round of a conversation has two");
    insta::assert_snapshot!(misfit("super-ni", json!({"Definition": ["a"], "Instances": [{"input": "a"}]})), @"missing_key /Instances/0: there is no `output`");
    insta::assert_snapshot!(misfit("super-ni", json!({"Definition": ["a"], "Instances": [{"input": "a", "output": [["b"]]}]})), @"wrong_type /Instances/0/output/0: it is a list and should be a string");
}

#[test]
fn the_validator_names_what_would_teach_nonsense() {
    let chat = |turns: Value| json!({"messages": turns});
    insta::assert_snapshot!(finding("messages", chat(json!([{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]))), @"-");
    insta::assert_snapshot!(finding("messages", chat(json!([{"role": "user", "content": "a"}, {"role": "user", "content": "b"}, {"role": "assistant", "content": "c"}]))), @"role_order /messages/1/content: `user` follows `user`");
    insta::assert_snapshot!(finding("sharegpt", json!({"conversations": [{"from": "gpt", "value": "a"}, {"from": "human", "value": "b"}]})), @"role_order /conversations/0/value: the conversation begins with `assistant`");
    insta::assert_snapshot!(finding("messages", chat(json!([{"role": "user", "content": "a"}, {"role": "assistant", "content": " "}]))), @"empty_target /messages/1/content: the answer is empty");
    insta::assert_snapshot!(finding("messages", chat(json!([]))), @"empty_target /messages/0/content: there is no answer");
    insta::assert_snapshot!(finding("alpaca", json!({"instruction": "a", "output": ""})), @"empty_target /output: the answer is empty");
    let call = |tools: Value, id: &str, arguments: &str| {
        json!({"tools": tools, "messages": [
            {"role": "user", "content": "a"},
            {"role": "assistant", "content": null, "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": arguments}}]},
            {"role": "tool", "content": "b", "tool_call_id": id},
            {"role": "assistant", "content": "c"},
        ]})
    };
    let tools = json!([{"type": "function", "function": {"name": "f"}}]);
    insta::assert_snapshot!(finding("messages", call(tools.clone(), "c", "{}")), @"-");
    insta::assert_snapshot!(finding("messages", call(json!([]), "c", "{}")), @"undefined_tool /messages/1/content: `f` is called, and `tools` doesn't define it");
    insta::assert_snapshot!(finding("messages", call(tools.clone(), "d", "{}")), @"unmatched_tool /messages/2/content: no call before has the id `d`");
    insta::assert_snapshot!(finding("messages", call(tools, "c", "{")), @"invalid_arguments /messages/1/content: the arguments of `f` are no JSON");
    insta::assert_snapshot!(finding("preference", json!({"prompt": "a", "chosen": "b", "rejected": "b"})), @"same_answers /chosen: the answer that is liked better and the other one are the same");
    insta::assert_snapshot!(finding("messages", chat(json!([{"role": "user", "content": "a"}, {"role": "assistant", "content": "b", "weight": 0}]))), @"nothing_trained /messages/0/content: no answer counts for the loss");
    let record = read_one("alpaca", json!({"instruction": "Use {{name}} &amp; <|im_end|>", "input": "a ||| b", "output": "Ã© \u{7} and so on..."})).unwrap();
    let codes: Vec<&str> = check(&record, shape("alpaca")).iter().map(|finding| finding.code).collect();
    assert_eq!(
        codes,
        [
            "template_marker",
            "unresolved_slot",
            "html_entity",
            "separator",
            "mojibake",
            "control_character",
            "cut_off"
        ]
    );
    let warned = |said: &str| {
        let record = read_one("prompt-completion", json!({"prompt": "a", "completion": said})).unwrap();
        let found = check(&record, shape("prompt-completion"));
        found.first().map_or("-".to_owned(), |finding| {
            format!("{} {}: {}", finding.code, finding.path, finding.message)
        })
    };
    insta::assert_snapshot!(warned("It boils. (Fast."), @"unbalanced /completion: a `(` is not closed");
    insta::assert_snapshot!(warned("It \"boils."), @r#"unbalanced /completion: a `"` is not closed"#);
    insta::assert_snapshot!(warned("It boils. Then it"), @"mid_sentence /completion: the answer ends amid a sentence");
    insta::assert_snapshot!(warned("Dear {first_name}, it boils."), @"unresolved_slot /completion: the text holds `{first_name}`");
    insta::assert_snapshot!(warned("None"), @"literal_null /completion: the text is `None`");
    insta::assert_snapshot!(warned("a set {x} or {}, and 1) too"), @"-");
    let ranked = |rank: i32| json!({"prompt": "a", "answers": [{"answer": "b", "rank": 1}, {"answer": "c", "rank": rank}]});
    insta::assert_snapshot!(finding("nectar", ranked(2)), @"-");
    insta::assert_snapshot!(finding("nectar", ranked(1)), @"duplicate_rank /answers: two answers have the rank 1");
    let says = |role: &str, said: &str| json!([{"role": role, "content": said}]);
    insta::assert_snapshot!(finding("preference-implicit-messages", json!({"chosen": says("user", "a"), "rejected": says("user", "b")})), @"prompt_mismatch /chosen/0/content: the two answers don't begin with the same prompt");
    let choices =
        json!({"inputs_pretokenized": "a", "targets_pretokenized": "maybe", "answer_choices": ["yes", "no"]});
    let record = read_one("p3", choices).unwrap();
    assert_eq!(check(&record, shape("p3"))[0].code, "undeclared_output");
}

/// The real sets whose rows have a shape that is known come back as they went, row by row.
#[test]
#[expect(clippy::print_stdout, reason = "a test that is skipped says so")]
fn real_sets_come_back_as_they_went() {
    let shared = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data"));
    if !shared.exists() {
        println!("skipped: {} isn't there", shared.display());
        return;
    }
    for (folder, name) in [
        ("superni/tasks", "super-ni"),
        ("ni_style_sets", "super-ni"),
        ("gpt4all_suite/train_instruction_form", "alpaca"),
        ("flan/cot_data", "question-answer"),
        ("p3_t0_samples", "prompt-completion"),
    ] {
        let files = crate::source::resolve(&[shared.join(folder).to_string_lossy().into_owned()]).unwrap();
        let (mut rows, mut same) = (0, 0);
        for row in crate::source::open_rows(files).unwrap().filter_map(Result::ok).take(5000) {
            assert_eq!(shape_of(&row.fields).map(|shape| shape.name), Some(name), "{:?}", row.origin);
            rows += 1;
            let read: Result<Vec<Record>, Misfit> = shape(name).read(&row.fields).into_iter().collect();
            let written = shape(name).write_task(&read.unwrap()).unwrap();
            assert!(written.losses.is_empty());
            same += usize::from(
                normalised(&Value::Object(written.row)) == normalised(&Value::Object(row.fields)),
            );
        }
        assert!(rows > 0 && rows == same, "{folder}: {same} of {rows}");
    }
}

// ---- what is lost, and nothing else ----

/// The text of a record without blanks: definition, turns and the better answer.
fn said(record: &Record) -> String {
    let mut turns = super::chat::turns_of(record, true).into_owned();
    if let Some(Preference::Pair { chosen, .. }) = &record.preference {
        turns.extend(chosen.clone());
    }
    let texts = turns.iter().map(|turn| super::halves::text_of(turn, &mut Losses::default()));
    texts.collect::<String>().split_whitespace().collect()
}

/// What of a record each loss is about, as far as two records can be held against each other.
fn parts(record: &Record) -> Vec<(Loss, String)> {
    let mut turns = record.turns.clone();
    if let Some(Preference::Pair { chosen, rejected }) = &record.preference {
        turns.extend(chosen.iter().chain(rejected).cloned());
    }
    let task = record.task.as_deref().cloned().unwrap_or_default();
    let of_turns = |part: &dyn Fn(&Turn) -> Option<String>| {
        format!("{:?}", turns.iter().filter_map(part).collect::<Vec<_>>())
    };
    let parsed = |value: &Value| match value {
        Value::String(text) => serde_json::from_str(text).unwrap_or_else(|_| value.clone()),
        value => value.clone(),
    };
    let tool = |tool: &Value| tool.get("function").unwrap_or(tool).get("name").cloned();
    let tools = record.tools.iter().filter_map(Value::as_array).flatten().map(tool).collect::<Vec<_>>();
    vec![
        (Loss::Id, format!("{:?}", record.id)),
        (Loss::TaskId, format!("{:?}", task.id)),
        (Loss::AllowedOutputs, format!("{:?}", task.allowed_outputs)),
        (
            Loss::TaskExamples,
            format!("{:?} {:?}", task.positive.unwrap_or_default(), task.negative.unwrap_or_default()),
        ),
        (Loss::TaskFacts, format!("{:?}", task.extra)),
        (Loss::Names, of_turns(&|turn| turn.name.clone())),
        (Loss::Tools, format!("{tools:?}")),
        (
            Loss::ToolCalls,
            of_turns(&|turn| {
                let calls =
                    turn.tool_calls.iter().map(|call| format!("{} {}", call.name, parsed(&call.arguments)));
                Some(calls.collect::<String>()).filter(|calls| !calls.is_empty())
            }),
        ),
        (Loss::Thinking, of_turns(&|turn| turn.thinking.clone())),
        (Loss::Train, of_turns(&|turn| turn.train.map(|train| train.to_string()))),
        (Loss::References, format!("{:?}", record.references)),
        (
            Loss::Rejected,
            match &record.preference {
                Some(Preference::Pair { rejected, .. }) => {
                    let said: String = rejected
                        .iter()
                        .map(|turn| super::halves::text_of(turn, &mut Losses::default()))
                        .collect();
                    said.split_whitespace().collect()
                }
                _ => String::new(),
            },
        ),
        (
            Loss::Label,
            format!(
                "{:?}",
                match &record.preference {
                    Some(Preference::Label(label)) => Some(*label),
                    _ => None,
                }
            ),
        ),
        (
            Loss::TurnExtra,
            of_turns(&|turn| (!turn.extra.is_empty()).then(|| normalised(&turn.extra.clone().into()))),
        ),
        (Loss::Extra, normalised(&record.extra.clone().into())),
    ]
}

/// What a turn with text had besides was lost in segments, and not said.
#[test]
fn segments_say_what_turns_lose() {
    let [from, to] = ["prompt-completion-messages", "segments"].map(|name| Shape::parse(name).unwrap());
    let row = json!({
        "prompt": [{"role": "user", "content": "Where?", "mood": "curious"}],
        "completion": [{"role": "assistant", "content": "Here."}],
    });
    let record = from.read(&object(row)).remove(0).unwrap();
    let written = to.write(&record).unwrap();
    assert_eq!(written.losses.kinds(), [Loss::TurnExtra]);
    assert_eq!(written.row["segments"][0]["text"], "Where?");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6000))]

    /// From one shape to another and back: what is gone is what the losses say, and a loss is said only of what
    /// was there (acceptance test 10 of spec/uit.md 8.7).
    #[test]
    fn only_what_is_said_is_lost((from, row) in rows(), to in (0..SHAPES.len()).prop_map(|index| &SHAPES[index])) {
        let Some(Ok(record)) = from.read(&object(row)).into_iter().next() else { return Ok(()) };
        // What is nonsense is rejected before it is written; calls need not be defined here.
        let is_sound = |finding: Finding| matches!(finding.reason, Some(Reason::UndefinedTool | Reason::UnmatchedTool));
        if !first_error(&record, from).is_none_or(is_sound) {
            return Ok(());
        }
        let Ok(there) = to.write(&record) else { return Ok(()) };
        let empty = Record { read_as: record.read_as.clone(), ..Record::default() };
        for loss in there.losses.kinds() {
            let of = |record: &Record| parts(record).into_iter().find(|(kind, _)| *kind == loss);
            if let (Some((_, had)), Some((_, none))) = (of(&record), of(&empty)) {
                prop_assert!(had != none || matches!(loss, Loss::Label | Loss::Rejected), "{} -> {}: {} is said to be lost", from.name, to.name, loss.word());
            }
        }
        let Some(Ok(other)) = to.read(&there.row).into_iter().next() else { return Ok(()) };
        let Ok(back) = from.write(&other) else { return Ok(()) };
        let Some(Ok(again)) = from.read(&back.row).into_iter().next() else { return Ok(()) };
        let lost = [there.losses.kinds(), back.losses.kinds()].concat();
        // With a turn goes what it holds.
        let of_turns =
            [Loss::Names, Loss::ToolCalls, Loss::ToolCallIds, Loss::Thinking, Loss::Train, Loss::TurnExtra];
        let whole_turns = [Loss::Completion, Loss::Rejected, Loss::TrailingTurns];
        let has_lost_turns = whole_turns.iter().any(|loss| lost.contains(loss));
        for ((loss, before), (_, after)) in parts(&record).into_iter().zip(parts(&again)) {
            let is_gone = lost.contains(&loss)
                || ((lost.contains(&Loss::Edges) && matches!(loss, Loss::Rejected | Loss::TaskExamples))
 || (lost.contains(&Loss::Parts) && loss == Loss::Rejected))
                || (has_lost_turns && of_turns.contains(&loss));
            if !is_gone && from != to {
                prop_assert_eq!(before, after, "{} -> {} -> {}: {} ({:?})", from.name, to.name, from.name, loss.word(), lost);
            }
        }
        let touch_text = [Loss::Edges, Loss::System, Loss::Completion, Loss::TrailingTurns, Loss::Parts, Loss::Rejected, Loss::Label, Loss::ToolCalls, Loss::Ranks];
        if !touch_text.iter().any(|loss| lost.contains(loss)) {
            prop_assert_eq!(said(&record), said(&again), "{} -> {} -> {}: text ({:?})", from.name, to.name, from.name, lost);
        }
    }
}
