//! `cook --script`: templates of one's own, from outside.

use crate::support::{Place, bytes, objects};

const WITHOUT_SOLVE: &str = "template('one', prompt = 'Words: {words}\\nOne:')\n
def make():
    words = sample(9)
    return {'words': words, 'answer': pick(words, 1)}
";

#[test]
fn a_script_alone_and_beside_templates_that_are_built_in() {
    let place = Place::with_leases();
    let script = "recipes/templates/after.star,recipes/templates/most_alike.star";
    place.ok(&[
        "cook",
        "--script",
        script,
        "--rows",
        "300",
        "--test-rows",
        "40",
        "--verify",
        "-o",
        "out",
        "-q",
    ]);
    place.ok(&[
        "cook",
        "--script",
        script,
        "--rows",
        "300",
        "--test-rows",
        "40",
        "--verify",
        "-o",
        "again",
        "-q",
        "--threads",
        "1",
    ]);
    let mut one = bytes(&place.path("out"));
    let mut again = bytes(&place.path("again"));
    for folder in [&mut one, &mut again] {
        folder.retain(|name, _| name.starts_with("data"));
    }
    assert!(!one.is_empty() && one == again);
    let mixed = place.ok(&[
        "cook",
        "after=2",
        "doc_qa",
        "--script",
        script,
        "--rows",
        "9",
        "-o",
        "-",
        "-q",
        "--wording",
        "bare",
    ]);
    let rows = objects(&mixed);
    let of =
        |start: &str| rows.iter().filter(|row| row["prompt"].as_str().unwrap().starts_with(start)).count();
    // The templates of the other file, none of which is named, come once each.
    assert_eq!(rows.len(), 9);
    assert!(of("Goal: ") <= 3 && rows.iter().any(|row| row["completion"].as_str().unwrap().len() == 2));
}

#[test]
fn settings_reach_a_script() {
    let place = Place::with_leases();
    let args = ["cook", "--script", "recipes/templates/after.star", "-n", "20", "-o", "-", "-q", "--set"];
    let rows = objects(&place.ok(&[&args[..], &["after.doc_len=10,after.right=4"]].concat()));
    for row in rows {
        assert_eq!(row["completion"].as_str().unwrap().split_whitespace().count(), 4);
    }
    let told = place.told(&[&args[..], &["after.doc_length=10"]].concat());
    assert!(told.contains("no knob `doc_length`") && told.contains("did you mean `doc_len`"), "{told}");
    let told = place.told(&[&args[..], &["after.right=1..3"]].concat());
    assert!(told.contains("`after` can't solve samples with `right=1..3`"), "{told}");
}

#[test]
fn another_text_is_another_run() {
    let place = Place::new();
    place.write("mine.star", WITHOUT_SOLVE);
    let args = ["cook", "--script", "mine.star", "-n", "20", "-o", "out"];
    place.ok(&args);
    assert!(place.told(&args).contains("is finished already"));
    place.write("mine.star", format!("{WITHOUT_SOLVE}\n# changed\n"));
    let rows = || std::fs::read(place.path("out/data/train-00000-of-00001.parquet")).unwrap();
    let before = rows();
    assert!(!place.told(&args).contains("is finished already"));
    assert_ne!(rows(), before);
}

#[test]
fn what_is_wrong_is_told_before_anything_is_written() {
    let place = Place::new();
    place.write("mine.star", WITHOUT_SOLVE);
    place.write("same.star", WITHOUT_SOLVE.replace("'one'", "'doc_qa'"));
    place.write("late.star", WITHOUT_SOLVE.replace("sample(9)", "sample(99999999)"));
    place.write("wrong.star", "template('one', prompt = '{x}:')\ndef make()\n    pass");
    place.write("endless.star", "x = [0]\nfor i in x:\n    x.append(i)\n");
    for (args, said) in [
        (&["--script", "mine.star", "--verify"][..], "`one` of mine.star has no function `solve`"),
        (&["--script", "mine.star,mine.star"], "`one` of mine.star is also a template of mine.star"),
        (&["--script", "same.star"], "`doc_qa` of same.star is also a template of the program itself"),
        (&["--script", "late.star"], "late.star:4:19: "),
        (&["--script", "wrong.star"], "wrong.star:2:11: expected `:`, found the line's end"),
        (&["--script", "endless.star"], "still going after 2000000 steps"),
        (&["--script", "none.star"], "can't read the script `none.star`"),
        (&["two", "--script", "mine.star"], "unknown template `two`"),
        (&[], "required arguments"),
    ] {
        let told = place.told(&[&["cook"], args, &["-o", "out"]].concat());
        assert!(told.contains(said) && !told.starts_with("exit 0"), "{args:?}\n{told}");
        assert!(!place.path("out").exists(), "{args:?}");
    }
}

#[test]
fn a_fault_in_a_later_row_ends_the_run_with_its_place() {
    let place = Place::new();
    place.write(
        "mine.star",
        "template('one', prompt = 'Words: {words}\\nOne:')
def make():
    words = sample(9)
    if chance(0.01):
        fail('by chance')
    return {'words': words, 'answer': pick(words, 1)}
",
    );
    let told = place.told(&["cook", "--script", "mine.star", "-n", "5000", "-o", "out"]);
    assert!(told.contains("mine.star:5:13: by chance") && !told.starts_with("exit 0"), "{told}");
}
