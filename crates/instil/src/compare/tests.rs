use std::fmt::Write as _;
use std::path::Path;

use super::*;

/// A finished evaluation of one benchmark of choices: each item's gold and guesses under two prompts.
fn evaluation(folder: &Path, items: &[(u32, u32)], names: &[&str]) {
    std::fs::create_dir_all(folder).unwrap();
    let mut lines = String::new();
    for benchmark in names {
        for (at, (gold, guess)) in items.iter().enumerate() {
            for prompt in ["a", "b"] {
                let right = f64::from(u8::from(gold == guess));
                writeln!(
                    lines,
                    "{{\"benchmark\":\"{benchmark}\",\"id\":\"{at}\",\"prompt\":\"{prompt}\",\"choices\":[\"x\",\"y\"],\"gold\":{gold},\"guess\":{guess},\"scores\":{{\"accuracy\":{right:?}}}}}"
                )
                .unwrap();
            }
        }
    }
    std::fs::write(folder.join("items.jsonl"), lines).unwrap();
    let reports: Vec<String> = names
        .iter()
        .map(|name| {
            format!(
                "{{\"benchmark\":\"{name}\",\"metrics\":[{{\"metric\":\"accuracy\",\"majority\":0.5,\"random\":0.5}},{{\"metric\":\"macro_f1\",\"majority\":0.3,\"random\":0.5}},{{\"metric\":\"perplexity\",\"majority\":null,\"random\":null}}]}}"
            )
        })
        .collect();
    std::fs::write(folder.join("report.json"), format!("{{\"reports\":[{}]}}", reports.join(","))).unwrap();
}

/// Items of which one in `wrong` is answered wrongly, beginning at `from`.
fn items(count: u32, wrong: u32, from: u32) -> Items {
    (0..count)
        .map(|item| {
            let gold = item % 2;
            (gold, if (item + from).is_multiple_of(wrong) { 1 - gold } else { gold })
        })
        .collect()
}

/// The golds and guesses of a run's items.
type Items = Vec<(u32, u32)>;

/// Arms by name, each with its runs.
fn arms_of(arms: &[(&str, Vec<Items>)], names: &[&str]) -> Vec<Arm> {
    let folder = tempfile::tempdir().unwrap();
    let mut named = Vec::new();
    for (arm, runs) in arms {
        for (seed, items) in runs.iter().enumerate() {
            evaluation(&folder.path().join(format!("{arm}-{seed}")), items, names);
        }
        named.push(format!("{arm}={}/{arm}-*", folder.path().display()));
    }
    super::arms(&named).unwrap()
}

#[test]
fn a_large_difference_is_shown_and_none_is_not() {
    let arms = arms_of(
        &[
            ("base", vec![items(200, 2, 0)]),
            ("tuned", vec![items(200, 10, 0), items(200, 10, 3), items(200, 9, 1)]),
            ("same", vec![items(200, 2, 1), items(200, 2, 0)]),
            ("broken", vec![items(200, 1, 0)]),
        ],
        &["clauses", "questions"],
    );
    let compared = compare(&arms, None, None, 7).unwrap();
    assert_eq!(compared, compare(&arms, None, None, 7).unwrap());
    let names: Vec<Option<&str>> =
        compared.benchmarks.iter().map(|benchmark| benchmark.benchmark.as_deref()).collect();
    assert_eq!(names, [Some("clauses"), Some("questions"), None]);
    for benchmark in &compared.benchmarks {
        let of = |name: &str| benchmark.arms.iter().find(|arm| arm.arm == name).unwrap();
        assert_eq!(of("base").difference, None);
        let told = |name: &str| of(name).difference.unwrap();
        assert!((of("tuned").value - (0.9 + 0.9 + 177.0 / 200.0) / 3.0).abs() < 0.006, "{:?}", of("tuned"));
        assert_eq!(told("tuned").verdict, Verdict::Better);
        assert_eq!(told("broken").verdict, Verdict::Worse);
        assert_eq!((told("same").value, told("same").verdict), (0.0, Verdict::NotShown));
        let (low, high) = told("tuned").interval;
        assert!(low < told("tuned").value && told("tuned").value < high && low > 0.3, "{low} {high}");
        assert!(told("tuned").p < 0.01 && told("same").p > 0.5, "{:?}", told("same"));
    }
    let page = page(&compared, "An experiment", "today");
    assert!(page.contains("- **better**: `tuned` on clauses (+0.3"), "{page}");
    assert!(page.contains("| *chance* | | 0.5000 |"), "{page}");
    assert!(page.contains("An arm of one run"), "{page}");
    let above = "- **above chance and the commonest answer**: `tuned` on clauses, `tuned` on questions, `tuned` on all together\n";
    assert!(page.contains(above), "{page}");
    let drawn = svg(&compared, "An experiment").unwrap();
    assert_eq!(drawn.matches("<circle").count(), 9);
}

#[test]
fn what_is_better_may_still_be_worth_less_than_chance() {
    let arms = arms_of(&[("base", vec![items(200, 1, 0)]), ("better", vec![items(200, 2, 0)])], &["clauses"]);
    let compared = compare(&arms, None, None, 7).unwrap();
    assert_eq!(compared.benchmarks[0].arms[1].difference.unwrap().verdict, Verdict::Better);
    let page = page(&compared, "An experiment", "today");
    assert!(page.contains("- **above chance and the commonest answer**: none\n"), "{page}");
}

