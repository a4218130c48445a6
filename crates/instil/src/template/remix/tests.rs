use std::fmt::Write as _;
use std::path::Path;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::template::collection;

/// A template of `key`, with `task` and `context` in its file where they aren't empty.
fn template(key: &str, name: &str, task: &str, context: &str, jinja: &str) -> Template {
    let mut file = json!({"dataset": key, "templates": [{"name": name, "jinja": jinja}]});
    for (field, value) in [("task", task), ("context", context)] {
        if !value.is_empty() {
            file["templates"][0][field] = value.into();
        }
    }
    collection::parse(Path::new("own.yaml"), &file.to_string()).unwrap().remove(0)
}

fn own(jinja: &str) -> Template {
    template("leases", "ask", "qa", "", jinja)
}

/// The meta-template, or reason and detail.
fn meta(template: &Template, reference: bool) -> String {
    match invert_one(template, &Options { reference, ..Options::default() }) {
        Ok(inverted) => inverted.jinja,
        Err(skipped) => format!("{}: {}", skipped.reason.word(), skipped.detail),
    }
}

#[test]
fn the_published_construction_is_followed_step_by_step() {
    let squad = |jinja: &str| meta(&template("squad", "jeopardy", "", "", jinja), true);
    assert_eq!(
        squad("{{context}} A {{context}}|||B {{ context }}"),
        "{{context}}|||{{copy_context}} A {{copy_context}}\n[pipe]\nB {{ context }}",
    );
    assert_eq!(squad("A {{  context}} ||| B"), "{{context}}|||A {{copy_context}} \n[pipe]\n B");
    assert_eq!(squad("A {{context|trim}} ||| B"), "no_context: it prints `{{context|trim}}`");
    assert_eq!(squad(" {{context}}\n"), "context_only: `{{context}}` is all of it");
    assert_eq!(squad("{{context}}"), "context_only: `{{context}}` is all of it");
    assert_eq!(
        meta(&template("squad", "jeopardy ", "", "", "{{context}} A ||| B"), true),
        "not_in_table: the published table does not have the template's name",
    );
    assert_eq!(
        meta(&own("{{text}} ||| B"), true),
        "not_in_table: the published list does not have the dataset"
    );
}

#[test]
fn the_published_expressions_of_several_pieces_allow_what_they_did() {
    let qasc = |jinja: &str| meta(&template("qasc", "qa_with_separated_facts_1", "", "", jinja), true);
    let literal = "{{ fact1[0]|capitalize }}{{ fact1[1:]|trim|trim('.') }}";
    assert_eq!(qasc(&format!("{literal}? ||| B")), format!("{literal}|||{{{{copy_context}}}}? \n[pipe]\n B"));
    assert!(qasc("{{fact1[0]|capitalize}}{{fact1[1:]|trim|trim('.')}}? ||| B").starts_with("no_context"));

    let dbpedia = "pick_one_category_for_the_following_text";
    let dbpedia = |jinja: &str| meta(&template("dbpedia_14", dbpedia, "", "", jinja), true);
    assert_eq!(dbpedia("{{ content}}? ||| B"), "{{content}}|||{{copy_context}}? \n[pipe]\n B");

    let wiki = |jinja: &str| meta(&template("wiki_hop/original", "generate_object", "", "", jinja), true);
    let list = "{% for support in supports %}\n- {{ support }}\n{% endfor %}";
    assert_eq!(wiki(&format!("A\n{list}\n|||B")), format!("{list}|||A\n{{{{copy_context}}}}\n\n[pipe]\nB"));
}

#[test]
fn dream_leaks_under_reference_only() {
    let dream =
        template("dream", "baseline", "", "", "{{dialogue | join(\"\\n\\n\")}}\n{{question}}|||{{answer}}");
    let context = "{{dialogue | join(\"\n\n\")}}";
    assert_eq!(
        meta(&dream, true),
        format!(
            "{context}|||{{{{copy_context}}}}| join(\"\\n\\n\")}}}}\n{{{{question}}}}\n[pipe]\n{{{{answer}}}}"
        ),
    );
    assert_eq!(
        meta(&dream, false),
        format!("{context} ||| {{{{copy_context}}}}\n{{{{question}}}} ||| {{{{answer}}}}")
    );

    let inverted = invert_one(&dream, &Options::default()).unwrap();
    let row = json!({"dialogue": ["Is it on?", "No."], "question": "Who asks?", "answer": "The first"});
    let fields = fields(row.as_object().unwrap().clone(), false).unwrap();
    let pair = inverted.pair(&inverted.compile().unwrap().render(&fields, 0).unwrap()).unwrap();
    assert_eq!(pair.context, "Is it on?\n\nNo.");
    assert_eq!(pair.instruction, "{{context}}\nWho asks?");
}

