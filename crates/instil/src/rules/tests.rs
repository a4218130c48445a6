use proptest::prelude::*;

use super::*;
use crate::lm::{Constraint, Next, Sampling};
use kinds::Draft;
use question::{gaps, questions};
use statement::{Truth, statements};

const GAUCHER: &str = "Gaucher disease is a rare disorder that affects the liver and spleen. It is not common. \
    Gaucher disease is caused by mutations in the GBA gene. The GBA gene provides instructions for making an enzyme. \
    In 1991, the first treatment of Gaucher disease was approved by the agency. The study of the clinic included 43 patients. \
    The average age at the first visit was 24 years. Some carriers are examined in the clinic every year. \
    If the spleen is removed by surgery, the bones may lose their strength. \
    Carriers of the gene must not donate blood because the enzyme is missing in them.";

const LEASE: &str = "4.2 The Tenant shall return all keys to the Landlord within 14 days. \
    The Landlord may inspect the garden. The rent was set at $900 in May 2019. \
    \"Premises\" means the house and the garden behind it. \
    HEATING The Tenant must not store fuel in the cellar.";

fn drafts(kind: TaskKind, passage: &str, seed: u64, most: usize) -> Vec<Draft> {
    kinds::drafts(&Source::new(Text::new(passage)), kind, seed, most)
}

fn request(kind: TaskKind, passage: &str, seed: u64, samples: Vec<u32>) -> Request {
    Request {
        id: 3,
        input: Input::Prompt(bonito::prompt(kind, passage)),
        sampling: Sampling::default(),
        seed,
        samples,
        constraint: Constraint::Free,
    }
}

#[test]
fn questions_and_their_answers() {
    let found: Vec<_> = [GAUCHER, LEASE].iter().flat_map(|passage| questions(&Text::new(passage))).collect();
    let found: Vec<_> = found.iter().map(|q| (q.form, q.text.as_str(), q.answer.as_str())).collect();
    assert_eq!(
        found,
        [
            ("what-is", "What is Gaucher disease?", "a rare disorder that affects the liver and spleen"),
            ("what-subject", "What provides instructions for making an enzyme?", "The GBA gene"),
            ("what-object", "What does the GBA gene provide?", "instructions for making an enzyme"),
            ("when", "When was the first treatment of Gaucher disease approved by the agency?", "1991"),
            ("by-what", "What was the first treatment of Gaucher disease approved by?", "the agency"),
            ("how-many", "How many patients did the study of the clinic include?", "43"),
            ("what-is", "What was the average age at the first visit?", "24 years"),
            (
                "why",
                "Why must carriers of the gene not donate blood?",
                "because the enzyme is missing in them"
            ),
            ("who", "Who must return all keys to the Landlord within 14 days?", "The Tenant"),
            ("when-where", "Within what time must the Tenant return all keys to the Landlord?", "14 days"),
            ("what-subject", "What was set at $900 in May 2019?", "The rent"),
            ("when-where", "When was the rent set at $900?", "May 2019"),
        ]
    );
}

#[test]
fn gaps_are_values_that_occur_once() {
    let found: Vec<_> = gaps(&Text::new(LEASE)).into_iter().map(|gap| (gap.text, gap.answer)).collect();
    let wanted = [
        ("The Tenant shall return all keys to the Landlord within ____.", "14 days"),
        ("The rent was set at ____ in May 2019.", "$900"),
        ("The rent was set at $900 in ____.", "May 2019"),
        ("\"____\" means the house and the garden behind it.", "Premises"),
    ];
    assert_eq!(found, wanted.map(|(gap, answer)| (gap.to_owned(), answer.to_owned())));
}

#[test]
fn statements_and_their_truth() {
    use Truth::{Conflicts, Follows, Open};
    let found: Vec<_> = [GAUCHER, LEASE].iter().flat_map(|passage| statements(&Text::new(passage))).collect();
    let found: Vec<_> =
        found.iter().filter(|s| s.form != "kept").map(|s| (s.truth, s.text.as_str())).collect();
    assert_eq!(
        found,
        [
            (Conflicts, "Gaucher disease is not a rare disorder that affects the liver and spleen."),
            (Follows, "Mutations in the GBA gene cause Gaucher disease."),
            (Follows, "Gaucher disease results from mutations in the GBA gene."),
            (Conflicts, "Gaucher disease is not caused by mutations in the GBA gene."),
            (Conflicts, "The GBA gene does not provide instructions for making an enzyme."),
            (Follows, "The first treatment of Gaucher disease was approved by the agency in 1991."),
            (Conflicts, "In 1991, the first treatment of Gaucher disease was not approved by the agency."),
            (Conflicts, "The study of the clinic included 86 patients."),
            (Conflicts, "The average age at the first visit was 48 years."),
            (Open, "Most carriers are examined in the clinic every year."),
            (Open, "The spleen has been removed by surgery."),
            (
                Follows,
                "Carriers of the gene are not allowed to donate blood because the enzyme is missing in them."
            ),
            (Follows, "The Tenant must return all keys to the Landlord within 14 days."),
            (Follows, "The Landlord is allowed to inspect the garden."),
            (Conflicts, "The Landlord may not inspect the garden."),
            (Open, "The Landlord will inspect the garden."),
            (Conflicts, "The rent was set at $900 in May 2015."),
            (Follows, "The Tenant is not allowed to store fuel in the cellar."),
            (Conflicts, "The Tenant must store fuel in the cellar."),
        ]
    );
}

