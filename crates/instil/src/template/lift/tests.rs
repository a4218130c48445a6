//! Templates of our own wording, turned round.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn lifter(jinja: &str, choices: Option<&str>) -> Lifter {
    Lifter::of(jinja, choices, Options::default()).unwrap_or_else(|e| panic!("{jinja}: {e}"))
}

fn lift(jinja: &str, choices: Option<&str>, prompt: &str, completion: &str) -> Result<Lifted, LiftFault> {
    lifter(jinja, choices).lift(prompt, completion)
}

fn known(jinja: &str, choices: Option<&str>, prompt: &str, completion: &str) -> Json {
    let lifted = lift(jinja, choices, prompt, completion);
    Json::Object(lifted.unwrap_or_else(|e| panic!("{jinja}: {e}")).known())
}

fn ambiguity(jinja: &str, choices: Option<&str>, prompt: &str, completion: &str) -> Ambiguity {
    match lift(jinja, choices, prompt, completion) {
        Err(LiftFault::Ambiguous(ambiguity)) => *ambiguity,
        other => panic!("{jinja}: {other:?}"),
    }
}

#[test]
fn fields_stand_between_constants() {
    let row = known(
        "Lease:\n{{clause}}\n\nMay {{ who.name }} sublet? ||| {{answer}}",
        None,
        "Lease:\nNo subletting.\nEver.\n\nMay Ms Abel sublet?",
        "no",
    );
    assert_eq!(row, json!({"clause": "No subletting.\nEver.", "who": {"name": "Ms Abel"}, "answer": "no"}));
}

#[test]
fn a_choice_gives_its_label() {
    let jinja = "{{text}} Is the kettle {{answer_choices[1]}} or {{answer_choices[0]}}? ||| {{ answer_choices[label] }}";
    let choices = Some("quiet ||| loud");
    let prompt = "It hums. Is the kettle loud or quiet?";
    assert_eq!(known(jinja, choices, prompt, "loud"), json!({"text": "It hums.", "label": 1}));
    assert_eq!(
        known("{{a}} ||| {{answer_choices[1 - label]}}!", choices, "x", "loud!"),
        json!({"a": "x", "label": 0})
    );
    assert_eq!(
        known("{{a}} ||| {{answer_choices[stars-1]}}", choices, "x", "loud"),
        json!({"a": "x", "stars": 2})
    );
    let fault = lift(jinja, choices, prompt, "warm").unwrap_err();
    assert_eq!(fault.to_string(), "the completion lacks the template's \"loud\" from byte 0 on");
}

#[test]
fn choices_of_the_row_are_found_among_what_the_prompt_shows() {
    let jinja =
        "{{q}}\nOne of:\n- {{answer_choices | join('\\n- ')}} ||| {{answer_choices[keys.index(key)]}}";
    let lifted =
        lift(jinja, Some("{{ options | join('|||') }}"), "Which?\nOne of:\n- tin\n- iron\n- lead", "iron")
            .unwrap();
    assert_eq!(Json::Object(lifted.known()), json!({"q": "Which?", "options": ["tin", "iron", "lead"]}));
    assert_eq!(lifted.assumed, BTreeSet::from(["key", "keys[0]", "keys[1]"].map(str::to_owned)));
    assert_eq!(lifted.row["keys"], json!(["A", "B"]));
    assert_eq!(lifted.losses.iter().next(), Some(&("keys".to_owned(), LossKind::Others)));
    // The loop that looks for the key is the same.
    let jinja = "{{q}}\nOne of:\n- {{answer_choices | join('\\n- ')}} ||| {% for k in keys %} {% if k == key %}\
                 {{ answer_choices[loop.index - 1] }}{% endif %}{% endfor %}";
    let lifted =
        lift(jinja, Some("{{ options | join('|||') }}"), "Which?\nOne of:\n- tin\n- iron\n- lead", "lead")
            .unwrap();
    assert_eq!(lifted.row["key"], json!("C"));
}