#[test]
fn templates_lost_to_a_blank_are_found_again() {
    let lost = template("imdb", "Sentiment with choices ", "", "", "{{text}} Well? ||| {{label}}");
    assert!(meta(&lost, true).starts_with("not_in_table"));
    let inverted = invert_one(&lost, &Options::default()).unwrap();
    assert_eq!((inverted.kind, &*inverted.dataset), (TaskKind::Sentiment, "imdb"));
}

#[test]
fn a_users_template_needs_little() {
    let inverted = |context: &str, jinja: &str| meta(&template("leases", "ask", "qa", context, jinja), false);
    assert_eq!(
        inverted("", "{{passage}}: {{q}} ||| {{a}}"),
        "{{ passage }} ||| {{copy_context}}: {{q}} ||| {{a}}"
    );
    assert_eq!(
        inverted("", "{{- text | trim -}} {{q}} ||| {{a}}"),
        "{{ text }} ||| {{- copy_context -}} {{q}} ||| {{a}}"
    );
    for context in ["{{clause}}", "clause", " {{ clause }} "] {
        let expected = format!("{} ||| {{{{copy_context}}}} {{{{q}}}} ||| {{{{a}}}}", spelled(context));
        assert_eq!(inverted(context, "{{ clause }} {{q}} ||| {{a}}"), expected);
    }
    assert_eq!(inverted("x {{a}}", "x {{a}} b ||| c"), "x {{a}} ||| {{copy_context}} b ||| c");
}

#[test]
fn what_cannot_be_inverted_has_a_reason() {
    let mut said = String::new();
    for (task, context, jinja) in [
        ("qa", "", "{{clause}} {{ q }} ||| {{a}}"),
        ("qa", "", "Hello ||| there"),
        ("qa", "", "{{text}} {{context}} ||| {{a}}"),
        ("qa", "clause", "{{ claus }} ||| {{a}}"),
        ("qa", "clause", "{# {{clause}} #}{{ q }} ||| {{a}}"),
        ("qa", "", "{% for text in texts %}{{ text }}{% endfor %} ||| {{a}}"),
        ("qa", "text", "{% for text in texts %}{{ text }}{% endfor %} ||| {{a}}"),
        ("", "", "{{text}} ||| {{a}}"),
        ("", "text", "{{text}} ||| {{a}}"),
        ("qa", "", "{{text}} {{a}}"),
        ("qa", "", " {{text | trim}}"),
        ("qa", "", "{{text}} {{copy_context}} ||| {{a}}"),
    ] {
        let outcome = meta(&template("leases", "ask", task, context, jinja), false);
        writeln!(said, "{task:2} {context:8} {jinja}\n    {outcome}").unwrap();
    }
    let record = template("super_glue/record", "nameless", "", "", "{{passage}} ||| {{a}}");
    writeln!(said, "{}", meta(&record, false)).unwrap();
    insta::assert_snapshot!(said);
}

#[test]
fn what_is_no_jinja_is_named() {
    let reason = |context: &str, jinja: &str| {
        let skipped = invert_one(&template("leases", "ask", "qa", context, jinja), &Options::default());
        let skipped = skipped.unwrap_err();
        assert!(!skipped.detail.is_empty());
        skipped.reason
    };
    for jinja in ["{{text}} {{ ||| {{a}}", "{% if text %}{{text}} ||| {{a}}", "{{text}} {% fi %} ||| {{a}}"] {
        assert_eq!(reason("", jinja), SkipReason::InvalidTemplate, "{jinja}");
        let findings = explain(&own(jinja));
        assert!(
            matches!(&*findings, [Finding { severity: Severity::Error, line: Some(1), .. }]),
            "{findings:?}"
        );
    }
    assert_eq!(reason("{{ text", "{{text}} ||| {{a}}"), SkipReason::InvalidTemplate);

    let findings = explain(&own("{{text}}\n{{ q q }} ||| {{a}}"));
    let [Finding { severity, line, span, .. }] = findings.as_slice() else { panic!("{findings:?}") };
    assert_eq!((*severity, *line, span.clone()), (Severity::Error, Some(2), Some(14..15)));

    let mut choices = own("{{text}} {{q}} ||| {{ answer_choices[label] }}");
    choices.answer_choices = Some("{{ No ||| Yes".to_owned());
    let findings = explain(&choices);
    assert_eq!((findings[0].severity, findings[0].line), (Severity::Error, None));
    assert!(findings[0].message.starts_with("`answer_choices`: "));
}