#[test]
fn statements_can_be_asked() {
    let asked: Vec<_> = statements(&Text::new(GAUCHER)).into_iter().filter_map(|s| s.question).collect();
    for question in [
        "Does the GBA gene provide instructions for making an enzyme?",
        "In 1991, was the first treatment of Gaucher disease approved by the agency?",
        "Was the average age at the first visit 48 years?",
        "Are some carriers examined in the clinic every year?",
    ] {
        assert!(asked.iter().any(|found| found == question), "{question}: {asked:#?}");
    }
}

/// The first draft of each kind, as `instruction => response`.
#[test]
fn first_drafts() {
    let first = |kind, seed| {
        let passage = if kind == TaskKind::TextGen { &SENTENCES[4..8].join(" ") } else { GAUCHER };
        let draft = drafts(kind, passage, seed, 1).remove(0);
        format!("{} => {}", draft.instruction, draft.response)
    };
    for (kind, wanted) in [
        (
            TaskKind::Exqa,
            "Extract the answer to the question from the document.\n\nDocument: {{context}}\nQuestion: What does the GBA gene provide? => instructions for making an enzyme",
        ),
        (
            TaskKind::Mcqa,
            "What provides instructions for making an enzyme?\n\nChoices:\nA) The study of the clinic\nB) Gaucher disease\nC) The average age at the first visit\nD) The GBA gene\n\nThe text to decide by:\n{{context}} => The GBA gene",
        ),
        (
            TaskKind::Qg,
            "Make up a question that can be answered from this text with \"a rare disorder that affects the liver and spleen\".\n\nText: {{context}}\n\nQuestion: => What is Gaucher disease?",
        ),
        (
            TaskKind::Qa,
            "I have read this:\n\n{{context}}\n\nWas the average age at the first visit 48 years? => No. The average age at the first visit was 24 years.",
        ),
        (
            TaskKind::Ynqa,
            "{{context}}\n\nA reader sums up part of this text as: \"The first treatment of Gaucher disease was approved by the agency in 1991.\" Is the reader right? (yes/no) => yes",
        ),
        (
            TaskKind::ParaphraseId,
            "Compare the two sentences, in the light of the text they come from.\n\nText: {{context}}\n\n1. The study of the clinic included 43 patients.\n2. The study of the clinic included 86 patients.\n\nDo both say the same thing?\n- yes\n- no => no",
        ),
        (
            TaskKind::SentComp,
            "{{context}}\n\nSupply the rest: \"If the spleen is removed ...\" => by surgery, the bones may lose their strength.",
        ),
        (
            TaskKind::Summarization,
            "{{context}}\n\nSummarize the text above in one sentence. => Gaucher disease is a rare disorder that affects the liver and spleen.",
        ),
        (
            TaskKind::TextGen,
            "Expand the following sentence into a full passage in which London and Lyon come up.\n\nThe Tenant shall return all keys to the Landlord within 14 days. => {{context}}",
        ),
        (
            TaskKind::Te,
            "{{context}}\n\nDoes this follow from the text above? \"Carriers of the gene are not allowed to donate blood because the enzyme is missing in them.\" Yes or no? => Yes",
        ),
        (
            TaskKind::Nli,
            "Text: {{context}}\nClaim: The spleen has been removed by surgery.\nIs the claim true, false or inconclusive? => Inconclusive",
        ),
    ] {
        assert_eq!(first(kind, 2), wanted);
    }
}

#[test]
fn a_definition_and_a_condition_are_asked_for() {
    let asked: Vec<Draft> =
        (0..40).flat_map(|seed| drafts(TaskKind::Qa, &format!("{LEASE} {GAUCHER}"), seed, 8)).collect();
    for (question, answer) in [
        ("How does the text define the term \"Premises\"?", "The house and the garden behind it."),
        (
            "According to the text, what applies if the spleen is removed by surgery?",
            "The bones may lose their strength.",
        ),
        ("In 1991, what", ""),
    ] {
        let found = asked.iter().find(|draft| draft.instruction.contains(question));
        assert_eq!(found.map_or("", |draft| draft.response.as_str()), answer, "{question}");
    }
}

