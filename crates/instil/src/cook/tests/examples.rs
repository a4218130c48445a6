//! The examples of spec/cookbook.md 2, read by hand, and what is right and wrong of them.

use super::*;

/// Solves a text in the first bare frame of a template; the answer's words.
fn solve(name: &str, set: &[(&str, &str)], prompt: &str) -> Option<Vec<String>> {
    let (template, stream) = (template(name).unwrap(), stream(name, Wording::Bare, set));
    let asked = stream.frames()[0].read_prompt(prompt).unwrap_or_else(|| panic!("{prompt}"));
    template.solve(&stream.settings(0), &asked)
}

fn solved(name: &str, set: &[(&str, &str)], prompt: &str, answer: &str) {
    assert_eq!(solve(name, set, prompt).map(|words| words.join(" ")).as_deref(), Some(answer), "{prompt}");
}

#[test]
fn selection() {
    let options = "A. pex sup dar\nB. mak lin vel\nC. oru tor wib";
    solved("mcqa", &[], &format!("Question: tor mak vel sup lin\n{options}\nAnswer:"), "B");
    solved(
        "mcqa",
        &[("output", "text")],
        &format!("Question: tor mak vel sup lin\n{options}\nAnswer:"),
        "mak lin vel",
    );
    assert_eq!(
        solve("mcqa", &[], &format!("Question: tor mak sup dar\n{options}\nAnswer:")),
        Some(vec!["A".into()])
    );
    assert_eq!(
        solve("mcqa", &[], &format!("Question: tor mak sup\n{options}\nAnswer:")),
        None,
        "one word each"
    );
    solved(
        "commonsense",
        &[],
        "Goal: ban rit sol kem\n1. rit kem sol\n2. fop lua gri\nEnding:",
        "rit kem sol",
    );
    solved("disambiguation", &[], "Zed vur lop. Kan sim tae. _ lop vur\nOptions: Zed, Kan\nAnswer:", "Zed");
    solved(
        "disambiguation",
        &[],
        "Zed vur lop. Kan sim tae. fip. _ lop tae sim\nOptions: Zed, Kan\nAnswer:",
        "Kan",
    );
}

#[test]
fn search() {
    let doc = "Document: pim rav tol bes cun dyr mog";
    solved("doc_qa", &[("right", "2")], &format!("{doc}\nQuestion: tol bes\nAnswer:"), "cun dyr");
    solved(
        "doc_qa",
        &[("right", "1..5")],
        &format!("{doc}\nQuestion: tol bes\nWords after: 1\nAnswer:"),
        "cun",
    );
    let around = &[("left", "1"), ("right", "1")][..];
    solved("doc_qa", around, &format!("{doc}\nQuestion: tol bes\nAnswer:"), "rav cun");
    let with = &[("left", "1"), ("right", "1"), ("include", "yes")][..];
    solved("doc_qa", with, &format!("{doc}\nQuestion: tol bes\nAnswer:"), "rav tol bes cun");
    let sentence = &[("answer", "sentence"), ("sentence_len", "9")][..];
    solved(
        "doc_qa",
        sentence,
        "Document: a b. pim rav tol bes cun. c d.\nQuestion: tol bes\nAnswer:",
        "pim rav cun",
    );
    assert_eq!(
        solve("doc_qa", &[], "Document: tol a tol b c\nQuestion: tol\nAnswer:"),
        None,
        "it is there twice"
    );
    solved(
        "retrieval",
        &[],
        "[1] ark ton vis\n[2] jem pol uth\n[3] sel qua rin\n\nQuery: pol jem\nPassage:",
        "2",
    );
    solved("lookup", &[], "kip: vo\nlar: den\nmus: tai\n\nKey: lar\nValue:", "den");
    solved("lookup", &[], "kip: lar\nlar: den\nlar: mus\nmus: tai fo\n\nKey: kip\nValue:", "tai fo");
    assert_eq!(solve("lookup", &[], "kip: lar\nlar: kip\n\nKey: kip\nValue:"), None, "a circle ends nowhere");
}