#[test]
fn options_have_the_last_word() {
    let template = template("leases", "ask", "qa", "text", "{{text}} {{clause}} ||| {{a}}");
    let options = Options { task: Some(TaskKind::Nli), context: Some("clause".into()), reference: false };
    let inverted = invert_one(&template, &options).unwrap();
    assert_eq!(
        (inverted.kind, &*inverted.jinja),
        (TaskKind::Nli, "{{ clause }} ||| {{text}} {{copy_context}} ||| {{a}}")
    );
    // A user's own template for a published dataset may read another field.
    let mine = super::tests::template("squad", "mine", "qa", "", "{{text}} {{q}} ||| {{a}}");
    assert_eq!(meta(&mine, false), "{{ text }} ||| {{copy_context}} {{q}} ||| {{a}}");
    // PromptSource's own template with its kind changed keeps the dataset's expression.
    let options = Options { task: Some(TaskKind::Qa), ..Options::default() };
    let squad = super::tests::template("squad", "jeopardy", "", "", "{{title}} {{context}} ||| {{a}}");
    let inverted = invert_one(&squad, &options).unwrap();
    assert_eq!((inverted.kind, &*inverted.context), (TaskKind::Qa, "{{context}}"));
}

#[test]
fn the_listing_has_these_keys() {
    let template =
        template("super_glue/boolq", "exam", "", "", "{{ passage }} {{q}} ||| {{answer_choices[label]}}");
    let inverted = invert_one(&template, &Options::default()).unwrap();
    insta::assert_snapshot!(serde_json::to_string_pretty(&inverted).unwrap());
}

#[test]
fn a_collection_is_accounted_for_in_the_order_of_the_table() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    file(
        "a.yaml",
        "dataset: anything\ntemplates:\n- {name: b, task: qa, jinja: '{{text}} ||| {{a}}'}\n- {name: a, task: qa, jinja: '{{text}}? ||| {{text}}'}\n- {name: c, jinja: '{{text}} ||| {{a}}'}\n",
    );
    file(
        "b.yaml",
        "dataset: imdb\ntemplates:\n- {name: 'Sentiment with choices ', jinja: '{{text}} ||| {{a}}'}\n- {name: Reviewer Enjoyment, jinja: '{{text}} ||| {{a}}'}\n- {name: Movie Expressed Sentiment, jinja: '{{text}} ||| {{a}}'}\n",
    );
    file(
        "c.yaml",
        "dataset: cosmos_qa\ntemplates:\n- {name: no_prompt_id, jinja: '{{context}} ||| {{a}}'}\n",
    );
    let collection = Collection::read(folder.path()).unwrap();
    let names = |inversion: &Inversion| -> Vec<String> {
        inversion.inverted.iter().map(|one| format!("{}: {}", one.dataset, one.template)).collect()
    };
    let inversion = invert(&collection, false);
    assert_eq!(
        names(&inversion),
        [
            "cosmos_qa: no_prompt_id",
            "imdb: Movie Expressed Sentiment",
            "imdb: Reviewer Enjoyment",
            "imdb: Sentiment with choices ",
            "anything: b",
            "anything: a",
        ],
    );
    assert_eq!((inversion.skipped.len(), inversion.count(SkipReason::NoTaskKind)), (1, 1));
    assert_eq!(inversion.usable().count(), 5);
    let reference = invert(&collection, true);
    assert_eq!(names(&reference), names(&inversion)[..3]);
    assert_eq!((reference.skipped.len(), reference.usable().count()), (4, 3));
}

