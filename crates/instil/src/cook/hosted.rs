//! Templates whose rule another program has. It declares them as a script does, and makes and solves samples itself.
//!
//! Such a template has a name for the time of a run, which recipes call it by, as tables that are in memory have
//! ([`crate::source::Held`]).

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use super::content::Content;
use super::draw::Draw;
use super::frame::{Frame, Wording};
use super::knobs::{Knob, KnobKind, Settings};
use super::reading::Reading;
use super::script::{Limits, Script, ScriptTemplate, mark};
use super::templates::{Ambiguous, Family, Template, templates};
use super::tokens::Pool;
use crate::error::{Error, Result};
use crate::rng::hex_of;

/// The templates that have names now.
static HELD: LazyLock<Mutex<BTreeMap<String, Named>>> = LazyLock::new(Mutex::default);

/// A template and how often it was given its name.
struct Named {
    template: Arc<HostedTemplate>,
    times: usize,
}

/// A part of a sample: a word, by its place in the pool, or a mark as it is written, such as `Yes`, `B` or `12`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word {
    /// A word of the pool.
    Drawn(u32),
    /// A mark.
    Mark(String),
}

/// What a knob is at for a sample.
#[derive(Clone, Debug, PartialEq)]
pub enum Set {
    /// A number.
    Count(u32),
    /// A share from 0 to 1.
    Share(f64),
    /// A word.
    Choice(&'static str),
}

/// The items of slots, each a list of words, by the slots' names.
pub type Slots<W> = Vec<(String, Vec<Vec<W>>)>;

/// What makes and solves samples.
pub trait Rule: Send + Sync {
    /// Makes a sample with these knobs: every slot by its name. None if what was drawn is to be drawn anew.
    ///
    /// `seed` is where all chance of it comes from, and `words` how many words there are: 0 to `words` - 1.
    ///
    /// # Errors
    /// When the rule has a fault.
    fn make(&self, seed: u64, words: u32, knobs: &[(&str, Set)]) -> Result<Option<Slots<Word>>>;

    /// Whether answers can be derived anew.
    fn can_solve(&self) -> bool;

    /// The words of the right answer to a prompt whose slots hold these words; none where there isn't just one.
    ///
    /// # Errors
    /// When the rule has a fault.
    fn solve(&self, slots: &Slots<&str>, knobs: &[(&str, Set)]) -> Result<Option<Vec<String>>>;
}

/// A template whose rule is a [`Rule`].
pub struct HostedTemplate {
    declared: Arc<ScriptTemplate>,
    hash: String,
    rule: Box<dyn Rule>,
}

impl fmt::Debug for HostedTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostedTemplate").field("name", &self.declared.name()).finish_non_exhaustive()
    }
}

impl HostedTemplate {
    /// A template of this rule. `declaration` is the call of `template(…)` that a script would have, without `make`, and
    /// `rule_hash` tells this rule from others of the name.
    ///
    /// # Errors
    /// When the declaration has no meaning.
    pub fn new(declaration: &str, rule_hash: &str, rule: Box<dyn Rule>) -> Result<Self> {
        let script = format!("{declaration}\ndef make():\n    return {{}}\n");
        let declared = Script::read("the template", &script, Limits::default())?;
        let [declared] = <[_; 1]>::try_from(declared)
            .map_err(|all| Error::usage(format!("{} templates in one declaration", all.len())))?;
        Ok(Self { declared, hash: hex_of(&["hosted", declaration, rule_hash], 32), rule })
    }

    /// Whether its answers can be derived anew.
    pub fn can_solve(&self) -> bool {
        self.rule.can_solve()
    }