/// Sentences that once made bad rows, or would.
#[test]
fn nothing_is_made_of_these() {
    let none: &[&str] = &[
        // Fragments, headlines, index entries, blanks, citations.
        "Marlins keep pace in wild-card race.",
        "To assess and compare the value of two kinds of transplantation.",
        "On simultaneous changes in the forms of life throughout the world.",
        "Plan what to do the day before your quit date.",
        "Signs Alopecia 90% Pustule 90% The project has collected information on the signs.",
        "Affinities: of extinct species, 329. of organic beings, 411.",
        "The Buyer is ____________ and the Seller is _____________ of London.",
        "Similar cases were described by Smith et al in the year 1999 and later.",
        // Who or what is meant stands in another sentence.
        "This protein plays a critical role in the growth of the heart.",
        "AAPs resulted in higher mean adjusted pharmacy costs than the others.",
        "Terms and conditions of service apply to the use of these pages.",
        "The trick does not occur when he is half-asleep in his chair.",
        // Negation that may not reach what it should.
        "Tumours might be identified at surgery in several of the other patients.",
    ];
    for text in none {
        let text = Text::new(text);
        let made: Vec<_> =
            statements(&text).into_iter().filter(|s| s.truth == Truth::Conflicts).map(|s| s.text).collect();
        assert!(questions(&text).is_empty() && made.is_empty(), "{:?} {made:?}", questions(&text));
    }
}

#[test]
fn no_statement_is_wrong_about_these() {
    let texts = |passage: &str, truth| -> Vec<String> {
        statements(&Text::new(passage)).into_iter().filter(|s| s.truth == truth).map(|s| s.text).collect()
    };
    // "Some are not" and "may not cause" are no contradictions, nor is a smaller number below a bound.
    for passage in [
        "Some people are sensitive to the light of the morning sun.",
        "The drug may cause a rash on the skin of the arms.",
        "The nurse visited at least 43 patients in the winter.",
        "The drug is often used because the patients like it.",
        "A patient was treated with the drug in the clinic.",
    ] {
        assert_eq!(texts(passage, Truth::Conflicts), Vec::<String>::new(), "{passage}");
    }
    // Two finite verbs are not turned into one question.
    for passage in [
        "The firm bought the mill in the valley and sold the farm.",
        "The gene causes the first form, and other genes cause the second form.",
    ] {
        assert!(
            statements(&Text::new(passage)).iter().all(|s| s
                .question
                .as_deref()
                .is_none_or(|q| !q.contains(" sold ") && !q.contains("second")))
        );
    }
}

#[test]
fn a_kind_that_rules_cannot_make_is_refused_by_name() {
    for (input, named) in [
        (Input::Prompt(bonito::prompt(TaskKind::Wsd, "A text.")), "`wsd`"),
        (Input::Prompt("Say hello.".to_owned()), "no Bonito prompt"),
        (Input::Messages(Vec::new()), "not messages"),
    ] {
        let request = Request { input, ..request(TaskKind::Qa, "A text.", 1, vec![0, 2]) };
        let events = answer(vec![request]);
        assert_eq!(events.iter().map(|event| event.sample).collect::<Vec<_>>(), [0, 2]);
        let Outcome::Refused(message) = &events[0].outcome else { panic!("{events:?}") };
        assert!(message.contains(named) && message.contains("exqa, mcqa, qg, qa, ynqa"), "{message}");
    }
}

#[test]
fn nothing_to_say_is_declined() {
    for kind in Rules::kinds() {
        let events = answer(vec![request(*kind, "By: ____ Date: ____", 1, vec![0])]);
        assert_eq!(events[0].outcome, Outcome::Declined);
    }
}

#[test]
fn a_session_answers_every_sample() {
    let rules = Rules::new(NonZeroUsize::MIN);
    let mut session = rules.open().expect("rules can always be opened");
    session.submit(Rules::kinds().iter().map(|kind| request(*kind, GAUCHER, 5, vec![0, 1, 9])).collect());
    let mut count = 0;
    loop {
        match session.next().expect("rules don't fail") {
            Next::Event(_) => count += 1,
            Next::Waiting => {}
            Next::Idle => break,
        }
    }
    assert_eq!(count, 3 * Rules::kinds().len());
    assert_eq!((&*rules.identity(), rules.capabilities().journaled), ("rules/1", false));
}