#[test]
fn parts_become_a_pair_or_a_named_fault() {
    let parts = |parts: &[&str]| parts.iter().map(|part| (*part).to_owned()).collect::<Vec<_>>();
    let fault = |of: &[&str]| pair(&parts(of)).unwrap_err();
    let made = pair(&parts(&[" p ", "{{context}} q\n", "\u{1c}r"])).unwrap();
    assert_eq!((&*made.context, &*made.instruction, &*made.response), ("p", "{{context}} q", "r"));
    assert!(pair(&parts(&["p", "q", "r {{context}}"])).is_ok());
    assert_eq!(fault(&[" ", "{{context}} q", "r"]), PairFault::EmptyContext);
    assert_eq!(fault(&["p", "{{context}} q", "r", "s"]), PairFault::SeveralResponses);
    for none in [&["p", "{{context}} q"][..], &["p", "{{context}} q", " "], &["p"]] {
        assert_eq!(fault(none), PairFault::EmptyResponse);
    }
    assert_eq!(fault(&["p", "q", "{{context}}\n"]), PairFault::OnlyPassage);
    assert_eq!(fault(&["p", "", "r"]), PairFault::EmptyInstruction);
    assert_eq!(fault(&["p", "{{context}}", "r"]), PairFault::EmptyInstruction);
    assert_eq!(fault(&["p", "q", "r"]), PairFault::NoPassage);
    assert_eq!(fault(&[]), PairFault::EmptyContext);
}

#[test]
fn the_published_pairs_drop_empty_responses_only() {
    let of = |rest: &str| published_pair(&["p".to_owned(), rest.to_owned()]);
    let made = of("q \n[pipe]\n r\n[pipe]\n s").unwrap();
    assert_eq!((&*made.instruction, &*made.response), ("q", "r"));
    assert_eq!(of("q\n[pipe]\n{{context}}").unwrap().response, "{{context}}");
    assert_eq!(published_pair(&[String::new(), "q\n[pipe]\nr".to_owned()]).unwrap().context, "");
    // The rest is stripped before it is split, so an empty side takes the line's end along.
    for empty in ["q", "q\n[pipe]\n", "\n[pipe]\nr", "q\n[pipe]\n \n[pipe]\ns"] {
        assert_eq!(of(empty), Err(PairFault::EmptyResponse), "{empty:?}");
    }
    assert_eq!(published_pair(&[]), Err(PairFault::EmptyResponse));
}

#[test]
fn a_row_cannot_forge_a_mark() {
    let row = |value: Value| json!({"text": "t", "field": value}).as_object().unwrap().clone();
    let refused = [
        json!("a {{context}}"),
        json!(["{{context}}"]),
        json!({"b": {"c": ["x ||| y"]}}),
        json!({"a|||b": 1}),
    ];
    for value in refused {
        assert_eq!(fields(row(value.clone()), false).err(), Some(PairFault::MarkerInRow), "{value}");
        assert!(fields(row(value), true).is_ok());
    }
    for value in [json!("a ||| b"), json!("{{ context }}"), json!(["a", 1, null]), json!("\n[pipe]\n")] {
        assert!(fields(row(value), false).is_ok());
    }
    let inverted = invert_one(&own("{{text}} {{q}} ||| {{a}}"), &Options::default()).unwrap();
    let forged = json!({"text": "p\n[pipe]\n", "q": "x\n[pipe]\ny", "a": "b", "copy_context": "no"});
    let fields = fields(forged.as_object().unwrap().clone(), false).unwrap();
    let pair = inverted.pair(&inverted.compile().unwrap().render(&fields, 0).unwrap()).unwrap();
    assert_eq!((&*pair.instruction, &*pair.response), ("{{context}} x\n[pipe]\ny", "b"));
}

#[test]
fn reasons_and_faults_have_words_of_their_own() {
    let mut words: Vec<&str> = SkipReason::ALL.iter().map(|reason| reason.word()).collect();
    words.extend(PairFault::ALL.iter().map(|fault| fault.word()));
    let all = words.len();
    words.sort_unstable();
    words.dedup();
    assert_eq!(words.len(), all);
    assert_eq!(PairFault::EmptyContext.to_string(), "The passage is empty");
}