#[test]
fn an_f1_is_that_of_the_labels() {
    let arms = arms_of(&[("one", vec![items(40, 5, 0)]), ("other", vec![items(40, 4, 1)])], &["clauses"]);
    let compared = compare(&arms, Some("other"), Some("macro_f1"), 1).unwrap();
    let truth: Vec<u32> = items(40, 5, 0).iter().map(|(gold, _)| *gold).collect();
    let guess: Vec<u32> = items(40, 5, 0).iter().map(|(_, guess)| *guess).collect();
    let f1 = crate::metrics::classify::f1(
        &truth,
        &guess,
        None,
        crate::metrics::classify::Average::Macro,
        crate::metrics::classify::ZeroDivision::Zero,
    );
    assert_eq!(Some(compared.benchmarks[0].arms[0].value), f1);
    assert_eq!(compared.benchmarks[0].majority, Some(0.3));
    assert!(compared.benchmarks[0].arms[0].difference.is_some());
}

#[test]
fn a_run_may_be_a_folder_of_evaluations() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    for (arm, wrong) in [("a", 3), ("b", 2)] {
        evaluation(&at.join(arm).join("second"), &items(30, wrong, 0), &["questions"]);
        evaluation(&at.join(arm).join("first"), &items(20, wrong, 0), &["clauses"]);
    }
    let of = |names: &[&str]| {
        arms(&names.iter().map(|name| format!("{name}={}/{name}", at.display())).collect::<Vec<_>>())
    };
    let compared = compare(&of(&["a", "b"]).unwrap(), None, None, 0).unwrap();
    let told: Vec<(Option<&str>, usize)> =
        compared.benchmarks.iter().map(|of| (of.benchmark.as_deref(), of.items)).collect();
    assert_eq!(told, [(Some("clauses"), 20), (Some("questions"), 30), (None, 50)]);
    evaluation(&at.join("a/third"), &items(20, 2, 0), &["clauses"]);
    assert!(of(&["a"]).unwrap_err().to_string().ends_with("are of `clauses`"));
}

/// Of arms that are worth the same a twentieth may seem different, and no more.
#[test]
fn chance_is_rarely_taken_for_a_difference() {
    let mut shown = 0;
    for round in 0..24_u64 {
        let drawn = |run: u64| -> Items {
            let row = crate::rng::nth(round, run);
            (0..80).map(|item| (0, u32::from(crate::rng::nth(row, item) % 10 < 4))).collect()
        };
        let arms =
            arms_of(&[("a", (0..3).map(drawn).collect()), ("b", (3..6).map(drawn).collect())], &["clauses"]);
        let compared = compare(&arms, None, None, round).unwrap();
        shown += u32::from(compared.benchmarks[0].arms[1].difference.unwrap().verdict != Verdict::NotShown);
    }
    assert!(shown <= 4, "{shown} of 24");
}

#[test]
fn faults_are_named() {
    let say = |error: Error| {
        let cause = std::error::Error::source(&error).map_or(String::new(), ToString::to_string);
        format!("{error} / {cause} / {}", error.hint().unwrap_or("-"))
    };
    let two = || arms_of(&[("a", vec![items(6, 2, 0)]), ("b", vec![items(6, 3, 0)])], &["clauses"]);
    insta::assert_snapshot!(say(compare(&two()[..1], None, None, 0).unwrap_err()), @"there is one arm, and nothing to compare it with /  / name two: instil compare base=out/base tuned=out/tuned");
    insta::assert_snapshot!(say(compare(&two(), Some("c"), None, 0).unwrap_err()), @"no arm is named `c` /  / there are a, b");
    insta::assert_snapshot!(say(compare(&two(), None, Some("rouge_l"), 0).unwrap_err()), @"`clauses` has no metric `rouge_l` /  / it has accuracy, macro_f1, perplexity");
    insta::assert_snapshot!(say(compare(&two(), None, Some("perplexity"), 0).unwrap_err()), @"`perplexity` of `clauses` can't be compared / it is no mean of what its items are worth / name another one with --metric");
    insta::assert_snapshot!(say(arms(&["out".to_owned()]).unwrap_err()), @"`out` names no arm /  / write NAME=FOLDER, and the same name for runs under other seeds");
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().display().to_string();
    let clean = |error: Error| say(error).replace(&at, "DIR");
    evaluation(&folder.path().join("a"), &items(6, 2, 0), &["clauses"]);
    evaluation(&folder.path().join("b"), &items(7, 2, 0), &["clauses"]);
    evaluation(&folder.path().join("c"), &items(6, 2, 0), &["questions"]);
    let of =
        |names: &[&str]| arms(&names.iter().map(|name| format!("{name}={at}/{name}")).collect::<Vec<_>>());
    insta::assert_snapshot!(clean(compare(&of(&["a", "b"]).unwrap(), None, None, 0).unwrap_err()), @"`DIR/a` and `DIR/b` can't be compared / `clauses` was asked about other items / evaluate both with the same --benchmark, --data and --limit");
    insta::assert_snapshot!(clean(compare(&of(&["a", "c"]).unwrap(), None, None, 0).unwrap_err()), @"`DIR/a` and `DIR/c` can't be compared / clauses there, questions here / evaluate both with the same --benchmark, --data and --limit");
    insta::assert_snapshot!(clean(of(&["a", "d"]).unwrap_err()), @"no folder fits `DIR/d` /  / `instil eval -o FOLDER` makes one");
    insta::assert_snapshot!(clean(of(&["a", "a"]).unwrap_err()), @"`DIR/a` comes twice /  / each evaluation is one run of one arm");
    std::fs::create_dir(folder.path().join("e")).unwrap();
    insta::assert_snapshot!(clean(of(&["e"]).unwrap_err()), @"`DIR/e` holds no finished evaluation / No such file or directory (os error 2) / name the folder of `eval -o`; what was broken off goes on with the same command");
}
