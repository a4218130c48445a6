#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};

use regex::Regex;

use super::*;
use crate::prompt::bonito::PLACEHOLDER;

const HOSTILE: &str = "{{ 7 * 7 }} {% if x %} {# no #} {{context}} </text> <b>&amp;</b> \"\\n\" [[ passage ]] [% raw %] [# no #]\r\nend";

fn user(kind: TaskKind, passage: &str, labels: &[&str]) -> String {
    let labels: Vec<String> = labels.iter().map(|label| (*label).to_owned()).collect();
    messages(kind, passage, &labels).swap_remove(1).content
}

#[test]
fn all_kinds_share_system_and_passage() {
    let head = format!("<text>\n{HOSTILE}\n</text>\n\n");
    for kind in TaskKind::ALL {
        for labels in [&[][..], &["a", "b"]] {
            let owned: Vec<String> = labels.iter().map(|label| (*label).to_owned()).collect();
            let messages = messages(kind, HOSTILE, &owned);
            assert_eq!(messages[0], Message { role: "system", content: SYSTEM.trim_end().to_owned() });
            assert_eq!(messages[1].role, "user");
            let user = &messages[1].content;
            let rest = user.strip_prefix(&head).unwrap_or_else(|| panic!("{}: {user}", kind.short()));
            assert!(rest.starts_with("Task: "), "{}: {rest}", kind.short());
            assert!(user.ends_with("nothing before or after it."), "{}", kind.short());
            assert!(!rest.contains("[%") && !rest.contains("\n\n\n"), "{}: {rest}", kind.short());
        }
    }
}

#[test]
fn every_file_of_the_folder_is_included() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/prompts/instruct/v1");
    let there: BTreeSet<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let known = FILES.iter().map(|(name, _)| *name).chain(["system"]).map(|name| format!("{name}.txt"));
    assert_eq!(there, known.collect());
}

#[test]
fn the_wording_of_v1_does_not_change() {
    let parts: Vec<&str> = [SYSTEM].into_iter().chain(FILES.iter().map(|(_, text)| *text)).collect();
    // A change of wording after the first release goes into a folder `v2`; see the head of the module.
    insta::assert_snapshot!(rng::hex_of(&parts, 16), @"fbacbe9910b05e4d");
}

#[test]
fn labels_stand_in_the_prompts_that_choose_among_them() {
    let given = user(TaskKind::TopicClass, "A text.", &["World", "Sci/Tech, {{x}}"]);
    assert!(given.contains("message.\nLabels:\n- World\n- Sci/Tech, {{x}}\nAnswer with"), "{given}");
    let open = user(TaskKind::TopicClass, "A text.", &[]);
    assert!(open.contains("message.\nLabels: none given\nAnswer with"), "{open}");
    let usual = user(TaskKind::Sentiment, "A text.", &[]);
    assert!(usual.contains("message.\nLabels:\n- positive\n- negative\n- neutral\nAnswer with"), "{usual}");
    let own = user(TaskKind::Sentiment, "A text.", &["calm", "angry"]);
    assert!(own.contains("message.\nLabels:\n- calm\n- angry\nAnswer with"), "{own}");
    let other = user(TaskKind::Exqa, "A text.", &["World"]);
    assert_eq!(other, user(TaskKind::Exqa, "A text.", &[]));
}

#[test]
fn wanted_answers_are_balanced_and_fixed_by_the_passage() {
    for kind in TaskKind::ALL {
        let mut counts = BTreeMap::<_, usize>::new();
        for index in 0..600 {
            let passage = format!("Passage {index}.");
            *counts.entry(wanted(kind, &passage)).or_insert(0) += 1;
            assert_eq!(user(kind, &passage, &[]), user(kind, &format!(" {passage}\n"), &[]));
        }
        let answers = answers(kind);
        let share = 600 / answers.len().max(1);
        assert_eq!(counts.len(), answers.len().max(1), "{counts:?}");
        assert!(
            counts.values().all(|count| count.abs_diff(share) <= share / 5),
            "{}: {counts:?}",
            kind.short()
        );
    }
}

