use super::*;
use proptest::prelude::*;

fn split(text: &str) -> Vec<&str> {
    sentences(text).into_iter().map(|span| &text[span]).collect()
}

#[test]
fn stops_that_end_and_stops_that_do_not() {
    let table: &[(&str, &[&str])] = &[
        ("", &[]),
        (" \n\t ", &[]),
        ("No stop at all", &["No stop at all"]),
        ("One. Two! Three? Four", &["One.", "Two!", "Three?", "Four"]),
        ("Dr. J. Scott met Mr. Gray. They spoke.", &["Dr. J. Scott met Mr. Gray.", "They spoke."]),
        ("It costs 3.50 e.g. in Rome. Pay.", &["It costs 3.50 e.g. in Rome.", "Pay."]),
        ("See Fig. 2 and No. 7. No. That is all.", &["See Fig. 2 and No. 7.", "No.", "That is all."]),
        ("It left the U.S. The rest stayed.", &["It left the U.S.", "The rest stayed."]),
        ("The U.S. Congress met.", &["The U.S. Congress met."]),
        ("Smith et al. The end.", &["Smith et al.", "The end."]),
        ("Acme Inc. Ltd. and Co. agree.", &["Acme Inc. Ltd. and Co. agree."]),
        (
            "8.3 The buyer pays. 9. TERM The term is one year.",
            &["8.3 The buyer pays.", "9. TERM The term is one year."],
        ),
        ("He said \"Go.\" Then he left.", &["He said \"Go.\"", "Then he left."]),
        ("\"What?\" he asked. Wait... what?! Yes.", &["\"What?\" he asked.", "Wait... what?!", "Yes."]),
        ("A fact.[12] Another (see above). End", &["A fact.[12]", "Another (see above).", "End"]),
        (
            "Signs: - fever - cough Rest. Done - really.",
            &["Signs:", "- fever", "- cough Rest.", "Done - really."],
        ),
        ("It takes vitamin C. The body needs it.", &["It takes vitamin C.", "The body needs it."]),
    ];
    for (text, wanted) in table {
        assert_eq!(&split(text), wanted, "{text:?}");
    }
}

#[test]
fn lines_end_sentences_where_they_are_headings_bullets_or_blank() {
    assert_eq!(split("Scope\nThis applies to all."), ["Scope", "This applies to all."]);
    assert_eq!(
        split("a long line that was wrapped at the\nmargin of a page."),
        ["a long line that was wrapped at the\nmargin of a page."]
    );
    assert_eq!(
        split("We collect:\n- names\n- ages\n\nNothing else"),
        ["We collect:", "- names", "- ages", "Nothing else"]
    );
    assert_eq!(split("1. First\n2. Second"), ["1. First", "2. Second"]);
}

#[test]
fn long_runs_take_linear_time() {
    let started = std::time::Instant::now();
    for text in [".".repeat(200_000), "a\n".repeat(100_000), "A. ".repeat(100_000), " - ".repeat(100_000)] {
        sentences(&text);
    }
    assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
}

proptest! {
    #[test]
    fn every_byte_that_is_not_blank_is_covered_once(text in "([A-Za-z .!?\\n\"()0-9\\-:]|\\PC|\\s){0,200}") {
        let spans = sentences(&text);
        let mut at = 0;
        for span in spans {
            prop_assert!(span.start >= at && span.start < span.end);
            prop_assert!(text[at..span.start].trim().is_empty());
            prop_assert_eq!(text[span.clone()].trim(), &text[span.clone()]);
            at = span.end;
        }
        prop_assert!(text[at..].trim().is_empty());
    }
}