/// Once: "... is a condition that occurs when the adrenal glands."
#[test]
fn a_clause_is_not_cut_before_its_verb() {
    let passage = "Familial deficiency is a condition that occurs when the adrenal glands, which are hormone-producing \
        glands on top of each kidney, do not produce certain hormones. These hormones aid in immune function. \
        Familial deficiency is caused by mutations in the MC2R gene. The MC2R gene provides instructions for a protein.";
    for seed in 0..20 {
        for draft in drafts(TaskKind::Summarization, passage, seed, 8) {
            assert!(!draft.response.ends_with("adrenal glands."), "{}", draft.response);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn drafts_stand_up_to_the_checks(order in Just(SENTENCES.to_vec()).prop_shuffle(), take in 3..SENTENCES.len(), seed in 0..1000_u64) {
        let passage = order[..take].join(" ");
        for kind in Rules::kinds() {
            let eight = drafts(*kind, &passage, seed, 8);
            for (i, draft) in eight.iter().enumerate() {
                prop_assert_eq!(fault(*kind, &passage, draft), None, "{} {:#?}", kind.short(), draft);
                prop_assert!(!eight[..i].contains(draft), "{} twice: {:#?}", kind.short(), draft);
            }
            // A draft is the same however many are wanted.
            for most in 0..eight.len() {
                prop_assert_eq!(&drafts(*kind, &passage, seed, most), &eight[..most]);
            }
        }
    }
}

proptest! {
    #[test]
    fn no_text_makes_the_rules_panic(passage in "(\\PC|[A-Za-z ,.()\"“”'\n]|The |is |In 1990, |5 days ){0,120}", seed in 0..9_u64) {
        for kind in Rules::kinds() {
            drafts(*kind, &passage, seed, 3);
        }
    }
}

/// Sentences that most patterns find something in.
const SENTENCES: &[&str] = &[
    "Gaucher disease is a rare disorder that affects the liver and spleen.",
    "The GBA gene provides instructions for making an enzyme.",
    "In 1991, the first treatment of Gaucher disease was approved by the agency.",
    "The study of the clinic included 43 patients.",
    "The Tenant shall return all keys to the Landlord within 14 days.",
    "The rent was set at $900 in May 2019.",
    "Some carriers are examined by the doctors in London every year.",
    "Approximately 40 percent of the visitors came by train, which surprised the mayor of Lyon.",
    "If the spleen is removed by surgery, the bones may lose their strength.",
    "Treatments may include tablets, long walks, and cold baths.",
    "Carriers must not donate blood because the enzyme is missing in them.",
    "We may share the address of your house with a company that delivers parcels.",
    "However, the price of the tablets rose sharply after the second visit of Dr. Gray.",
    "\"Premises\" means the house and the garden behind it.",
    "This is not a sentence that stands alone.",
];

/// What is wrong with a draft, as the checks further down the road would see it.
fn fault(kind: TaskKind, passage: &str, draft: &Draft) -> Option<&'static str> {
    let (instruction, response) = (draft.instruction.as_str(), draft.response.as_str());
    let outside = instruction.replace("{{context}}", " ");
    let lower = response.to_lowercase();
    if outside.trim().is_empty()
        || response.trim().is_empty()
        || instruction == response
        || response.contains("<|pipe|>")
    {
        return Some("empty or broken");
    }
    let placeholders = if kind == TaskKind::TextGen { response } else { instruction };
    if placeholders.matches("{{context}}").count() != 1 {
        return Some("not one placeholder");
    }
    let extract = matches!(kind, TaskKind::Exqa | TaskKind::Qg | TaskKind::Qa | TaskKind::Summarization);
    if extract && question::occurs(&outside, response) {
        return Some("given away");
    }
    let number = |word: &&str| word.chars().any(|c| c.is_ascii_digit());
    let invented = text::flat(response).split_whitespace().filter(number).any(|number| {
        let number = format!(" {number} ");
        !text::flat(passage).contains(&number) && !text::flat(&outside).contains(&number)
    });
    if invented {
        return Some("number from nowhere");
    }
    let fine = match kind {
        TaskKind::Exqa => question::occurs(passage, response),
        TaskKind::Ynqa => ["yes", "no", "true", "false"].contains(&lower.as_str()),
        TaskKind::Nli => {
            ["entailment", "neutral", "contradiction", "yes", "no", "maybe", "true", "false", "inconclusive"]
                .contains(&lower.as_str())
        }
        TaskKind::Te => ["entailment", "not entailment", "yes", "no"].contains(&lower.as_str()),
        TaskKind::ParaphraseId => ["yes", "no"].contains(&lower.as_str()),
        TaskKind::Mcqa => {
            let lines = outside
                .lines()
                .filter(|line| ["- ", "A", "B", "C", "D"].iter().any(|mark| line.starts_with(mark)));
            lines
                .filter(|line| {
                    line.ends_with(response)
                        || line.starts_with(&format!("{response}."))
                        || line.starts_with(&format!("{response})"))
                })
                .count()
                == 1
        }
        TaskKind::Summarization => response.len() < passage.len(),
        TaskKind::SentComp => question::occurs(passage, response) && !question::occurs(&outside, response),
        _ => true,
    };
    (!fine).then_some("not as it must be")
}