#[test]
fn the_schema_takes_two_strings_and_nothing_else() {
    let schema = schema();
    assert_eq!(schema["required"], json!(["instruction", "response"]));
    assert_eq!(schema["additionalProperties"], json!(false));
    for name in ["instruction", "response"] {
        assert_eq!(schema["properties"][name], json!({"type": "string", "minLength": 1}));
    }
}

/// A demonstration as it stands in a prompt.
struct Demonstration {
    passage: String,
    labels: Option<Vec<String>>,
    wanted: Option<String>,
    instruction: String,
    response: String,
}

impl Demonstration {
    fn of(kind: TaskKind) -> Vec<Self> {
        let pattern = r"(?s)Example \d\n<text>\n(.*?)\n</text>\n(.*?)(\{[^\n]*\})\n";
        let prompt = user(kind, "P", &[]);
        let found = Regex::new(pattern).unwrap();
        found.captures_iter(&prompt).map(|found| Self::read(&found[1], &found[2], &found[3])).collect()
    }

    fn read(passage: &str, given: &str, answer: &str) -> Self {
        let answer: BTreeMap<String, String> = serde_json::from_str(answer).unwrap();
        assert_eq!(answer.keys().collect::<Vec<_>>(), ["instruction", "response"]);
        let labels = given
            .contains("Labels:")
            .then(|| given.lines().filter_map(|line| line.strip_prefix("- ")).map(str::to_owned).collect());
        let wanted = given.lines().find_map(|line| line.strip_prefix("Wanted answer: ")).map(str::to_owned);
        let (instruction, response) = (answer["instruction"].clone(), answer["response"].clone());
        Self { passage: passage.to_owned(), labels, wanted, instruction, response }
    }

    /// The instruction without the place of the passage.
    fn asked(&self) -> String {
        self.instruction.replace(PLACEHOLDER, "")
    }
}

fn words(text: &str) -> Vec<String> {
    let word = |part: &str| part.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
    text.split_whitespace().map(word).filter(|word| !word.is_empty()).collect()
}

fn has_words(text: &str, part: &str) -> bool {
    let (text, part) = (words(text), words(part));
    text.windows(part.len()).any(|window| window == part)
}

fn quoted(text: &str) -> Vec<&str> {
    text.split('"').skip(1).step_by(2).collect()
}

#[test]
fn demonstrations_keep_the_rules_of_all_kinds() {
    let mut passages = BTreeSet::new();
    for kind in TaskKind::ALL {
        let demonstrations = Demonstration::of(kind);
        assert_eq!(demonstrations.len(), 2, "{}", kind.short());
        for demo in demonstrations {
            let at = format!("{}: {} => {}", kind.short(), demo.instruction, demo.response);
            assert!(passages.insert(demo.passage.clone()), "used twice: {at}");
            assert_eq!(
                demo.instruction.matches(PLACEHOLDER).count(),
                usize::from(kind != TaskKind::TextGen),
                "{at}"
            );
            for copied in ["above", "below", "passage", "wanted"] {
                assert!(!words(&demo.asked()).contains(&copied.to_owned()), "{at}");
            }
            let known = words(&format!("{} {}", demo.passage, demo.asked()));
            let numbers =
                words(&demo.response).into_iter().filter(|word| word.contains(|c: char| c.is_ascii_digit()));
            numbers.for_each(|number| assert!(known.contains(&number), "{number} in {at}"));
            assert_eq!(demo.wanted.is_some(), !answers(kind).is_empty(), "{at}");
            if let Some(wanted) = &demo.wanted {
                assert_eq!(&demo.response, wanted, "{at}");
                assert!(answers(kind).iter().all(|answer| has_words(&demo.asked(), answer)), "{at}");
            }
            let closed =
                demo.wanted.is_some() || demo.labels.as_ref().is_some_and(|labels| !labels.is_empty());
            let open = !closed && kind != TaskKind::Mcqa;
            assert!(!open || !has_words(&demo.asked(), &demo.response), "given away: {at}");
        }
    }
}

