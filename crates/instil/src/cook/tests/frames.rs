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

#[test]
fn words_of_any_length_are_written_whole() {
    let lens = [1, 2, 13, 14, 15, 16, 17, 31, 90];
    let words: Vec<String> = (0..900)
        .map(|number| {
            // Letters of one, two and three bytes, and enough endings to rhyme with.
            let letter = ['a', 'é', '语'][number % 3];
            let body = letter.to_string().repeat(lens[number % lens.len()]);
            format!("{body}{number}{}", ["on", "ay", "il", "us"][number % 4])
        })
        .collect();
    let pool = Arc::new(Pool::of_lines("mine", &words.join("\n")).unwrap());
    assert_eq!(pool.size(), 900);
    for template in templates() {
        let plan = plan(template.name(), Wording::Instruct, &[]).unwrap();
        let stream = Stream::new(Plan { pool: Arc::clone(&pool), ..plan }).unwrap();
        let mut sample = Sample::default();
        for index in 0..100 {
            stream.fill(index, &mut sample).unwrap();
            assert!(stream.verify(&sample), "{}: {}", template.name(), sample.text());
            let known = |word: &&str| words.iter().any(|one| one == word);
            let first = sample.items(0).next().map(|item| stream.phrase(item)).unwrap_or_default();
            assert!(
                super::words(&first).iter().filter(|word| !matches!(**word, ":" | ".")).all(known),
                "{first}"
            );
            assert!(sample.text().contains(first.trim_end_matches('.')), "{}", template.name());
        }
    }
}