#[test]
fn branches_give_what_their_conditions_say() {
    let jinja = "{% if label == 1 %}Say it otherwise: {{a}}||| {{b}}{% else %}Say the contrary: {{a}}||| {{b}}{% endif %}";
    assert_eq!(
        known(jinja, None, "Say it otherwise: Hi", "Hello"),
        json!({"label": 1, "a": "Hi", "b": "Hello"})
    );
    let lifted = lift(jinja, None, "Say the contrary: Hi", "Bye").unwrap();
    assert_eq!(Json::Object(lifted.known()), json!({"a": "Hi", "b": "Bye"}));
    assert_eq!(lifted.assumed, BTreeSet::from(["label".to_owned()]), "it is only known not to be 1");
    let jinja = "{% if lang == 'de' %}Frage{% elif lang == 'fr' %}Demande{% else %}Question{% endif %}: {{q}} ||| {{a}}";
    assert_eq!(known(jinja, None, "Demande: x", "y"), json!({"lang": "fr", "q": "x", "a": "y"}));
}

#[test]
fn loops_repeat_their_body() {
    let jinja = "Steps:\n{% for step in steps %}\n{{loop.index}}. {{ step }}\n{% endfor %}\nWhat comes next? ||| {{next}}";
    let lifted = lift(jinja, None, "Steps:\n\n1. Fill it.\n\n2. Boil.\n\nWhat comes next?", "Pour.").unwrap();
    assert_eq!(Json::Object(lifted.known()), json!({"steps": ["Fill it.", "Boil."], "next": "Pour."}));
    assert!(lifted.losses.contains(&("steps".to_owned(), LossKind::Joined)));
    assert!(matches!(
        lift(jinja, None, "Steps:\n\n1. Fill it.\n\n3. Boil.\n\nWhat comes next?", "Pour."),
        Ok(Lifted { row, .. }) if row["steps"] == json!(["Fill it.\n\n3. Boil."])
    ));
    let jinja = "{% for k, v in zip(keys, values) %}{{k}}={{v}}{% if not loop.last %}; {% endif %}{% endfor %} ||| {{a}}";
    assert_eq!(
        known(jinja, None, "x=1; y=2", "z"),
        json!({"keys": ["x", "y"], "values": ["1", "2"], "a": "z"})
    );
}

#[test]
fn what_only_a_condition_asks_is_not_known() {
    let jinja = "{% for i in range(keys | length) %}{% if keys[i] != 'id' %}\n- {{keys[i]}}: {{values[i]}}\n{% endif %}\n{% endfor %}End ||| {{a}}";
    let row = json!({"keys": ["x", "id", "y"], "values": ["1", "7", "2"], "a": "b"});
    let Json::Object(fields) = &row else { unreachable!() };
    let parts =
        Compiled::new(jinja, None, Options::default()).unwrap().render(&Fields::of(fields), 0).unwrap();
    let lifted = lift(jinja, None, &parts[0], &parts[1]).unwrap();
    assert_eq!(lifted.row["keys"], row["keys"]);
    assert_eq!(
        (&lifted.row["values"][2], &lifted.assumed),
        (&json!("2"), &BTreeSet::from(["values[1]".to_owned()]))
    );
    let jinja = "{% for x in xs %}{% if x.kind != 'id' %}{{x.name}}; {% endif %}{% endfor %}End ||| {{a}}";
    let lifted = lift(jinja, None, "p; q; End", "b").unwrap();
    assert_eq!(Json::Object(lifted.known()), json!({"xs": [{"name": "p"}, {"name": "q"}], "a": "b"}));
}

#[test]
fn lists_are_cut_and_joined() {
    let jinja = "{{ turns[:-1] | join('\\n') }}\nAnd then? ||| {{ turns[-1] }}";
    assert_eq!(
        known(jinja, None, "Hi.\nHello.\nAnd then?", "Bye."),
        json!({"turns": ["Hi.", "Hello.", "Bye."]})
    );
    let jinja = "{{ turns[1:] | join('\\n') }}\nAnd before? ||| {{ turns | first }}";
    assert_eq!(
        known(jinja, None, "Hello.\nBye.\nAnd before?", "Hi."),
        json!({"turns": ["Hi.", "Hello.", "Bye."]})
    );
    let jinja = "{% set parts = name.split(' ') %}Given: {{parts[0]}} ||| {{ parts[1:] | join(' ') }}";
    assert_eq!(known(jinja, None, "Given: Ada", "de la Cour"), json!({"name": "Ada de la Cour"}));
}

