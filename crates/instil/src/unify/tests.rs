//! What holds for every dataset: content passes through, and templates are found again.

use proptest::prelude::*;

use super::*;

fn task(definition: &str, labels: &[&str]) -> Instruction {
    Instruction {
        definition: Some(definition.to_owned()),
        labels: labels.iter().map(|&label| label.to_owned()).collect(),
        ..Instruction::new("kettles", Level::Task)
    }
}

fn instance(fields: &[(&str, &str)], output: &str) -> Instance {
    let field = |&(name, value): &(&str, &str)| Field { name: name.to_owned(), value: value.to_owned() };
    Instance { fields: fields.iter().map(field).collect(), output: output.to_owned(), references: Vec::new() }
}

/// Verdicts other than a pass, with the first of what was found.
fn findings(source: &Instruction, candidate: &str, instances: &[Instance]) -> String {
    let found: Vec<String> = verify(source, candidate, instances)
        .iter()
        .filter(|check| check.verdict != Verdict::Pass)
        .map(|check| format!("{:?} {}: {}", check.verdict, check.kind.word(), check.found[0]))
        .collect();
    found.join("\n")
}

#[test]
fn every_built_in_style_puts_an_instance_together() {
    let instruction = Instruction {
        positive: vec![Exemplar { input: "Boils.".to_owned(), output: "good".to_owned(), explanation: None }],
        ..task("Say \"good\" or \"bad\".\nOne word.", &[])
    };
    let instance = instance(&[("review", "It leaks.\nBadly."), ("price", "{3}")], "bad");
    let shown: Vec<String> = Style::all_built_in()
        .iter()
        .map(|style| {
            format!(
                "== {} ({})\n{}",
                style.name(),
                style.level().name(),
                style.bind(&instruction).prompt(&instance)
            )
        })
        .collect();
    insta::assert_snapshot!(shown.join("\n"));
}

