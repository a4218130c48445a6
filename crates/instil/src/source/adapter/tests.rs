//! Every key of an adapter, over made-up files.

use std::error::Error as _;

use serde_json::json;

use super::*;

/// Rows, or a reject's word, number and raw text.
type Seen = Result<(Option<u64>, Value), (&'static str, Option<u64>, String)>;

/// What the adapter `toml`, with `path` and `license` put before it, makes of one file.
fn adapt(toml: &str, name: &str, bytes: &str) -> Vec<Seen> {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(name), bytes).unwrap();
    let toml = format!("path = \"{name}\"\nlicense = \"CC0\"\n{toml}");
    let adapter = Adapter::parse("made-up", &toml).unwrap_or_else(|error| panic!("{error}: {toml}"));
    let rows = adapter.rows(folder.path()).unwrap();
    rows.map(|item| {
        item.map(|row| {
            assert_eq!(&*row.origin.source, name);
            (row.origin.row, Value::Object(row.fields))
        })
        .map_err(|reject| (reject.reason.word(), reject.origin.row, reject.raw))
    })
    .collect()
}

/// The value of the field `x` that `field` makes of one row.
fn value(field: &str, row: &Value) -> Result<Value, (&'static str, String)> {
    let toml = format!("dataset = \"d\"\n[fields]\nx = {field}\n");
    let mut seen = adapt(&toml, "a.jsonl", &row.to_string());
    seen.remove(0).map(|(_, row)| row["x"].clone()).map_err(|(word, _, raw)| (word, raw))
}

fn refused(toml: &str) -> (String, Option<String>) {
    let error = Adapter::parse("made-up", toml).err().unwrap_or_else(|| panic!("accepted: {toml}"));
    (error.to_string(), error.hint().map(str::to_owned))
}

#[test]
fn a_column_or_what_is_inside_it() {
    let row = json!({"a": {"b": [{"c": 1}, {"c": 2}]}, "l": [[0, "x"], [1]], "d.e": true, "n": null});
    assert_eq!(value("'a'", &row).unwrap(), json!({"b": [{"c": 1}, {"c": 2}]}));
    assert_eq!(value("'a.b.c'", &row).unwrap(), json!([1, 2]));
    assert_eq!(value("'a.b.1.c'", &row).unwrap(), json!(2));
    assert_eq!(value("'l.0.1'", &row).unwrap(), json!("x"));
    assert_eq!(value("'d.e'", &row).unwrap(), json!(true));
    for missing in ["'z'", "'a.z'", "'a.b.2.c'", "'a.b.z'", "'n'", "'d'", "'l.x'", "{ join = ['n'] }"] {
        let (word, raw) = value(missing, &row).unwrap_err();
        assert_eq!(word, "missing_column", "{missing}");
        assert!(raw.starts_with("there is no `") && raw.contains("\"d.e\":true"), "{raw}");
    }
}