#[test]
fn what_filters_take_away_is_told() {
    let jinja = "If {{fact[0]|lower}}{{fact[1:]|trim('.')}}, then what? ||| {{a}}";
    let lifted = lift(jinja, None, "If kettles boil, then what?", "steam").unwrap();
    assert_eq!(lifted.row["fact"], json!("kettles boil"));
    assert!(lifted.losses.contains(&("fact".to_owned(), LossKind::Filtered)));
    assert_eq!(lifted.losses.len(), 1);
    // Another place shows it whole.
    let jinja = "If {{fact|lower}}, then what? ||| {{fact}}";
    let lifted = lift(jinja, None, "If kettles boil, then what?", "Kettles boil").unwrap();
    assert_eq!((&lifted.row["fact"], lifted.losses.len()), (&json!("Kettles boil"), 0));
    let lifted =
        lift("{{ relation | replace('_', ' ') }}? ||| {{a}}", None, "place of birth?", "Rome").unwrap();
    assert_eq!(lifted.row["relation"], json!("place_of_birth"));
}

#[test]
fn draws_are_found_again() {
    let jinja = "{% set ask = ['Say it.', 'Tell it.'] | choice %}{{ask}} {{words | choice}}: {{words | join(', ')}} ||| {{a}}";
    let lifted = lift(jinja, None, "Tell it. b: a, b, c", "x").unwrap();
    assert_eq!((&lifted.row["words"], lifted.draws), (&json!(["a", "b", "c"]), vec![1, 1]));
    let lifted = lift("{{q}} ||| {{answers.text | choice}}", None, "x", "y").unwrap();
    assert_eq!(lifted.row["answers"], json!({"text": ["y"]}));
    assert_eq!(lifted.losses, BTreeSet::from([("answers.text".to_owned(), LossKind::Others)]));
}

#[test]
fn a_field_has_one_value() {
    let jinja = "{{a}} or {{b}}? ||| {{a}}";
    assert_eq!(
        known(jinja, None, "tea or milk or rum?", "tea or milk"),
        json!({"a": "tea or milk", "b": "rum"})
    );
    let fault = lift(jinja, None, "tea or milk?", "rum").unwrap_err();
    assert_eq!(fault.to_string(), "the text fits only if `a` has two values at once");
}

#[test]
fn several_rows_are_no_lift() {
    let ambiguity = ambiguity("{{title}} - {{body}} ||| {{kind}}", None, "Tea - hot - nice", "drink");
    assert_eq!(ambiguity.fields, ["body", "title"]);
    assert_eq!(Json::Object(ambiguity.agreed), json!({"kind": "drink"}));
    assert!(ambiguity.complete);
    let choices = Some("bad ||| good ||| bad");
    let fault = lift("{{a}} ||| {{answer_choices[label]}}", choices, "x", "bad").unwrap_err();
    assert_eq!(fault.to_string(), "several rows render to it; they differ in label");
}

#[test]
fn blanks_that_stripping_ate_make_no_difference() {
    let jinja = "{{a}} \n\n|||\n\n {{b}} ";
    assert_eq!(known(jinja, None, "x \n", "\n y"), json!({"a": "x", "b": "y"}));
    assert_eq!(
        known("- {{xs | join('\\n- ')}} ||| {{a}}", None, "- x\n-", "y"),
        json!({"xs": ["x", ""], "a": "y"})
    );
}

#[test]
fn separators_in_a_field_are_protected() {
    let jinja = "{% set docs = text.split('3ed2dface8203c4c9dfb1a5dc58e41e0||') %}{% for d in docs %}\n> {{d}}\n{% endfor %} ||| {{a}}";
    assert_eq!(known(jinja, None, "> x\n\n> y", "z"), json!({"text": "x|||||y", "a": "z"}));
}

#[test]
fn cut_texts_are_told() {
    let long = "word ".repeat(600);
    let Json::Object(row) = json!({"text": long, "a": "x"}) else { unreachable!() };
    let options = Options { truncate: true };
    let jinja = "Read this: {{text}} ||| {{a}}";
    let parts = Compiled::new(jinja, None, options).unwrap().render(&Fields::of(&row), 0).unwrap();
    let lifted = Lifter::of(jinja, None, options).unwrap().lift(&parts[0], &parts[1]).unwrap();
    assert_eq!(lifted.truncated, ["text"]);
}

