//! The rules over any text: what they say is parsed, and passes the checks or is named.
#![no_main]

use std::num::NonZeroUsize;

use instil::TaskKind;
use instil::lm::{Constraint, Input, LanguageModel, Next, Outcome, Request, Sampling};
use instil::parse::{Asked, bonito};
use instil::prompt::bonito::prompt;
use instil::rules::Rules;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u64, &str)| {
    let (seed, passage) = input;
    let rules = Rules::new(NonZeroUsize::MIN);
    let mut session = rules.open().expect("rules need nothing");
    let kinds = Rules::kinds();
    let request = |(id, kind): (usize, &TaskKind)| Request {
        id: id as u64,
        input: Input::Prompt(prompt(*kind, passage)),
        sampling: Sampling::default(),
        seed,
        samples: vec![0, 1],
        constraint: Constraint::Free,
    };
    session.submit(kinds.iter().enumerate().map(request).collect());
    loop {
        match session.next().expect("rules don't fail") {
            Next::Event(event) => {
                if let Outcome::Text(completion) = event.outcome {
                    let asked = Asked { kind: kinds[event.request as usize], passage, labels: &[] };
                    bonito(&completion.text, false, asked).expect("rules speak Bonito's form");
                }
            }
            Next::Waiting => {}
            Next::Idle => break,
        }
    }
});