    /// 32 hexadecimal digits of its declaration and its rule.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    fn set(&self, values: impl Iterator<Item = u32>) -> Vec<(&str, Set)> {
        let set = |(knob, value): (&'_ Knob, u32)| match knob.kind {
            KnobKind::Count => Set::Count(value),
            KnobKind::Share => Set::Share(f64::from(value) / 1e6),
            KnobKind::Choice(words) => Set::Choice(words[value as usize]),
        };
        self.declared
            .knobs()
            .iter()
            .zip(values)
            .map(|(knob, value)| (&*knob.name, set((knob, value))))
            .collect()
    }

    fn fault(&self, what: String, hint: impl Into<String>) -> Error {
        Error::input(format!("`{}` {what}", self.declared.name())).with_hint(hint)
    }

    fn fill(&self, settings: &Settings, draw: &mut Draw, pool: &Pool, content: &mut Content) -> Result<bool> {
        // What the knobs draw is the same in every attempt.
        let drawn: Vec<u32> = settings
            .values()
            .iter()
            .map(|value| if value.is_one() { value.lo } else { draw.steady.within(*value) })
            .collect();
        let knobs = self.set(drawn.into_iter());
        let Some(made) = self.rule.make(draw.free.bits(), pool.size(), &knobs)? else { return Ok(false) };
        let names = self.slots();
        if let Some((name, _)) = made.iter().find(|(name, _)| !names.contains(&name.as_str())) {
            return Err(self.fault(
                format!("makes `{name}`, which no prompt shows"),
                format!("there are: {}", names.join(", ")),
            ));
        }
        for (slot, name) in names.iter().enumerate() {
            let Some((_, items)) = made.iter().find(|(made, _)| made == name) else {
                return Err(self.fault(format!("makes no `{name}`"), "give every slot that is shown"));
            };
            let fits = items.iter().all(|item| !item.is_empty())
                && (self.declared.is_list(slot) || items.len() == 1)
                && (slot + 1 < names.len() || !items.is_empty());
            if !fits {
                return Err(self.fault(
                    format!("makes an odd `{name}`"),
                    "a slot is a list of words, or where it is shown as a list, a list of such lists; none is empty",
                ));
            }
            content.begin(slot);
            for item in items {
                for word in item {
                    content.tokens.push(self.token(word, pool)?);
                }
                content.close();
            }
        }
        Ok(true)
    }

    fn token(&self, word: &Word, pool: &Pool) -> Result<u32> {
        match word {
            Word::Drawn(place) if *place < pool.size() => Ok(*place),
            Word::Drawn(place) => {
                Err(self.fault(format!("makes word {place} of {}", pool.size()), "take words that were drawn"))
            }
            Word::Mark(text) => mark(text).map(|mark| pool.mark(mark)).ok_or_else(|| {
                self.fault(
                    format!("makes `{text}` among its words"),
                    "beside words there are Yes, No, yes, no, A to Z, small numbers, `.`, `:` and `_`; all else belongs \
                     into the prompt",
                )
            }),
        }
    }

    fn solved(&self, settings: &Settings, asked: &Reading<'_>) -> Result<Option<Vec<String>>> {
        let names = self.slots();
        let slots = names[..names.len() - 1]
            .iter()
            .enumerate()
            .map(|(slot, name)| ((*name).to_owned(), asked.items(slot).to_vec()))
            .collect();
        self.rule.solve(&slots, &self.set(settings.values().iter().map(|value| value.lo)))
    }
}

impl Template for HostedTemplate {
    fn name(&self) -> &str {
        self.declared.name()
    }

    /// The first digits of its hash: another rule makes other samples.
    fn version(&self) -> u32 {
        u32::from_str_radix(&self.hash[..8], 16).unwrap_or(0)
    }

    fn family(&self) -> Family {
        self.declared.family()
    }

    fn about(&self) -> &str {
        self.declared.about()
    }

    fn stands_for(&self) -> &str {
        self.declared.stands_for()
    }

    fn knobs(&self) -> &[Knob] {
        self.declared.knobs()
    }

    fn slots(&self) -> Vec<&str> {
        Template::slots(self.declared.as_ref())
    }

    fn options(&self) -> Option<usize> {
        self.declared.options()
    }

    fn frames(&self, wording: Wording) -> Result<Vec<Frame>> {
        self.declared.frames(wording)
    }

    fn check(&self, _: &Settings, _: &Pool) -> Result<()> {
        Ok(())
    }

    fn make(
        &self,
        settings: &Settings,
        draw: &mut Draw,
        pool: &Pool,
        content: &mut Content,
    ) -> Result<(), Ambiguous> {
        match self.fill(settings, draw, pool, content) {
            Ok(true) => Ok(()),
            Ok(false) => Err(Ambiguous),
            Err(fault) => {
                content.fault = Some(Arc::new(fault));
                Err(Ambiguous)
            }
        }
    }

    fn solve(&self, settings: &Settings, asked: &Reading<'_>) -> Option<Vec<String>> {
        self.solved(settings, asked).ok().flatten()
    }

    fn judge(&self, settings: &Settings, asked: &Reading<'_>, said: &[Vec<&str>]) -> Result<bool> {
        let right = self.solved(settings, asked)?;
        Ok(right.is_some_and(|right| said.iter().flatten().copied().eq(right.iter().map(String::as_str))))
    }
}

