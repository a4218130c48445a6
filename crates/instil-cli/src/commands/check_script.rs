//! `check` of a script: each of its templates is made and solved.

use std::sync::Arc;

use instil::Result;
use instil::cook::{
    Curriculum, Plan, Pool, SYNTHETIC_WORDS, Sample, Script, Settings, Split, Stream, Template as _, Wording,
};
use serde_json::json;

use crate::args::CheckArgs;
use crate::{exit, output};

/// Samples of each template.
const SAMPLES: u64 = 500;

pub(crate) fn run(args: &CheckArgs) -> Result<u8> {
    let pool = Arc::new(Pool::synthetic(SYNTHETIC_WORDS)?);
    let mut is_right = true;
    for template in Script::open(&args.file)? {
        let can_solve = template.can_solve();
        let name = template.name().to_owned();
        let stream = Stream::new(Plan {
            settings: Curriculum::constant(Settings::new(template.knobs())),
            template,
            pool: Arc::clone(&pool),
            wording: Wording::Instruct,
            seed: 0,
            split: Split::Train,
        })?;
        let mut sample = Sample::default();
        let (mut verified, mut first) = (0, None);
        for index in 0..SAMPLES {
            if stream.fill(index, &mut sample).is_err() {
                if let Some(fault) = sample.fault() {
                    return Err(fault);
                }
            } else if can_solve {
                match stream.try_verify(&sample)? {
                    true => verified += 1,
                    false => drop(first.get_or_insert_with(|| sample.text().to_owned())),
                }
            }
        }
        let tally = sample.tally();
        is_right &= first.is_none();
        if args.json {
            let row = json!({
                "template": name, "samples": tally.samples, "no_draw": tally.exhausted, "drawn_anew": tally.ambiguous,
                "can_solve": can_solve, "verified": can_solve.then_some(verified), "first_not_verified": first,
            });
            output::data(&row.to_string());
            continue;
        }
        let solved = match can_solve {
            true => format!("`solve` finds the answer of {verified}"),
            false => "there is no `solve`, so that no answer is derived anew".to_owned(),
        };
        output::data(&format!(
            "{name}: {} of {SAMPLES} samples made, {} drawn anew; {solved}",
            tally.samples, tally.ambiguous
        ));
        if let Some(first) = first {
            output::data(&format!("--- the first that it doesn't\n{first}"));
        }
    }
    Ok(if is_right { exit::DONE } else { exit::NOT_DONE })
}