#[test]
fn comparison() {
    solved(
        "matching",
        &[],
        "Record A: name: gor tul, maker: sap\nRecord B: maker: sap, name: gor tul ren\nSame:",
        "Yes",
    );
    solved(
        "matching",
        &[],
        "Record A: name: gor tul, maker: sap\nRecord B: name: fip gor ren, maker: zo\nSame:",
        "No",
    );
    solved("support", &[], "Passage: lim oth pra ves\nStatement: oth pra\nSupported:", "yes");
    solved("support", &[], "Passage: lim oth pra ves\nStatement: fip zo gat pra\nSupported:", "no");
    let order = &[("rule", "order")][..];
    solved("support", order, "Passage: lim oth pra ves\nStatement: oth pra\nSupported:", "yes");
    solved("support", order, "Passage: lim oth pra ves\nStatement: pra oth\nSupported:", "no");
}

#[test]
fn generation() {
    solved("last_word", &[], "a b zul c d a b", "zul");
    assert_eq!(solve("last_word", &[], "a b zul a b kel a b"), None, "two words followed");
    solved("summary", &[], "Document: ix ram tol. bed ka. ix sof.\nCue: ix\nSummary:", "ram tol . sof .");

    let (template, stream) =
        (template("poetry").unwrap(), stream("poetry", Wording::Bare, &[("line_len", "2")]));
    let asked = stream.frames()[0].read_prompt("Topic: moon\nScheme: AABB\nLines: 4\nPoem:\n").unwrap();
    let worth = |poem: &str| template.score(&stream.settings(0), &asked, poem);
    assert_eq!(worth("kel tay\nmoon day\nzu sil\nap fil"), 1.0);
    for wrong in [
        "kel tay\nru day\nzu sil\nap fil",
        "moon tay\nmoon day\nzu sil\nap fil",
        "kel tay\nmoon day\nzu sil\nap sil",
        "kel tay\nmoon day\nzu say\nap fay",
        "kel tay\nzu sil\nmoon day\nap fil",
        "kel tay\nmoon day\nzu sil",
        "kel tay\nmoon ru day\nzu sil\nap fil",
        "",
    ] {
        assert!(worth(wrong) < 0.5, "{wrong}: {}", worth(wrong));
    }
}

#[test]
fn harness_forms_are_those_of_the_tasks() {
    let text = |name: &str| {
        let stream = stream(name, Wording::Harness, &[]);
        let mut sample = Sample::default();
        stream.fill(3, &mut sample).unwrap();
        (sample.prompt().to_owned(), sample.completion().to_owned(), stream.options(&sample))
    };
    for name in ["mcqa", "commonsense"] {
        let (prompt, completion, options) = text(name);
        assert!(
            prompt.starts_with("Question: ") && prompt.ends_with("\nAnswer:") && prompt.lines().count() == 2
        );
        assert!(options.contains(&completion.trim_start().to_owned()), "{options:?} {completion}");
    }
    let (prompt, completion, options) = text("disambiguation");
    assert!(
        options.iter().any(|option| prompt.ends_with(&format!(". {option}"))) && completion.starts_with(' ')
    );
    let (prompt, completion, _) = text("support");
    assert!(prompt.contains("\nQuestion: ") && prompt.ends_with("?\nAnswer:"), "{prompt}");
    assert!([" yes", " no"].contains(&completion.as_str()));
    let (prompt, completion, _) = text("last_word");
    assert!(!prompt.contains('\n') && prompt.contains(&format!("{completion} ")));
    let (prompt, completion, _) = text("matching");
    assert!(prompt.starts_with("Product A is ") && prompt.contains(" Product B is "), "{prompt}");
    assert!(prompt.ends_with(". Are Product A and Product B the same?"), "{prompt}");
    assert!([" Yes", " No"].contains(&completion.as_str()));
}