/// A name that a template has until this is dropped.
#[derive(Debug)]
pub struct HeldTemplate(Arc<HostedTemplate>);

impl HeldTemplate {
    /// Gives a template the name that it is declared with.
    ///
    /// # Errors
    /// When another template has this name.
    pub fn new(template: Arc<HostedTemplate>) -> Result<Self> {
        let name = template.name();
        let taken = || {
            Error::usage(format!("there is another template `{name}`"))
                .with_hint("give this one another name")
        };
        if templates().iter().any(|known| known.name() == name) {
            return Err(taken());
        }
        let mut held = held();
        match held.get_mut(name) {
            Some(named) if named.template.hash != template.hash => return Err(taken()),
            Some(named) => named.times += 1,
            None => {
                held.insert(name.to_owned(), Named { template: Arc::clone(&template), times: 1 });
            }
        }
        drop(held);
        Ok(Self(template))
    }
}

impl Drop for HeldTemplate {
    fn drop(&mut self) {
        let mut held = held();
        if let Some(named) = held.get_mut(self.0.name()) {
            named.times -= 1;
            if named.times == 0 {
                held.remove(self.0.name());
            }
        }
    }
}

/// The template that has this name now.
pub(crate) fn hosted(name: &str) -> Option<Arc<HostedTemplate>> {
    held().get(name).map(|named| Arc::clone(&named.template))
}

fn held() -> MutexGuard<'static, BTreeMap<String, Named>> {
    HELD.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cook::{Curriculum, Plan, Sample, Split, Stream};

    /// Says whether the word that is asked about is the first of the list.
    struct First;

    impl Rule for First {
        fn make(&self, seed: u64, words: u32, knobs: &[(&str, Set)]) -> Result<Option<Slots<Word>>> {
            let [("length", Set::Count(length))] = knobs else { panic!("{knobs:?}") };
            let list: Vec<Word> =
                (0..*length).map(|at| Word::Drawn(((seed >> at) % u64::from(words)) as u32)).collect();
            if list[1..].contains(&list[0]) {
                return Ok(None);
            }
            let asked = list[seed as usize % list.len()].clone();
            let answer = if asked == list[0] { "Yes" } else { "No" };
            let slots =
                [("list", list), ("word", vec![asked]), ("answer", vec![Word::Mark(answer.to_owned())])];
            Ok(Some(slots.map(|(name, item)| (name.to_owned(), vec![item])).to_vec()))
        }

        fn can_solve(&self) -> bool {
            true
        }

        fn solve(&self, slots: &Slots<&str>, _: &[(&str, Set)]) -> Result<Option<Vec<String>>> {
            let same = slots[0].1[0][0] == slots[1].1[0][0];
            Ok(Some(vec![if same { "Yes" } else { "No" }.to_owned()]))
        }
    }

    const DECLARED: &str = "template(\"first\", prompt = \"List: {list}\\nWord: {word}\\nAnswer:\", knobs = {\"length\": (3, 6)})";

    fn stream(template: Arc<dyn Template>) -> Stream {
        let settings = Curriculum::constant(Settings::new(template.knobs()));
        let pool = Arc::new(Pool::synthetic(256).unwrap());
        let wording = Wording::Bare;
        Stream::new(Plan { template, settings, pool, wording, seed: 3, split: Split::Train }).unwrap()
    }

    #[test]
    fn samples_are_made_and_solved_by_the_rule() {
        let template = Arc::new(HostedTemplate::new(DECLARED, "1", Box::new(First)).unwrap());
        let stream = stream(template);
        let mut sample = Sample::default();
        let mut said = std::collections::BTreeMap::<String, u32>::new();
        for index in 0..200 {
            stream.fill(index, &mut sample).unwrap();
            assert!(stream.verify(&sample), "{}", sample.text());
            *said.entry(sample.completion().to_owned()).or_default() += 1;
        }
        assert_eq!(said.len(), 2, "{said:?}");
    }

    #[test]
    fn a_name_is_known_as_long_as_it_is_held() {
        let template = Arc::new(HostedTemplate::new(DECLARED, "1", Box::new(First)).unwrap());
        let one = HeldTemplate::new(Arc::clone(&template)).unwrap();
        let other = HostedTemplate::new(DECLARED, "2", Box::new(First)).unwrap();
        let error = HeldTemplate::new(Arc::new(other)).unwrap_err();
        assert_eq!(error.to_string(), "there is another template `first`");
        assert!(hosted("first").is_some());
        drop(template);
        drop(one);
        assert!(hosted("first").is_none());
    }
}