#[test]
fn demonstrations_keep_the_rules_of_their_kind() {
    for kind in TaskKind::ALL {
        for demo in Demonstration::of(kind) {
            let at = format!("{}: {} => {}", kind.short(), demo.instruction, demo.response);
            let copied = || has_words(&demo.passage, &demo.response);
            match kind {
                TaskKind::Exqa => assert!(demo.passage.contains(&demo.response), "{at}"),
                TaskKind::Coref => {
                    assert!(demo.passage.contains(&demo.response), "{at}");
                    assert!(quoted(&demo.instruction).iter().all(|part| demo.passage.contains(part)), "{at}");
                }
                TaskKind::Mcqa => {
                    let options: BTreeSet<&str> =
                        demo.instruction.lines().filter_map(|line| line.strip_prefix("- ")).collect();
                    assert_eq!(options.len(), 4, "{at}");
                    assert!(options.contains(demo.response.as_str()), "{at}");
                }
                TaskKind::Qg => {
                    assert!(demo.response.ends_with('?') && demo.response.matches('?').count() == 1, "{at}")
                }
                TaskKind::Qa | TaskKind::Paraphrase => {
                    assert!(!copied() && demo.response.ends_with('.'), "{at}")
                }
                TaskKind::Summarization => {
                    assert!(!copied(), "{at}");
                    assert!(words(&demo.response).len() * 3 <= words(&demo.passage).len(), "{at}");
                }
                TaskKind::SentComp => {
                    assert!(demo.response.ends_with('.') && !demo.instruction.ends_with(['.', ' ']), "{at}");
                    let begun = demo.instruction.rsplit(": ").next().unwrap();
                    assert!(!has_words(&demo.passage, &format!("{begun} {}", demo.response)), "{at}");
                }
                TaskKind::TextGen => assert_eq!(demo.response, PLACEHOLDER, "{at}"),
                TaskKind::TopicClass | TaskKind::Sentiment => {
                    let labels = demo.labels.as_ref().unwrap();
                    assert!(labels.is_empty() || labels.contains(&demo.response), "{at}");
                    assert!(labels.iter().all(|label| has_words(&demo.asked(), label)), "{at}");
                }
                TaskKind::Wsd => {
                    let word = quoted(&demo.instruction)[0];
                    assert!(has_words(&demo.passage, word) && has_words(&demo.instruction, word), "{at}");
                }
                TaskKind::ParaphraseId | TaskKind::Ynqa | TaskKind::Te | TaskKind::Nli => {}
            }
        }
    }
}

#[test]
fn one_prompt_as_the_model_sees_it() {
    insta::assert_snapshot!(user(TaskKind::Nli, "The kiln was lit on 3 May. It burned for two days.", &[]), @r###"
    <text>
    The kiln was lit on 3 May. It burned for two days.
    </text>

    Task: natural language inference. Write a statement and ask how it stands to the text: Entailment, Contradiction or Neutral.

    Rules
    - Entailment: whoever takes the text to be true must take the statement to be true. Contradiction: both cannot be true. Neutral: the text leaves open whether it is true.
    - The statement is one sentence in words of your own about persons, things or rules of the text. A neutral one is likely enough to be believed.
    - A contradiction changes what is said rather than adding "not": another cause, time, number, condition or person.
    - The response is exactly one word, the wanted answer. The instruction names all three labels.

    Example 1
    <text>
    The library lends seed free of charge. In return a borrower brings back twice as much after the harvest, unless the crop has failed.
    </text>
    Wanted answer: Contradiction
    {"instruction": "{{context}}\n\nStatement: A borrower whose crop has failed owes the library a small fee.\n\nHow does the statement stand to this text? Answer Entailment, Contradiction or Neutral.", "response": "Contradiction"}

    Example 2
    <text>
    Sergeant Nwosu reached the hut at dusk and found the stove still warm. Two cups stood on the table, and the back door was open.
    </text>
    Wanted answer: Neutral
    {"instruction": "Premise: {{context}}\nHypothesis: Two people had left the hut through the back door.\n\nGive the relation between premise and hypothesis: Entailment, Neutral or Contradiction.", "response": "Neutral"}

    Now make one example of this task from the text at the head of this message.
    Wanted answer: Neutral
    Answer with one JSON object of the form {"instruction": "...", "response": "..."}, without a code fence and with nothing before or after it.
    "###);
}
