//! Scripts: whatever a text says, it is refused with a place, or makes samples within its limits.
#![no_main]

use std::sync::{Arc, OnceLock};

use instil::cook::{Curriculum, Limits, Plan, Pool, Sample, Script, Settings, Split, Stream, Template, Wording};
use libfuzzer_sys::fuzz_target;

const LIMITS: Limits = Limits { steps: 2_000, bytes: 1 << 18, levels: 100 };

fuzz_target!(|text: &str| {
    static POOL: OnceLock<Arc<Pool>> = OnceLock::new();
    let pool = POOL.get_or_init(|| Arc::new(Pool::synthetic(64).expect("64 words are enough")));
    let Ok(templates) = Script::read("fuzz.star", text, LIMITS) else { return };
    for template in templates {
        let settings = Curriculum::constant(Settings::new(template.knobs()));
        let stream = Stream::new(Plan {
            template,
            settings,
            pool: Arc::clone(pool),
            wording: Wording::Bare,
            seed: 7,
            split: Split::Train,
        });
        let Ok(stream) = stream else { continue };
        let mut sample = Sample::default();
        if stream.fill(1, &mut sample).is_ok() {
            let worth = stream.score(&sample, sample.completion());
            assert!((0.0..=1.0).contains(&worth));
            let _ = stream.try_verify(&sample);
        }
    }
});
