//! From a request to the events of its samples: how many calls it takes.

use instil::lm::{Event, Outcome, Request};

use super::call::{Called, Stop};
use super::client::Client;
use super::wait::Cancel;

impl Client {
    /// Asks for the samples of a request and hands their events to `tell` as they come.
    ///
    /// Samples 0 to n - 1 are asked for in one call with `n` and the seed of sample 0. Any other
    /// choice of samples, those that a server left out, and all of a server that doesn't know `n`
    /// are asked for one by one, each with its own seed. So are greedy ones, since vLLM refuses `n`
    /// at temperature 0.
    pub(super) fn answer(
        &self,
        request: &Request,
        cancel: &Cancel,
        tell: &mut dyn FnMut(Vec<Event>),
    ) -> Result<(), Stop> {
        let mut missing = request.samples.clone();
        let mut settle = |outcomes: Vec<(u32, Outcome)>, missing: &mut Vec<u32>| {
            missing.retain(|sample| outcomes.iter().all(|(came, _)| came != sample));
            let event = |(sample, outcome)| Event { request: request.id, sample, outcome };
            tell(outcomes.into_iter().map(event).collect());
        };
        let all = |missing: &[u32], outcome: Outcome| {
            missing.iter().map(|sample| (*sample, outcome.clone())).collect::<Vec<_>>()
        };

        let from_zero = missing.iter().copied().eq(0..missing.len() as u32);
        let together = missing.len() > 1
            && from_zero
            && request.sampling.temperature > 0.0
            && !self.quirks.ignores_n.is_set();
        let mut refused_together = false;
        if together {
            match self.call(request, &missing, cancel)? {
                Called::Answered(outcomes) => {
                    let several =
                        if outcomes.len() > 1 { &self.quirks.takes_n } else { &self.quirks.ignores_n };
                    several.set();
                    settle(outcomes, &mut missing);
                }
                Called::Singly => refused_together = true,
                Called::Refused(message) => settle(all(&missing, Outcome::Refused(message)), &mut missing),
                Called::Failed(message) => settle(all(&missing, Outcome::Failed(message)), &mut missing),
            }
        }
        while let Some(&sample) = missing.first() {
            match self.call(request, &[sample], cancel)? {
                Called::Answered(outcomes) if !outcomes.is_empty() => {
                    if refused_together {
                        // What was refused for several is answered for one.
                        self.quirks.ignores_n.set();
                    }
                    settle(outcomes, &mut missing);
                }
                // A choice of another number than 0, or no choice, from a call for one.
                Called::Answered(_) | Called::Singly => {
                    let message = "the answer doesn't hold the choice that was asked for".to_owned();
                    settle(vec![(sample, Outcome::Failed(message))], &mut missing);
                }
                // The prompt is the same for the other samples.
                Called::Refused(message) => settle(all(&missing, Outcome::Refused(message)), &mut missing),
                Called::Failed(message) => settle(vec![(sample, Outcome::Failed(message))], &mut missing),
            }
        }
        Ok(())
    }
}