#[test]
fn forms_of_a_value() {
    let row = json!({"s": " 7 ", "n": 3, "l": ["no", "yes"], "is": ["False", "True", "False"], "b": [false, true], "t": "x"});
    let value = |field| value(field, &row);
    assert_eq!(value("{ from = 's', trim = true }").unwrap(), json!("7"));
    assert_eq!(value("{ from = 's', as = 'int' }").unwrap(), json!(7));
    assert_eq!(value("{ from = 'n', as = 'int' }").unwrap(), json!(3));
    assert_eq!(value("{ from = 'n', as = 'text' }").unwrap(), json!("3"));
    assert_eq!(value("{ from = 'l', values = { no = 0, yes = 1 } }").unwrap(), json!([0, 1]));
    assert_eq!(value("{ from = 'n', values = { 3 = 'three' } }").unwrap(), json!("three"));
    assert_eq!(value("{ from = 's', trim = true, values = { 7 = true } }").unwrap(), json!(true));
    assert_eq!(value("{ from = 'is', position_of = 'True' }").unwrap(), json!(1));
    assert_eq!(value("{ from = 'b', position_of = 'true' }").unwrap(), json!(1));
    assert_eq!(value("{ from = 't', position_of = 'x' }").unwrap(), json!(0));
    assert_eq!(value("{ join = ['t', { from = 'n' }], with = ' -- ' }").unwrap(), json!("x -- 3"));
    assert_eq!(value("{ join = ['t', 't'] }").unwrap(), json!("xx"));
    assert_eq!(value("{ list = ['n', 't'] }").unwrap(), json!([3, "x"]));
    assert_eq!(
        value("{ object = { z = 'n', a = { list = ['t'] } } }").unwrap().to_string(),
        r#"{"z":3,"a":["x"]}"#
    );
    for (field, word, why) in [
        ("{ from = 't', as = 'int' }", "unknown_value", "`t` holds `x`, not an integer: "),
        (
            "{ from = 't', values = { a = 1, b = 2 } }",
            "unknown_value",
            "`t` holds `x`, not one of `a`, `b`: ",
        ),
        (
            "{ from = 'is', position_of = 'False' }",
            "unknown_value",
            "`False` stands more than once in `is`: ",
        ),
        ("{ from = 'is', position_of = 'true' }", "unknown_value", "`true` stands never in `is`: "),
        ("{ join = ['l'] }", "not_text", "`join` holds a list or an object, where one value is needed: "),
    ] {
        let (found, raw) = value(field).unwrap_err();
        assert_eq!(found, word, "{field}");
        assert!(raw.starts_with(why), "{raw}");
    }
}

#[test]
fn a_pattern_is_for_the_whole_text() {
    let toml = r#"
        dataset = "d"
        [match]
        input = '(?s)P: (?P<passage>.*)\nQ: (?P<question>.*?)(?: \((?P<hint>.*)\))?'
        [fields]
        passage = "passage"
        question = "question"
        hint = "hint"
        label = "label"
    "#;
    let lines = "{\"input\": \"P: a\\nb\\nQ: c? (d)\", \"label\": 1, \"passage\": \"not this\"}\n{\"input\": \"P: a\\nQ: b\", \"label\": 0}\n\
                 {\"input\": \"So P: a\\nQ: b\", \"label\": 0}\n{\"label\": 0}\n{\"input\": [], \"label\": 0}\nno\n";
    let seen = adapt(toml, "a.jsonl", lines);
    assert_eq!(seen[0], Ok((Some(1), json!({"passage": "a\nb", "question": "c?", "hint": "d", "label": 1}))));
    let words: Vec<_> = seen[1..].iter().map(|item| item.clone().unwrap_err()).collect();
    let words: Vec<_> =
        words.iter().map(|(word, row, raw)| (*word, row.unwrap(), raw.split(": ").next().unwrap())).collect();
    assert_eq!(
        words,
        [
            ("missing_column", 2, "there is no `hint`"),
            ("no_match", 3, "the pattern for `input` does not match it"),
            ("missing_column", 4, "there is no `input`"),
            ("not_text", 5, "`input` holds a list or an object, where one value is needed"),
            ("invalid_json", 6, "expected ident at column 2"),
        ]
    );
}

#[test]
fn nested_rows_have_the_fields_around_them() {
    let toml = r#"
        dataset = "d"
        each = "data.paragraphs.qas"
        [fields]
        title = "title"
        question = "question"
        answers = { object = { text = "answers.text", answer_start = "answers.answer_start" } }
    "#;
    let json = json!({"version": 1, "data": [
        {"title": "T", "question": "outer", "paragraphs": [
            {"context": "c", "qas": [
                {"question": "q1", "answers": [{"text": "a", "answer_start": 3}, {"text": "b", "answer_start": 4}]},
                {"question": "q2", "answers": []},
                "no"
            ]},
            {"context": "c"},
            {"qas": []},
        ]},
        {"title": "U", "paragraphs": {"qas": {"question": "q3", "answers": {"text": "z", "answer_start": 0}}}},
    ]});
    let seen = adapt(toml, "a.json", &json.to_string());
    let row = |title: &str, question: &str, text: Value, start: Value| json!({"title": title, "question": question, "answers": {"text": text, "answer_start": start}});
    assert_eq!(
        seen,
        [
            Ok((Some(1), row("T", "q1", json!(["a", "b"]), json!([3, 4])))),
            Ok((Some(2), row("T", "q2", json!([]), json!([])))),
            Err(("invalid_row", Some(3), "`qas` holds something else than an object: \"no\"".to_owned())),
            Err((
                "missing_column",
                Some(4),
                "there is no `qas`: {\"version\":1,\"title\":\"T\",\"question\":\"outer\",\"context\":\"c\"}"
                    .to_owned()
            )),
            Ok((Some(5), row("U", "q3", json!("z"), json!(0)))),
        ]
    );
}