#[test]
fn findings_point_at_what_is_wrong() {
    let mut said = String::new();
    let cases = [
        (own("{{text}} {{q}} ||| {{a}}"), ""),
        (own("{{text}} {{q}} || {{a}}"), ""),
        (own("{{text}} {{q}}"), ""),
        (own("é {{text}}\n{{q}} ||| {{a}} ||| {{b}}"), ""),
        (own("{{text}} {% if q %}{{q}} ||| {{a}}{% else %}Well? ||| {{b}}{% endif %}"), ""),
        (own("{{text}} ||| {% for a in list %}{{a}} ||| {% endfor %}"), ""),
        (own("{{text}} {{q}} |||"), ""),
        (own("{{text}} {{q}} ||| yes"), ""),
        (own("Say hello. ||| {{text}}"), ""),
        (own("||| {{text}} {{a}}"), ""),
        (own("{{clause}} {{q}} ||| {{a}}"), ""),
        (own("{{text}} {{passage}} ||| {{a}}"), ""),
        (own("{q} {{text}} {{q}} }} ||| {{a}}"), ""),
        (own("{% raw %}{q} }}{% endraw %} {{text}} {{q}} ||| {{a}}"), ""),
        (own("{{text}} {{q}}\n ||| {{ answer_choices[label] }}"), ""),
        (own("{{text}} {{q}} ||| {{ answer_choices[label] }}"), "No ||| Yes"),
        (own("{{text}} {{copy_context}} ||| {{a}}"), ""),
        (template("leases", "ask", "", "", "{{text}} {{q}} ||| {{a}}"), ""),
        (own("{{text}}"), ""),
        (own(""), ""),
    ];
    for (mut template, choices) in cases {
        template.answer_choices = (!choices.is_empty()).then(|| choices.to_owned());
        writeln!(said, "{:?} {choices}", template.jinja).unwrap();
        for finding in explain(&template) {
            let Finding { severity, line, span, message, hint } = finding;
            let at = span.map_or("(file)".to_owned(), |span| format!("{:?}", &template.jinja[span]));
            let line = line.map_or("-".to_owned(), |line| line.to_string());
            writeln!(said, "    {} {line} {at}: {message} / {hint}", severity.word()).unwrap();
        }
    }
    insta::assert_snapshot!(said);
}

/// A prompt template around `{{text}}` in some spelling, in prompt and maybe completion.
fn jinja() -> impl Strategy<Value = String> {
    let passage =
        prop_oneof![Just("{{text}}"), Just("{{ text }}"), Just("{{- text -}}"), Just("{{ text | trim }}")];
    let other = prop_oneof![
        Just("{{ q }}"),
        Just(" Is it so?\n"),
        Just("{% if q %}Q: {{ q }}{% endif %}"),
        Just("é\n\n"),
        Just("{# {{text}} #}"),
        Just("{{ text|length }}"),
    ];
    let side = prop::collection::vec(
        prop_oneof![passage.prop_map(str::to_owned), other.prop_map(str::to_owned)],
        0..6,
    );
    (side.clone(), side).prop_map(|(prompt, completion)| {
        format!("{}{{{{text}}}} ||| {}{{{{ a }}}}", prompt.concat(), completion.concat())
    })
}

proptest! {
    #[test]
    fn the_passage_put_back_gives_the_original(
        jinja in jinja(),
        text in "[a-zé{}|]([a-z .\n|{}]{0,20}[a-z|}])?",
        q in "[a-z|}]([a-z |\n]{0,9}[a-z|])?",
        a in "[a-z]([a-z \n]{0,9}[a-z])?",
    ) {
        let row = json!({"text": text, "q": q, "a": a});
        let row = row.as_object().unwrap();
        let plain = Compiled::new(&jinja, None, engine::Options::default()).unwrap();
        let original = plain.render(&Fields::of(row), 7).unwrap();
        // Two fields side by side may make a separator between them.
        prop_assume!(original.len() == 2);
        let inverted = invert_one(&own(&jinja), &Options::default()).unwrap();
        let rendered = inverted.compile().unwrap().render(&fields(row.clone(), false).unwrap(), 7).unwrap();
        match inverted.pair(&rendered) {
            Ok(pair) => {
                prop_assert_eq!(&pair.context, &text);
                let (instruction, response) = pair.filled();
                prop_assert_eq!(vec![instruction, response], original);
            }
            Err(fault) => prop_assert_eq!(fault, PairFault::EmptyInstruction),
        }
    }

    #[test]
    fn no_text_breaks_inversion_or_explanation(jinja in "([{}%|a#'\" -]|text|if|endif|é|\n|raw|for){0,24}") {
        let template = own(&jinja);
        if let Ok(inverted) = invert_one(&template, &Options::default()) {
            prop_assert!(inverted.jinja.contains("copy_context"));
        }
        for finding in explain(&template) {
            let span = finding.span.unwrap_or_default();
            prop_assert!(jinja.get(span.clone()).is_some());
            if let Some(line) = finding.line {
                prop_assert_eq!(line, 1 + jinja[..span.start].matches('\n').count());
            }
        }
    }
}
