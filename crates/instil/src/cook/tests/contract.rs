//! The contract of every template: the same seed gives the same rows, the oracle has 1.0, others have less, and what
//! the verifier derives from the text is what was made.

use std::collections::HashSet;

use super::*;

/// Settings beside the defaults that each template is tried with.
const SETTINGS: &[(&str, &[(&str, &str)])] = &[
    ("mcqa", &[("options", "2..5"), ("flip", "0.5"), ("output", "text")]),
    ("mcqa", &[("margin", "3"), ("fresh", "0")]),
    ("commonsense", &[("endings", "4"), ("shared", "1"), ("noise", "0.1")]),
    ("disambiguation", &[("clause_len", "3"), ("cross", "2"), ("filler", "0")]),
    ("retrieval", &[("output", "text"), ("noise", "0.4"), ("margin", "1")]),
    ("matching", &[("hard", "1"), ("fields", "1..3"), ("theta", "0.6")]),
    ("support", &[("rule", "order"), ("hypothesis_len", "2..5")]),
    ("poetry", &[("stanzas", "2"), ("letters", "3")]),
    ("last_word", &[("times", "1..3"), ("decoys", "4")]),
    ("summary", &[("sentences", "9"), ("marked", "8"), ("sentence_len", "1")]),
    ("doc_qa", &[("left", "3"), ("include", "yes")]),
    ("doc_qa", &[("left", "0..2"), ("right", "1..5"), ("noise", "0.15")]),
    ("doc_qa", &[("answer", "sentence"), ("sentence_len", "9..12")]),
    ("lookup", &[("hops", "1..4"), ("pairs", "8..50"), ("queries", "2")]),
    ("lookup", &[("repeats", "3"), ("hops", "2")]),
    ("lookup", &[("place", "40..60"), ("key_len", "3")]),
];

fn all_settings() -> Vec<(String, &'static [(&'static str, &'static str)])> {
    let defaults = templates().into_iter().map(|template| (template.name().to_owned(), [].as_slice()));
    defaults.chain(SETTINGS.iter().map(|(name, set)| ((*name).to_owned(), *set))).collect()
}

/// Ten thousand samples with the defaults, a quarter in each wording, and some with other settings.
fn the_rule_read_from_the_text_gives_every_answer(of: &str) {
    for (name, set) in all_settings().into_iter().filter(|(name, _)| name == of) {
        let samples = if set.is_empty() { 2500 } else { 200 };
        for wording in Wording::ALL {
            let stream = stream(&name, wording, set);
            let mut sample = Sample::default();
            for index in 0..samples {
                stream.fill(index, &mut sample).unwrap_or_else(|_| panic!("{name} {set:?} {index}"));
                let text = || format!("{name} {set:?}:\n{}|{}", sample.prompt(), sample.completion());
                assert!(stream.verify(&sample), "{}", text());
            }
            assert_eq!(sample.tally().samples, samples);
        }
    }
}

/// A test for each template, so that they run side by side.
macro_rules! rules {
    ($($name:ident)*) => {
        const NAMES: &[&str] = &[$(stringify!($name)),*];
        mod rule {
            $(#[test]
            fn $name() {
                super::the_rule_read_from_the_text_gives_every_answer(stringify!($name));
            })*
        }
    };
}

rules!(mcqa commonsense disambiguation doc_qa retrieval lookup matching support poetry last_word summary);

#[test]
fn no_template_is_left_out() {
    assert!(templates().iter().map(|template| template.name()).eq(NAMES.iter().copied()));
}