#[test]
fn xml_is_read_as_its_elements() {
    let toml = r##"
        dataset = "d"
        reader = "xml"
        each = "questions.q"
        [fields]
        context = "body"
        question = "#text"
        answers = "a.#text"
        correct = { from = "a", key = "@correct", position_of = "True" }
    "##;
    let xml = "<data><text><body> B </body><questions><q> Q1 <a n='1'>x</a><a correct='True'> y </a></q>\
               <q>Q2<a correct='True'>z</a></q></questions></text><text><body>C</body></text></data>";
    let seen = adapt(toml, "a.xml", xml);
    assert_eq!(
        seen[0],
        Ok((Some(1), json!({"context": "B", "question": "Q1", "answers": ["x", "y"], "correct": 1})))
    );
    assert_eq!(
        seen[1],
        Ok((Some(2), json!({"context": "B", "question": "Q2", "answers": "z", "correct": 0})))
    );
    assert_eq!(seen[2].clone().unwrap_err().0, "missing_column");
    assert_eq!(seen.len(), 3);
}

#[test]
fn rendered_rows_tell_their_dataset() {
    let toml = r#"
        dataset = { from = "set" }
        path = "*/*.jsonl"
        reader = "rendered"
        license = "CC0"
        [match]
        completion = '(?P<answer>.*)<end>'
        [fields]
        prompt = "prompt"
        completion = "answer"
        template = "template"
    "#;
    let folder = tempfile::tempdir().unwrap();
    for (name, line) in [
        (
            "b",
            "{\"set\": \"glue/mrpc\", \"template\": \"t\", \"prompt\": \"p\", \"completion\": \"c<end>\"}\n",
        ),
        ("a", "{\"set\": null, \"template\": \"t\", \"prompt\": \"p\", \"completion\": \"c<end>\"}\n"),
    ] {
        fs::create_dir(folder.path().join(name)).unwrap();
        fs::write(folder.path().join(name).join("x.jsonl"), line).unwrap();
    }
    let adapter = Adapter::parse("p3", toml).unwrap();
    let columns = RenderedColumns { prompt: "prompt", completion: "completion", template: "template" };
    assert_eq!((adapter.dataset(), adapter.rendered()), (None, Some(columns)));
    assert_eq!(adapter.fields().collect::<Vec<_>>(), ["prompt", "completion", "template"]);
    let items: Vec<_> = adapter.rows(folder.path()).unwrap().collect();
    let reject = items[0].as_ref().unwrap_err();
    assert_eq!((reject.reason, &*reject.origin.source), (Reason::MissingColumn, "a/x.jsonl"));
    let row = items[1].as_ref().unwrap();
    assert_eq!((row.dataset.as_deref(), &*row.origin.source), (Some("glue/mrpc"), "b/x.jsonl"));
    assert_eq!(row.fields["completion"], "c");
}

#[test]
fn a_file_that_is_not_there_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let toml = "dataset = 'd'\npath = ['x/*.jsonl']\nlicense = ''\n[fields]\na = 'a'\n";
    let error = Adapter::parse("made-up", toml).unwrap().rows(folder.path()).err().unwrap();
    assert!(error.to_string().starts_with("the adapter `made-up` finds no file `x/*.jsonl` in "), "{error}");
    assert_eq!(error.hint(), Some("name the folder that the adapter's paths are meant below"));
    let error = Adapter::read(&folder.path().join("none.toml")).err().unwrap();
    assert!(error.to_string().starts_with("failed to read the adapter `"), "{error}");
    fs::write(folder.path().join("a.toml"), "dataste = 'd'\n").unwrap();
    let error = Adapter::read(&folder.path().join("a.toml")).err().unwrap();
    assert_eq!(error.source().unwrap().to_string(), "unknown name `dataste` at line 1");
    assert_eq!(error.hint(), Some("did you mean `dataset`?"));
}

