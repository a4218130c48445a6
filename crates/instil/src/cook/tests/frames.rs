//! What is written can be taken apart again, in every frame of every template.

use super::*;

#[test]
fn every_frame_can_be_read_back() {
    for template in templates() {
        for wording in Wording::ALL {
            let stream = stream(template.name(), wording, &[]);
            let mut used = vec![0; stream.frames().len()];
            let mut sample = Sample::default();
            for index in 0..24 * used.len() as u64 {
                stream.fill(index, &mut sample).unwrap();
                used[sample.frame()] += 1;
                let frame = &stream.frames()[sample.frame()];
                let reading = frame.read(sample.prompt(), sample.completion());
                let Some(reading) = reading else { panic!("{}: {}", template.name(), sample.text()) };
                for slot in 0..template.slots().len() {
                    let made: Vec<Vec<String>> = sample
                        .items(slot)
                        .map(|item| words(&stream.phrase(item)).into_iter().map(str::to_owned).collect())
                        .collect();
                    if reading.has(slot) || frame.shows(slot) {
                        assert_eq!(
                            reading.items(slot),
                            made,
                            "{} {slot}: {}",
                            template.name(),
                            sample.text()
                        );
                    }
                }
                let is_blank = sample.completion().starts_with(' ');
                let is_line = sample.prompt().ends_with('\n') || wording == Wording::Chat;
                assert_ne!(is_blank, is_line, "{}", sample.text());
                assert!(
                    !sample.text().contains("  ") && !sample.prompt().ends_with(' '),
                    "{}",
                    sample.text()
                );
                assert!(!sample.prompt().contains("\n "), "{}", sample.text());
            }
            assert!(used.iter().all(|times| *times > 6), "{}: {used:?}", template.name());
            assert!(used.len() > 2 || wording == Wording::Harness);
        }
    }
}

#[test]
fn a_frame_without_meaning_is_named() {
    let slots = ["doc", "answer"];
    for (frame, said) in [
        ("{doc", "not closed"),
        ("{dog}", "no slot `dog`, only doc, answer"),
        ("{doc/@.}", "has no `*`"),
        ("{doc/*}", "nothing parts"),
    ] {
        let error = Frame::parse(frame, "", false, &slots).unwrap_err();
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert!(cause.contains(said), "{cause}");
    }
}