#[test]
fn a_mismatch_says_where() {
    let say = |prompt: &str, completion: &str| {
        lift("Read: {{a}}\nWhat is it? ||| It is {{b}}.", None, prompt, completion).unwrap_err().to_string()
    };
    let said = [
        say("Reed: x\nWhat is it?", "It is y."),
        say("Read: x\nWhat was it?", "It is y."),
        say("Read: x\nWhat is it? Say.", "It is y."),
        say("Read: x\nWhat is it?", "It was y."),
        say("Read: x\nWhat is it?", "It is y"),
        say("", ""),
    ]
    .join("\n");
    insta::with_settings!({omit_expression => true}, { insta::assert_snapshot!(said) });
}

#[test]
fn what_cannot_be_turned_round_is_named() {
    let say = |jinja: &str, choices: Option<&str>| match Lifter::of(jinja, choices, Options::default()) {
        Err(e) => e.to_string(),
        Ok(_) => panic!("{jinja}"),
    };
    let said = [
        say("{{a}}", None),
        say("{{a}}\n{{ xs | most_frequent }} ||| b", None),
        say("{% macro m() %}{% endmacro %}a ||| b", None),
        say("{{ a > 3 }} ||| b", None),
        say("{{ a[::2] }} ||| b", None),
        say("{% for x in xs %}{{x}} ||| {% endfor %}", None),
        say("{{ a ||| b", None),
        say("{{a}} ||| {{answer_choices[0]}}", Some("{% if x %}a{% endif %}")),
        say("{% if a %}{% set b = 1 %}{% endif %}{{ b }} ||| c", None),
    ]
    .join("\n");
    insta::with_settings!({omit_expression => true}, { insta::assert_snapshot!(said) });
}

#[test]
fn long_texts_are_no_trouble() {
    let paragraph = "The kettle boils.\n\nIs it loud? It is, a little.\n\n".repeat(400);
    let jinja = "{{text}}\n\nIs it loud? ||| {{a}}";
    let begun = std::time::Instant::now();
    assert!(lift(jinja, None, &format!("{paragraph}Is it loud?"), "yes").is_ok());
    // Nothing marks where one field ends: given up, not hung.
    let fault = lift("{{a}} {{b}} {{c}} {{d}} ||| {{e}}", None, &paragraph, "yes").unwrap_err();
    assert!(matches!(fault, LiftFault::TooHard { .. } | LiftFault::Ambiguous(_)), "{fault}");
    assert!(begun.elapsed() < std::time::Duration::from_secs(20), "{:?}", begun.elapsed());
}

#[test]
fn other_templates_say_what_is_a_number() {
    let others = crate::template::collection::parse(
        std::path::Path::new("kettles.yaml"),
        "templates:\n- {name: a, jinja: '{{a}} ||| {{answer_choices[stars - 1]}}', answer_choices: 'x ||| y'}\n",
    );
    let lifter = lifter("How many stars? {{a}} ||| {{stars}}", None);
    assert_eq!(lifter.lift("How many stars? Fine.", "4").unwrap().row["stars"], json!("4"));
    let lifter = lifter.beside(&others.unwrap());
    assert_eq!(lifter.lift("How many stars? Fine.", "4").unwrap().row["stars"], json!(4));
}

#[test]
fn many_turns_do_not_overflow_the_stack() {
    let jinja = "{% for x in xs %}\n- {{x}}\n{% endfor %} ||| {{a}}";
    let xs: Vec<String> = (0..200).map(|i| format!("item {i}")).collect();
    let prompt = |xs: &[String]| xs.iter().map(|x| format!("\n- {x}\n")).collect::<String>();
    assert_eq!(lift(jinja, None, &prompt(&xs), "y").unwrap().row["xs"], json!(xs));
    let many: Vec<String> = (0..20_000).map(|i| format!("item {i}")).collect();
    let fault = lift(jinja, None, &prompt(&many), "y").unwrap_err();
    assert!(matches!(fault, LiftFault::TooHard { .. }), "{fault}");
}