#[test]
fn an_adapter_that_makes_no_sense_is_refused() {
    let head = "dataset = 'd'\npath = 'a.jsonl'\nlicense = 'l'\n";
    let with = |rest: &str| refused(&format!("{head}{rest}"));
    for (rest, message, hint) in [
        ("[field]\na = 'a'", "unknown name `field` at line 4", Some("did you mean `fields`?")),
        ("reader = 'xlm'\n[fields]\na = 'a'", "unknown name `xlm` at line 4", Some("did you mean `xml`?")),
        ("[fields]\na = { form = 'a' }", "unknown name `form` at line 5", Some("did you mean `from`?")),
        (
            "[fields]\na = { from = 'a', as = 'itn' }",
            "unknown name `itn` at line 5",
            Some("did you mean `int`?"),
        ),
    ] {
        assert_eq!(with(rest), (message.to_owned(), hint.map(str::to_owned)), "{rest}");
    }
    for (rest, part) in [
        ("", "missing field `fields`"),
        ("[fields]\n", "[fields] is empty"),
        ("[fields]\na = 1", "expected the name of a column"),
        ("[fields]\na = {}", "a field needs one of `from`"),
        ("[fields]\na = { from = 'a', list = ['b'] }", "a field needs one of `from`"),
        ("[fields]\na = { list = [] }", "a field needs one of `from`"),
        ("[fields]\na = { list = ['a'], trim = true }", "need `from`"),
        ("[fields]\na = { from = 'a', with = ' ' }", "`with` needs `join`"),
        ("[fields]\na = { from = 'a', as = 'int', position_of = 'x' }", "only one of"),
        ("[fields]\na = { from = 'a', key = 'x' }", "`key` needs `position_of`"),
        ("[fields]\na = { from = 'a', values = {} }", "`values` is empty"),
        (
            "[fields]\na = { from = 'a', values = { b = [] } }",
            "expected an integer, a string, or true or false",
        ),
        ("[match]\na = '('\n[fields]\na = 'a'", "unclosed group"),
        ("[match]\na = '(.*)'\n[fields]\na = 'a'", "has no group with a name"),
        ("[match]\na = '(?P<b>.*)(?P<c>.)'\n[fields]\na = 'c'", "no field is made from the group `b`"),
        (
            "[match]\na = '(?P<x>.*)'\nb = '(?P<x>.*)'\n[fields]\na = 'x'",
            "the group `x` is in the patterns of `a` and of `b`",
        ),
        ("reader = 'rendered'\n[fields]\nprompt = 'a'\ntemplate = 't'", "needs the field `completion`"),
    ] {
        let (message, _) = with(rest);
        assert!(message.contains(part), "{rest}\n{message}");
    }
    for path in ["'/etc/x'", "'../x'", "'a/../../x'", "''", "['a', '..']"] {
        let (message, _) =
            refused(&format!("dataset = 'd'\npath = {path}\nlicense = 'l'\n[fields]\na = 'a'"));
        assert!(message.starts_with("`path` is meant below the data folder"), "{message}");
    }
    assert!(
        refused("dataset = ''\npath = 'a'\nlicense = 'l'\n[fields]\na = 'a'")
            .0
            .starts_with("`dataset` is empty")
    );
    assert!(
        refused("dataset = 'd'\npath = []\nlicense = 'l'\n[fields]\na = 'a'").0.contains("names no file")
    );
    assert!(
        refused("dataset = 1\npath = 'a'\nlicense = 'l'\n[fields]\na = 'a'")
            .0
            .contains("expected the dataset's key")
    );
}
