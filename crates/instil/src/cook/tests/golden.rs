//! What each template makes for one seed, for ever: where it changes, the template's version must change too.

use super::*;

const ROWS: &[(&str, u32, &str)] = &[
    ("mcqa", 1, "412cd395ee5b3388"),
    ("commonsense", 1, "c3349f05660f9142"),
    ("disambiguation", 1, "14fb69c0f520aed7"),
    ("doc_qa", 1, "2809a9067894dfe4"),
    ("retrieval", 1, "47fcc41fe48f7e4d"),
    ("lookup", 1, "5cf06b9b454480d0"),
    ("matching", 1, "eb78573a4856e5df"),
    ("support", 1, "c42da74276938d77"),
    ("poetry", 1, "2c30ad07a09814e1"),
    ("last_word", 1, "1f9f77deec208692"),
    ("summary", 1, "c95950534f6f14b1"),
];

#[test]
fn a_version_of_a_template_makes_the_same_rows_for_ever() {
    let made: Vec<(String, u32, String)> = templates()
        .iter()
        .map(|template| {
            let stream = stream(template.name(), Wording::Bare, &[]);
            let texts: Vec<String> = rows(&stream, (0..50).chain([u64::MAX]))
                .into_iter()
                .map(|(prompt, completion)| format!("{prompt}\0{completion}"))
                .collect();
            let parts: Vec<&str> = texts.iter().map(String::as_str).collect();
            (template.name().to_owned(), template.version(), crate::rng::hex_of(&parts, 16))
        })
        .collect();
    let known: Vec<_> =
        ROWS.iter().map(|(name, version, hash)| ((*name).to_owned(), *version, (*hash).to_owned())).collect();
    assert_eq!(made, known, "count the version up where rows are meant to change");
}