#[test]
fn a_lifter_can_be_shared() {
    fn shared<T: Send + Sync>() {}
    shared::<Lifter>();
}

/// A piece of a template, with the separator left out.
fn piece() -> impl Strategy<Value = String> {
    let field = prop::sample::select(vec!["a", "b", "c", "d.e", "d.f[0]", "d.f[1]"]);
    let words =
        prop::sample::select(vec!["Read: ", "\nSay: ", " or ", "? ", "\n\n", " - ", "x", "tea", ". "]);
    prop_oneof![
        4 => words.clone().prop_map(str::to_owned),
        4 => field.clone().prop_map(|field| format!("{{{{ {field} }}}}")),
        1 => Just("{{ answer_choices[label] }}".to_owned()),
        1 => Just("{{ xs | join(', ') }}".to_owned()),
        1 => Just("{% for x in xs %}\n* {{ x }}\n{% endfor %}".to_owned()),
        1 => (words.clone(), field.clone()).prop_map(|(w, f)| format!("{{% if label == 1 %}}{w}{{{{ {f} }}}}{{% endif %}}")),
        1 => (words, field.clone()).prop_map(|(w, f)| format!("{{{{ '{}' if label == 1 else {f} }}}}", w.trim())),
        1 => field.clone().prop_map(|field| format!("{{{{ {field} | lower }}}}")),
        1 => field.prop_map(|field| format!("{{{{ {field}[1:] }}}}")),
        1 => Just("{{ xs | choice }}".to_owned()),
    ]
}

fn text() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec!["tea", "xy", "Milk", "or", "--", "Say:", "it?", "èa", "a.b"]);
    (word.clone(), prop::collection::vec((prop::sample::select(vec![" ", "\n", ". "]), word), 0..4)).prop_map(
        |(first, rest)| rest.into_iter().fold(first.to_owned(), |text, (blank, word)| text + blank + word),
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn what_is_rendered_is_lifted_or_ambiguous(
        prompt in prop::collection::vec(piece(), 1..6),
        completion in prop::collection::vec(piece(), 1..3),
        texts in prop::collection::vec(text(), 6),
        xs in prop::collection::vec(prop::sample::select(vec!["tin", "iron", "Lead", "é"]), 1..4),
        label in 0..3_usize,
        seed in any::<u64>(),
    ) {
        let jinja = format!("{}|||{}", prompt.concat(), completion.concat());
        let choices = Some("no ||| yes ||| tea");
        let row = json!({
            "a": texts[0], "b": texts[1], "c": texts[2],
            "d": {"e": texts[3], "f": [texts[4], texts[5]]},
            "xs": xs, "label": label,
        });
        let Json::Object(fields) = &row else { unreachable!() };
        let compiled = Compiled::new(&jinja, choices, Options::default()).unwrap();
        let parts = compiled.render(&Fields::of(fields), seed).unwrap();
        let mut truth = BTreeMap::new();
        knowledge::leaves(&row, "", &mut truth);
        let lifter = match Lifter::of(&jinja, choices, Options::default()) {
            Ok(lifter) => lifter,
            // A field that is once a text and once an object's or list's item is none that can be known.
            Err(e) => panic!("{jinja}: {e}"),
        };
        let (said, lossy) = match lifter.lift(&parts[0], &parts[1]) {
            Ok(lifted) => (lifted.known(), lifted.losses.into_iter().map(|(path, _)| path).collect::<Vec<_>>()),
            Err(LiftFault::Ambiguous(ambiguity)) => {
                let losses = ambiguity.witness.losses.into_iter().map(|(path, _)| path).collect();
                (ambiguity.agreed, losses)
            }
            Err(LiftFault::TooHard { .. }) => return Ok(()),
            Err(fault) => panic!("{jinja:?}\n{parts:?}\n{row}\n{fault}"),
        };
        let mut leaves = BTreeMap::new();
        knowledge::leaves(&Json::Object(said), "", &mut leaves);
        for (path, value) in leaves {
            if lossy.iter().any(|lossy| path.starts_with(lossy.as_str())) || path.starts_with("d.f[]") {
                continue;
            }
            prop_assert_eq!(Some(&value), truth.get(&path), "{} of {:?} from {:?}", path, jinja, parts);
        }
    }
}