#[test]
fn the_oracle_has_all_and_others_have_less() {
    for (name, set) in all_settings() {
        let stream = stream(&name, Wording::Bare, set);
        let (mut sample, mut other) = (Sample::default(), Sample::default());
        let mut wrong = 0;
        for index in 0..60 {
            stream.fill(index, &mut sample).unwrap();
            let answer = sample.completion().to_owned();
            assert_eq!(stream.score(&sample, &answer), 1.0, "{name} {set:?}: {answer}");
            assert_eq!(stream.score(&sample, &stream.answer(&sample)), 1.0, "{name}: {answer}");
            stream.fill(index + 1, &mut other).unwrap();
            let mut words: Vec<&str> = answer.split(' ').collect();
            words.reverse();
            let mut others = vec![
                String::new(),
                "nothing".into(),
                format!("{answer} {answer}"),
                answer.lines().next().unwrap_or_default().split(' ').skip(2).collect(),
            ];
            // A poem read backwards may be a poem, and one on another word may have this one too.
            if name != "poetry" {
                others.push(other.completion().to_owned());
                others.push(words.join(" "));
            }
            for output in others.iter().filter(|output| !Stream::is_same(output, &answer)) {
                let worth = stream.score(&sample, output);
                assert!((0.0..1.0).contains(&worth), "{name} {set:?}: {output} for {answer} has {worth}");
                wrong += 1;
            }
            // A completion that isn't the right one is no verified one.
            let options = stream.options(&sample);
            assert!(!stream.verify_text(index, sample.frame(), sample.prompt(), " nothing", &options));
            assert!(!stream.verify_text(index, sample.frame(), "nothing", &answer, &options));
        }
        assert!(wrong > 60, "{name}: {wrong}");
    }
}

#[test]
fn a_sample_needs_none_before_it_and_no_thread() {
    for template in templates() {
        let stream = stream(template.name(), Wording::Instruct, &[]);
        let all = rows(&stream, 0..200);
        let backwards: Vec<_> = rows(&stream, (0..200).rev()).into_iter().rev().collect();
        assert_eq!(all, backwards, "{}", template.name());
        let threads: Vec<_> = std::thread::scope(|scope| {
            let (stream, rows) = (&stream, &rows);
            let parts = (0..4).map(|part| scope.spawn(move || rows(stream, part * 50..part * 50 + 50)));
            parts.collect::<Vec<_>>().into_iter().flat_map(|part| part.join().unwrap()).collect()
        });
        assert_eq!(all, threads, "{}", template.name());
    }
}

#[test]
fn other_seeds_splits_and_settings_share_no_row() {
    for template in templates() {
        let name = template.name();
        let (mut seen, mut prompts) = (HashSet::new(), HashSet::new());
        for (seed, split) in [(7, Split::Train), (8, Split::Train), (7, Split::Test), (7, Split::Validation)]
        {
            let plan = Plan { seed, split, ..plan(name, Wording::Harness, &[]).unwrap() };
            let stream = Stream::new(plan).unwrap();
            for (prompt, completion) in rows(&stream, 0..200) {
                prompts.insert(prompt.clone());
                seen.insert((prompt, completion));
            }
        }
        assert_eq!(seen.len(), 800, "{name}");
        // Poems are asked for by a word alone, so that prompts come again within a split.
        assert!(prompts.len() == 800 || name == "poetry", "{name}: {}", prompts.len());
    }
}

#[test]
fn a_prompt_belongs_to_one_split_whatever_made_it() {
    for template in templates() {
        let name = template.name();
        let mut prompts: [HashSet<String>; 3] = Default::default();
        for seed in [1, 2] {
            for (split, prompts) in Split::ALL.into_iter().zip(&mut prompts) {
                // A pool so small that by chance alone many samples would begin alike.
                let mut plan = plan(name, Wording::Harness, &[]).unwrap();
                plan = Plan { seed, split, ..plan };
                let stream = Stream::new(plan).unwrap();
                prompts.extend(rows(&stream, 0..150).into_iter().map(|(prompt, _)| prompt));
            }
        }
        let [train, validation, test] = &prompts;
        assert!(
            train.is_disjoint(validation) && train.is_disjoint(test) && test.is_disjoint(validation),
            "{name}"
        );
    }
}

#[test]
fn the_wording_changes_nothing_of_the_content() {
    for template in templates() {
        let contents = Wording::ALL.map(|wording| {
            let stream = stream(template.name(), wording, &[]);
            let mut sample = Sample::default();
            (0..50)
                .map(|index| {
                    stream.fill(index, &mut sample).unwrap();
                    (0..SLOTS)
                        .flat_map(|slot| sample.items(slot).flatten().copied().collect::<Vec<_>>())
                        .collect()
                })
                .collect::<Vec<Vec<u32>>>()
        });
        assert!(contents.iter().all(|content| content == &contents[0]), "{}", template.name());
    }
}