#[test]
fn a_style_file_that_has_no_meaning_is_refused_with_the_reason() {
    let say = |text: &str| {
        let e = Style::parse_file(text).unwrap_err();
        format!("{e} / {}", e.hint().unwrap_or("-"))
    };
    let style = |rest: &str| format!("[[style]]\nname = \"a\"\n{rest}\n");
    insta::assert_snapshot!(say(""), @"there is no style in it / a style begins with [[style]]");
    insta::assert_snapshot!(say(&style("level = \"task\"\nprompt = \"{definition}\"")), @"the style `a` has not one `{input}` in its prompt / an instance stands in a prompt once");
    insta::assert_snapshot!(say(&style("level = \"task\"\nprompt = \"{input}\"")), @"the style `a` has no `{definition}` in its prompt / say where the task is told");
    insta::assert_snapshot!(say(&style("level = \"keyword\"\nprompt = \"{definition} {input}\"")), @r#"the style `a` is of keywords and has a `{definition}` / at that level the names of the fields are all there is; write `level = "instance"`"#);
    insta::assert_snapshot!(say(&style("level = \"keyword\"\nprompt = \"{input} {question}\"")), @"`prompt` of the style `a` has a `{question}`, which stands for nothing / there are `{definition}`, `{input}`, `{positive}`, `{negative}`; a brace is written twice: `{{`");
    insta::assert_snapshot!(say(&style("level = \"keyword\"\nprompt = \"{input} }\"")), @"`prompt` of the style `a` has a brace without its other one / there are `{definition}`, `{input}`, `{positive}`, `{negative}`; a brace is written twice: `{{`");
    insta::assert_snapshot!(say(&style("level = \"keyword\"\nprompt = \"{input}\"\nweight = 0")), @"the style `a` has a weight that is no number above 0 / `weight = 2` makes it come twice as often");
    insta::assert_snapshot!(say(&style("levle = \"keyword\"")), @"unknown name `levle` at line 3 / did you mean `level`?");
    let twice = style("level = \"keyword\"\nprompt = \"{input}\"").repeat(2);
    insta::assert_snapshot!(say(&twice), @"two styles are named `a` / give one of them another name");
}

#[test]
fn cut_definitions_are_found() {
    let source = task("Answer the question, or write \"No answer\" where the text holds none.", &[]);
    for cut in [
        "Read the text. If it holds no answer, output ",
        "Read the text and state \"No answer",
        "Read the text. If it holds no answer, write:",
        "Read the text (or the title",
        "",
    ] {
        assert!(!passes(&verify(&source, cut, &[])), "{cut}");
    }
    let whole = "Read the text and answer the question. Where it holds no answer, write \"No answer\".";
    insta::assert_snapshot!(findings(&source, whole, &[]), @"");
    // Quotes inside, of any kind, are whole.
    insta::assert_snapshot!(findings(&source, "Write ‘No answer’ if the text's author gives none.", &[]), @"");
}

#[test]
fn lost_literals_labels_and_leaks_are_named() {
    let source =
        task("Say \"good\" or \"bad\" of the 3 sentences; write \"unclear\" otherwise.", &["bad", "good"]);
    insta::assert_snapshot!(findings(&source, "Say \"good\" or \"bad\" of the three sentences.", &[]), @"
    Fail literals: “unclear” of the source is not in it
    ");
    insta::assert_snapshot!(findings(&source, "Say \"good\" or \"unclear\" of the 3 sentences, not \"poor\".", &[]), @"
    Fail literals: “bad” of the source is not in it
    Fail labels: outputs that it doesn't state: “bad”
    Warn polarity: it has a negation, “not”, and the source none
    ");
    let open = task("Name the town that the text is about.", &[]);
    let rows = [instance(&[("text", "…")], "Lower Saltby"), instance(&[("text", "…")], "town")];
    insta::assert_snapshot!(findings(&open, "Name the town, such as Lower Saltby.", &rows), @"
    Fail leakage: “Lower Saltby” is the answer of an instance
    ");
}

#[test]
fn a_definition_that_asks_for_the_input_is_refused() {
    let source = Instruction::new("turned", Level::Keyword);
    let row =
        |output: &str| instance(&[("context", "The kettle is red, and it stands on the stove.")], output);
    let answers = ["red", "the stove", "a kettle", "it stands"].map(row);
    let questions = ["What is red?", "Where is it?", "What stands there?", "Is it red?"].map(row);
    assert!(!passes(&verify(&source, "Write a question about the context.", &answers)));
    assert!(passes(&verify(&source, "Write a question about the context.", &questions)));
    assert!(!passes(&verify(&source, "Answer the question.", &questions)));
    assert!(passes(&verify(&source, "Answer the question.", &answers)));
    let long =
        ["a much longer text than the one that was given, which no summary of it would be"; 4].map(row);
    assert!(!passes(&verify(&source, "Summarize the context.", &long)));
}

/// Rows of a template with contents that differ.
fn rendered(before: &str, between: &str, after: &str) -> Vec<String> {
    let words = [
        "kettle", "harbour", "seven", "Velorin", "quickly", "the", "lamp", "walked", "no", "under", "a",
        "rose", "of", "Saltby", "and", "butter", "was", "slow", "grey", "once",
    ];
    (0..40)
        .map(|row| {
            let text = |slot: u64| {
                let many = 3 + crate::rng::nth(slot, row) % 5;
                let word =
                    |at| words[(crate::rng::nth(slot, 100 + 10 * row + at) % words.len() as u64) as usize];
                (0..many).map(word).collect::<Vec<_>>().join(" ")
            };
            format!("{before}{}{between}{}{after}", text(1), text(2))
        })
        .collect()
}

#[test]
fn the_template_of_rendered_rows_is_found_again() {
    // What ends a sentence belongs to its content.
    for (before, between, after, shown) in [
        ("Read this.\n", "\nQuestion: ", "\nAnswer:", "Read this.\n{}\nQuestion: {}\nAnswer:"),
        ("", "\n\nDoes it follow that ", "? Yes or no?", "{}\n\nDoes it follow that {} Yes or no?"),
        ("premise: ", " [SEP] hypothesis: ", "", "premise: {} [SEP] hypothesis: {}"),
        ("", "\n", "\nAre these the same?\n", "{}\n{}\nAre these the same?\n"),
    ] {
        let rows = rendered(before, between, after);
        let texts: Vec<&str> = rows.iter().map(String::as_str).collect();
        let found: Vec<String> = induce(&texts).iter().map(ToString::to_string).collect();
        assert_eq!(found, [shown], "{before}|{between}|{after}");
    }
}

#[test]
fn templates_that_are_mixed_are_parted() {
    let mut rows = rendered("Read this and answer.\n", "\nQuestion: ", "\n");
    rows.extend(rendered("", "\n\nWhat do you say to this: ", "\nSay it here:"));
    let texts: Vec<&str> = rows.iter().map(String::as_str).collect();
    let found: Vec<String> = induce(&texts).iter().map(ToString::to_string).collect();
    assert_eq!(
        found,
        ["{}\n\nWhat do you say to this: {}\nSay it here:", "Read this and answer.\n{}\nQuestion: {}\n"]
    );
}

#[test]
fn quotation_marks_around_contents_part_them() {
    let rows = rendered("I know that the answer to \"", "\" is in \"", "\". Can you tell me what it is?");
    let texts: Vec<&str> = rows.iter().map(String::as_str).collect();
    let found: Vec<String> = induce(&texts).iter().map(ToString::to_string).collect();
    assert_eq!(found, ["I know that the answer to \"{}\" is in \"{}\". Can you tell me what it is?"]);
}

#[test]
fn rows_without_a_template_have_none() {
    let rows = rendered("", " ", "");
    let texts: Vec<&str> = rows.iter().map(String::as_str).collect();
    assert_eq!(induce(&texts), []);
    assert_eq!(induce(&[]), []);
    assert_eq!(induce(&["the same", "the same", "the same"]), []);
}

#[test]
fn a_draw_follows_the_weights() {
    let style = |name: &str, weight: f64| {
        format!(
            "[[style]]\nname = \"{name}\"\nlevel = \"keyword\"\nweight = {weight}\nprompt = \"{name} {{input}}\"\n"
        )
    };
    let styles = Style::parse_file(&[style("a", 3.0), style("b", 1.0)].concat()).unwrap();
    let drawn = Drawn::new(&styles);
    let first = (0..10_000).filter(|row| drawn.at(5, *row) == 0).count();
    assert!((7_300..7_700).contains(&first), "{first}");
}

/// Any text, also with what templates are made of.
fn any() -> impl Strategy<Value = String> {
    prop_oneof![".{0,30}", "[a-c:\\n\\[\\]SEP{} ]{0,30}"]
}

proptest! {
    #[test]
    fn content_passes_through_every_style(values in prop::collection::vec(any(), 1..4), definition in any()) {
        let names = ["one", "", "third field"];
        let fields: Vec<(&str, &str)> = names.iter().copied().zip(values.iter().map(String::as_str)).collect();
        let instance = instance(&fields, "out");
        let task = task(&definition, &[]);
        for style in Style::all_built_in() {
            let prompt = style.bind(&task).prompt(&instance);
            let mut from = 0;
            for value in &values {
                let found = prompt[from..].find(value.as_str());
                prop_assert!(found.is_some(), "{:?} in {:?}", value, prompt);
                from += found.unwrap_or_default() + value.len();
            }
        }
    }

    #[test]
    fn what_a_pattern_takes_apart_is_the_same_bytes_again(
        texts in prop::collection::vec("[ab:\\n]{0,4}", 0..4), row in "[ab:\\n]{0,24}",
    ) {
        let mut pieces = Vec::new();
        for text in texts.iter().filter(|text| !text.is_empty()) {
            pieces.extend([Piece::Text(text.clone()), Piece::Slot("s".to_owned())]);
        }
        let pattern = Pattern::new(pieces);
        if let Some(apart) = pattern.apart(&row) {
            prop_assert_eq!(pattern.put_together(apart.slots.iter().map(|slot| &row[slot.clone()])), row);
        }
    }

    #[test]
    fn a_pattern_takes_apart_what_it_put_together(
        texts in prop::collection::vec("[ab:\\n]{1,4}", 1..4), values in prop::collection::vec("[cd]{0,5}", 4),
    ) {
        let pieces = texts.iter().flat_map(|text| [Piece::Text(text.clone()), Piece::Slot("s".to_owned())]);
        let pattern = Pattern::new(pieces);
        let row = pattern.put_together(values.iter().map(String::as_str));
        let apart = pattern.apart(&row);
        prop_assert!(apart.is_some());
        let found: Vec<&str> = apart.unwrap().slots.into_iter().map(|slot| &row[slot]).collect();
        prop_assert_eq!(&found, &values[..texts.len()].iter().map(String::as_str).collect::<Vec<_>>());
    }

    #[test]
    fn induced_templates_reproduce_their_rows(rows in prop::collection::vec(any(), 0..12)) {
        let texts: Vec<&str> = rows.iter().map(String::as_str).collect();
        let patterns = induce(&texts);
        if let [pattern] = patterns.as_slice() {
            for text in &texts {
                if let Some(apart) = pattern.apart(text) {
                    prop_assert_eq!(&pattern.put_together(apart.slots.iter().map(|slot| &text[slot.clone()])), text);
                }
            }
        }
    }

    #[test]
    fn checks_say_something_of_any_text(definition in any(), candidate in any(), output in any()) {
        let rows = [instance(&[("text", &definition)], &output)];
        prop_assert_eq!(verify(&task(&definition, &[&output]), &candidate, &rows).len(), CheckKind::ALL.len());
    }

    #[test]
    fn a_style_file_that_parses_is_written_as_it_is_read(prompt in "[{}a-z \\n]{0,12}") {
        let file = format!("[[style]]\nname = \"a\"\nlevel = \"task\"\nprompt = {}\n", toml::Value::from(prompt));
        if let Ok(styles) = Style::parse_file(&file) {
            prop_assert_eq!(Style::parse_file(&styles[0].to_toml()).unwrap(), styles);
        }
    }
}
