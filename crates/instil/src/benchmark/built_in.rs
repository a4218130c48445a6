//! The benchmarks that come with the program: files as a user writes them.

/// Name, file, and what stands in it for `%TEXT%`, the kind of text that is asked about.
const FILES: [(&str, &str, &str); 17] = [
    ("pubmedqa", include_str!("built_in/pubmedqa.yaml"), ""),
    ("privacyqa", include_str!("built_in/privacyqa.yaml"), ""),
    ("contractnli", include_str!("built_in/contractnli.yaml"), ""),
    ("vitaminc", include_str!("built_in/vitaminc.yaml"), ""),
    ("squadshifts_nyt", include_str!("built_in/squad.yaml"), "New York Times article"),
    ("squadshifts_amazon", include_str!("built_in/squad.yaml"), "Amazon review"),
    ("squadshifts_reddit", include_str!("built_in/squad.yaml"), "Reddit post"),
    ("policyqa", include_str!("built_in/squad.yaml"), "privacy policy"),
    ("xquad", include_str!("built_in/squad.yaml"), "Wikipedia article"),
    ("arc_easy", include_str!("built_in/arc.yaml"), "easy"),
    ("arc_challenge", include_str!("built_in/arc.yaml"), "challenge"),
    ("boolq", include_str!("built_in/boolq.yaml"), ""),
    ("hellaswag", include_str!("built_in/hellaswag.yaml"), ""),
    ("openbookqa", include_str!("built_in/openbookqa.yaml"), ""),
    ("piqa", include_str!("built_in/piqa.yaml"), ""),
    ("winogrande", include_str!("built_in/winogrande.yaml"), ""),
    ("lambada_openai", include_str!("built_in/lambada_openai.yaml"), ""),
];

/// Super-NaturalInstructions, whose prompts are made by code.
const SUPER_NI: (&str, &str) = ("super_ni", include_str!("built_in/super_ni.yaml"));

/// The templates of `cook`, each as it is set without a word: 500 samples of its split test.
const COOKED: [&str; 11] = [
    "cook_mcqa",
    "cook_commonsense",
    "cook_disambiguation",
    "cook_doc_qa",
    "cook_retrieval",
    "cook_lookup",
    "cook_matching",
    "cook_support",
    "cook_poetry",
    "cook_last_word",
    "cook_summary",
];

/// Names of several benchmarks.
const SUITES: [(&str, &[&str]); 3] = [
    (
        "bonito",
        &[
            "pubmedqa",
            "privacyqa",
            "squadshifts_nyt",
            "squadshifts_amazon",
            "squadshifts_reddit",
            "contractnli",
            "vitaminc",
        ],
    ),
    ("cook", &COOKED),
    ("gpt4all", &["hellaswag", "openbookqa", "winogrande", "arc_easy", "arc_challenge", "boolq", "piqa"]),
];

/// The names of the built-in benchmarks.
pub fn names() -> Vec<&'static str> {
    FILES.iter().map(|(name, ..)| *name).chain([SUPER_NI.0]).chain(COOKED).collect()
}

/// The names of the built-in suites.
pub fn suites() -> impl Iterator<Item = (&'static str, &'static [&'static str])> {
    SUITES.into_iter()
}

/// The benchmarks of a suite; none if it isn't the name of one.
pub fn suite(name: &str) -> Option<&'static [&'static str]> {
    SUITES.iter().find(|(suite, _)| *suite == name).map(|(_, names)| *names)
}

/// The file of a built-in benchmark.
pub fn text(name: &str) -> Option<String> {
    if name == SUPER_NI.0 {
        return Some(SUPER_NI.1.to_owned());
    }
    if COOKED.contains(&name) {
        let template = name.trim_start_matches("cook_");
        return Some(format!(
            "name: {name}\nabout: Samples of the template `{template}` of `cook`\nsource: wording and scoring are ours\ncook: {{template: {template}}}\n"
        ));
    }
    let (_, text, kind) = FILES.iter().find(|(known, ..)| *known == name)?;
    Some(text.replace("%TEXT%", kind).replace("%NAME%", name))
}
