//! Samples of several templates, by weight.

use super::draw::Key;
use super::knobs::{Curriculum, Settings};
use super::ops;
use super::stream::{Exhausted, Sample, Stream};
use super::templates::Template;
use crate::error::{Error, Result};

/// Several streams taken together: row `i` is sample `i` of a stream that is drawn for `i`, by the weights.
///
/// So a row needs none before it here either, and no stream gives a sample twice.
#[derive(Clone, Debug)]
pub struct Mix {
    streams: Vec<Stream>,
    weights: Vec<u32>,
    key: Key,
}

impl Mix {
    /// Streams with their weights; what counts is how these stand to one another.
    ///
    /// # Errors
    /// When there is no stream, or none with a weight.
    pub fn new(seed: u64, streams: Vec<(Stream, u32)>) -> Result<Self> {
        let (streams, weights): (Vec<_>, Vec<_>) = streams.into_iter().unzip();
        if weights.iter().all(|weight| *weight == 0) {
            return Err(
                Error::usage("a mix has no template with a weight").with_hint("name at least one template")
            );
        }
        let names: Vec<String> = streams
            .iter()
            .zip(&weights)
            .map(|(stream, weight)| format!("{}={weight}", stream.plan().template.name()))
            .collect();
        let parts: Vec<&str> = ["mix"].into_iter().chain(names.iter().map(String::as_str)).collect();
        Ok(Self { key: Key::new(seed, &parts), streams, weights })
    }

    /// The streams, in the order in which they were given.
    pub fn streams(&self) -> &[Stream] {
        &self.streams
    }

    /// Which stream row `index` is of.
    pub fn place(&self, index: u64) -> usize {
        match self.streams.len() {
            1 => 0,
            _ => ops::choice(&mut self.key.draw(index).steady, &self.weights),
        }
    }

    /// Makes row `index`, and gives the place of its stream.
    ///
    /// # Errors
    /// As [`Stream::fill`].
    pub fn fill(&self, index: u64, sample: &mut Sample) -> Result<usize, Exhausted> {
        let place = self.place(index);
        self.streams[place].fill(index, sample)?;
        Ok(place)
    }
}

/// Sets a knob of `template` as a user writes it behind the template's name: `doc_len=200..400`, and for a curriculum
/// `doc_len=30..60->200..400`, which leads from the first row's value to the last's.
///
/// # Errors
/// When it isn't of this form, when there is no such knob, or when it can't have this value.
///
/// ```
/// use instil::cook::{Curriculum, Settings, set_knob, template};
///
/// let template = template("doc_qa")?;
/// let mut settings = Curriculum::constant(Settings::new(template.knobs()));
/// set_knob(template.as_ref(), &mut settings, "doc_len=30..60->200..400")?;
/// settings.rows = 1000;
/// assert!(settings.from.to_string().starts_with("doc_len=30..60 "));
/// assert!(settings.at(999).to_string().starts_with("doc_len=200..400 "));
/// # Ok::<(), instil::Error>(())
/// ```
pub fn set_knob(template: &dyn Template, settings: &mut Curriculum, set: &str) -> Result<()> {
    let name = template.name();
    let Some((knob, value)) = set.split_once('=') else {
        return Err(Error::usage(format!("can't read the setting `{name}.{set}`"))
            .with_hint(format!("write it as `{name}.KNOB=VALUE`; {}", knobs(template))));
    };
    let (from, to) = value.split_once("->").unwrap_or((value, value));
    let both: [(&mut Settings, &str); 2] = [(&mut settings.from, from), (&mut settings.to, to)];
    for (settings, value) in both {
        settings.set(knob.trim(), value)?;
    }
    Ok(())
}

/// The knobs of a template in a line.
fn knobs(template: &dyn Template) -> String {
    let names: Vec<&str> = template.knobs().iter().map(|knob| knob.name.as_ref()).collect();
    format!("the knobs of `{}` are: {}", template.name(), names.join(", "))
}