#[test]
fn a_curriculum_begins_as_its_first_settings_and_ends_as_its_last() {
    let mut plan = plan("doc_qa", Wording::Bare, &[("doc_len", "20")]).unwrap();
    plan.settings.to.set("doc_len", "220").unwrap();
    plan.settings.rows = 101;
    let stream = Stream::new(plan).unwrap();
    let mut sample = Sample::default();
    let mut len = |index| {
        stream.fill(index, &mut sample).unwrap();
        assert!(stream.verify(&sample));
        sample.items(0).next().unwrap().len()
    };
    assert_eq!([0, 1, 50, 100, 9999].map(&mut len), [20, 22, 120, 220, 220]);
}

#[test]
fn impossible_settings_are_named_before_anything_is_made() {
    for (name, set, said) in [
        ("mcqa", &[("question_len", "5")][..], "`question_len=5` and `shared=3..6`"),
        ("mcqa", &[("shared", "1")], "`shared=1` and `margin=2`"),
        ("doc_qa", &[("doc_len", "5..400")], "`doc_len=5..400` and `question_len=3..8`"),
        ("doc_qa", &[("right", "0")], "`left=0` and `right=0`"),
        ("doc_qa", &[("doc_len", "50"), ("right", "60")], "`doc_len=50` and `right=60`"),
        ("doc_qa", &[("answer", "sentence")], "`sentence_len=6..12` and `question_len=3..8`"),
        ("commonsense", &[("goal_len", "5")], "`goal_len=5` and `ending_len=3..6`"),
        ("commonsense", &[("shared", "3")], "`ending_len=3..6` and `shared=3`"),
        ("disambiguation", &[("cross", "2")], "`clause_len=2..4` and `cross=2`"),
        ("disambiguation", &[("filler", "5000")], "a pool of 4096 words is too small"),
        ("retrieval", &[("passage_len", "9")], "`passage_len=9` and `query_len=4..10`"),
        ("matching", &[("theta", "0.1")], "`theta=0.1` and `band=0.1`"),
        ("matching", &[("theta", "0.1..0.5")], "`theta=0.1..0.5` and `band=0.1`"),
        ("support", &[("passage_len", "9")], "`passage_len=9` and `hypothesis_len=4..10`"),
        (
            "support",
            &[("rule", "order"), ("hypothesis_len", "1..3")],
            "`rule=order` and `hypothesis_len=1..3`",
        ),
        ("last_word", &[("times", "13")], "`context_len=40..120` and `times=13`"),
        ("summary", &[("marked", "4")], "`sentences=4..8` and `marked=4`"),
        ("lookup", &[("pairs", "3000")], "a pool of 4096 words is too small"),
        ("lookup", &[("hops", "6")], "`pairs=5..50` and `hops=6`"),
        ("lookup", &[("queries", "6")], "`pairs=5..50` and `queries=6`"),
        ("lookup", &[("repeats", "1"), ("place", "0")], "`place=0` and `repeats=1`"),
    ] {
        let error = plan(name, Wording::Bare, set).and_then(Stream::new).unwrap_err();
        assert!(error.to_string().contains(said), "{name} {set:?}: {error}");
        assert!(error.hint().is_some());
    }
    // What no rule forbids, but no draw meets: one of sixteen words that is there just once in four hundred.
    let mut plan = plan("doc_qa", Wording::Bare, &[("question_len", "1")]).unwrap();
    plan.settings.rows = 100;
    plan.settings.to.set("doc_len", "400").unwrap();
    plan.pool = Arc::new(Pool::synthetic(16).unwrap());
    assert!(Stream::new(plan).unwrap_err().to_string().contains("no sample of `doc_qa`"));
}

#[test]
fn no_template_is_called_what_none_is_called() {
    assert_eq!(template("doc_qa").unwrap().name(), "doc_qa");
    let error = template("docqa").unwrap_err();
    assert_eq!(error.hint(), Some("did you mean `doc_qa`? `instil list templates` shows them all"));
}
