//! Steps over examples: what is trained, in which order, what is told and kept.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Instant;

use instil::rng::{nth, seed_of};
use instil::{Error, Result};
use rayon::{ThreadPool, ThreadPoolBuilder};
use serde_json::Value;

use super::batch::{self, Batch, Example, Order, Pass};
use super::build::{Build, Source, place};
use super::checkpoint::{self, State};
use super::method::Method;
use super::model::{Backward, Model};
use super::ops::Dropout;
use super::optimizer::{self, AdamW, Optimizer};
use super::parameters::{Parameter, Parameters};
use super::save::{self, Named};
use super::schedule::{Schedule, Warmup};
use crate::decoder::Config;
use crate::weights::Checkpoint;

/// How long a training is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Length {
    /// So many times through all examples; a part of the last time, if it is no whole number.
    Epochs(f64),
    /// So many steps.
    Steps(usize),
}

/// How a model is trained. All but `pass_tokens`, `recompute`, `threads` and `moments` decides what comes out; of these,
/// `pass_tokens` moves the last bits, as sums are parted otherwise.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What is trained.
    pub method: Method,
    /// How long.
    pub length: Length,
    /// Examples of a step.
    pub batch: Batch,
    /// The most tokens of one forward pass, unless an example has more: a step's examples are computed in as many passes
    /// as that takes, and their gradients are added.
    pub pass_tokens: usize,
    /// Whether steps have examples of like length.
    pub group_by_length: bool,
    /// The highest learning rate.
    pub learning_rate: f64,
    /// How it falls.
    pub schedule: Schedule,
    /// How it rises at first.
    pub warmup: Warmup,
    /// The optimiser.
    pub adamw: AdamW,
    /// The longest that gradients may be together; longer ones are shortened to it.
    pub max_grad_norm: Option<f64>,
    /// Decides the order of examples, an adapter's first values, a new model's, and what is dropped.
    pub seed: u64,
    /// Whether a block's intermediate values are computed again on the way back instead of kept: a third more work, and
    /// memory for one block instead of all.
    pub recompute: bool,
    /// Threads; 0 means one a processor.
    pub threads: usize,
    /// A folder for files that hold the optimiser's moments, mapped into memory.
    pub moments: Option<PathBuf>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            method: Method::Full,
            length: Length::Epochs(1.0),
            batch: Batch::Examples(16),
            pass_tokens: 2048,
            group_by_length: false,
            learning_rate: 1e-4,
            schedule: Schedule::Linear,
            warmup: Warmup::Steps(0),
            adamw: AdamW::default(),
            max_grad_norm: Some(1.0),
            seed: 42,
            recompute: true,
            threads: 0,
            moments: None,
        }
    }
}

/// What is done beside the steps.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// After so many steps each, and at the end, the loss of the validation examples is computed; at the end alone without.
    pub validate_every: Option<usize>,
    /// Where checkpoints go.
    pub checkpoints: Option<Checkpoints>,
}

/// Checkpoints of a training.
#[derive(Clone, Debug)]
pub struct Checkpoints {
    /// The folder that they are below.
    pub folder: PathBuf,
    /// Steps from one to the next. There is always one at the end.
    pub every: usize,
    /// How many are kept.
    pub keep: usize,
}

/// What a step came to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// Which one it was, from 1.
    pub step: usize,
    /// How many there will be.
    pub of: usize,
    /// How often all examples were gone through, the step included.
    pub epoch: f64,
    /// The mean negative log-likelihood of the learnt tokens, in nats, before the step.
    pub loss: f64,
    /// The learning rate that it was made with.
    pub learning_rate: f64,
    /// The length of all gradients together, before it was cut.
    pub grad_norm: f64,
    /// Tokens that went through the model.
    pub tokens: usize,
    /// Of them the learnt ones.
    pub targets: usize,
    /// How long it took.
    pub seconds: f64,
}

/// What is told of a training.
#[derive(Clone, Debug, PartialEq)]
pub enum Event<'a> {
    /// It went on from a checkpoint, after this many steps.
    Resumed(usize),
    /// A step was made.
    Step(Step),
    /// The mean loss of the validation examples after so many steps.
    Validated {
        /// Steps that were made.
        step: usize,
        /// Mean negative log-likelihood in nats.
        loss: f64,
    },
    /// A checkpoint is whole.
    Kept(&'a Path),
}

/// What a training came to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    /// Steps that were made, those before a checkpoint included.
    pub steps: usize,
    /// Whether they were all, and not broken off.
    pub is_complete: bool,
    /// The mean loss of the validation examples at the end, if there are any.
    pub validation: Option<f64>,
}

/// A model that is trained.
pub struct Trainer {
    model: Model,
    parameters: Parameters,
    optimizer: Optimizer,
    gradients: Vec<f32>,
    settings: Settings,
    pool: ThreadPool,
    /// `config.json`; none of a GGUF file.
    json: Option<Value>,
    /// What the frozen weights are, in a few digits; asked for when a checkpoint is wanted.
    base: String,
}

impl Trainer {
    /// A model from a checkpoint. To train it whole, its weights are widened to f32; beside an adapter they stay as stored.
    ///
    /// # Errors
    /// When a tensor is missing or doesn't fit, a setting is out of its range, or the files of moments can't be made.
    pub fn load(checkpoint: &Checkpoint, settings: Settings) -> Result<Self> {
        let json = match checkpoint.file("config.json")? {
            Some(bytes) => serde_json::from_slice(&bytes).ok(),
            None => None,
        };
        let config = checkpoint.config().clone();
        let mut trainer = Self::build(Source::Checkpoint(checkpoint), &config, settings, json)?;
        trainer.base = trainer.pool.install(|| checkpoint.fingerprint())?;
        Ok(trainer)
    }

    /// A new model of this `config.json`, its weights drawn as transformers draws them.
    ///
    /// # Errors
    /// When the configuration isn't understood, or as [`Trainer::load`].
    pub fn new(config: &Value, settings: Settings) -> Result<Self> {
        let deviation = config.get("initializer_range").and_then(Value::as_f64).unwrap_or(0.02);
        let source = Source::New { deviation, seed: settings.seed };
        Self::build(source, &Config::from_hugging_face(config)?, settings, Some(config.clone()))
    }

    fn build(source: Source<'_>, config: &Config, settings: Settings, json: Option<Value>) -> Result<Self> {
        settings.check()?;
        let pool = ThreadPoolBuilder::new()
            .num_threads(settings.threads)
            .build()
            .map_err(|error| Error::model("failed to start the training's threads").because(error))?;
        let (model, parameters) =
            pool.install(|| Build::model(source, config, &settings.method, settings.seed))?;
        let len = parameters.weights.len();
        let optimizer = Optimizer::new(settings.adamw, len, settings.moments.as_deref())?;
        let gradients = vec![0.0; len];
        Ok(Self { model, parameters, optimizer, gradients, settings, pool, json, base: String::new() })
    }

    /// What the decoder is.
    pub fn config(&self) -> &Config {
        &self.model.config
    }

    /// How it is trained.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The trained tensors, in the order in which they lie.
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters.table
    }

    /// How many numbers are trained.
    pub fn trained(&self) -> usize {
        self.parameters.weights.len()
    }

    /// The numbers of a trained tensor, row after row.
    pub fn weights(&self, name: &str) -> Option<&[f32]> {
        place(&self.parameters, name).map(|range| &self.parameters.weights[range])
    }

    /// Sets a trained tensor, such as an adapter's that is to be trained on.
    ///
    /// # Errors
    /// When there is none of this name, or it has another number of numbers.
    pub fn set_weights(&mut self, name: &str, numbers: &[f32]) -> Result<()> {
        let range = place(&self.parameters, name).ok_or_else(|| {
            let known = self.parameters.table.iter().map(|parameter| parameter.name.as_str());
            let error = Error::input(format!("no tensor `{name}` is trained"));
            match instil::error::nearest(name, known) {
                Some(near) => error.with_hint(format!("the nearest name is `{near}`")),
                None => error,
            }
        })?;
        if range.len() != numbers.len() {
            return Err(Error::input(format!(
                "tensor `{name}` has {} numbers here, and {} are given",
                range.len(),
                numbers.len()
            )));
        }
        self.parameters.weights[range].copy_from_slice(numbers);
        Ok(())
    }

    /// The gradient of a trained tensor in the last step, before clipping.
    pub fn gradient(&self, name: &str) -> Option<&[f32]> {
        place(&self.parameters, name).map(|range| &self.gradients[range])
    }

    /// The mean negative log-likelihood in nats of all learnt tokens.
    ///
    /// # Errors
    /// When an example can't be learnt.
    pub fn loss(&self, examples: &[Example]) -> Result<f64> {
        self.check(examples)?;
        let order: Vec<usize> = (0..examples.len()).collect();
        let (mut sum, mut targets) = (0.0, 0);
        for some in batch::filled(examples, &order, self.settings.pass_tokens) {
            let pass = Pass::of(some.iter().map(|example| &examples[*example]));
            let nlls = self.pool.install(|| self.model.pass(&self.parameters.weights, &pass, None));
            targets += nlls.len();
            sum += nlls.iter().sum::<f64>();
        }
        Ok(sum / targets.max(1) as f64)
    }

    /// Makes one step with these examples at this learning rate, and tells the mean loss and the gradients' length.
    ///
    /// # Errors
    /// When an example can't be learnt, or loss or gradients are no numbers; the weights are as before then.
    pub fn step(&mut self, examples: &[&Example], learning_rate: f64) -> Result<(f64, f64)> {
        for (number, example) in examples.iter().enumerate() {
            example.check(number, &self.model.config)?;
        }
        let (loss, norm) = self.accumulate(examples);
        if !loss.is_finite() || !norm.is_finite() {
            return Err(self.diverged(loss, norm));
        }
        let clip = optimizer::clip(norm, self.settings.max_grad_norm);
        let Self { parameters: Parameters { table, weights }, optimizer, gradients, pool, .. } = self;
        pool.install(|| optimizer.step(table, weights, gradients, learning_rate, clip));
        Ok((loss, norm))
    }

    fn diverged(&self, loss: f64, norm: f64) -> Error {
        Error::model(format!(
            "step {}: the loss is {loss} and the gradients' norm {norm}",
            self.optimizer.steps + 1
        ))
        .with_hint("the weights are as before the step; a lower learning rate or a longer warm-up may help")
    }

    /// The mean loss of a step's examples and the gradients' length; the gradients lie in their place.
    fn accumulate(&mut self, examples: &[&Example]) -> (f64, f64) {
        let Self { model, parameters, gradients, settings, pool, optimizer, .. } = self;
        gradients.fill(0.0);
        let targets: usize = examples.iter().map(|example| example.targets()).sum();
        let share = match &settings.method {
            Method::Lora(lora) => lora.lora_dropout as f32,
            Method::Full => 0.0,
        };
        let mut passes: Vec<Vec<&Example>> = Vec::new();
        let mut held = 0;
        for example in examples {
            match passes.last_mut() {
                Some(pass) if held + example.rows() <= settings.pass_tokens => pass.push(example),
                _ => {
                    passes.push(vec![example]);
                    held = 0;
                }
            }
            held += example.rows();
        }
        let seed = nth(seed_of(settings.seed, &["dropout"]), optimizer.steps as u64);
        let mut sum = 0.0;
        for (number, some) in passes.into_iter().enumerate() {
            let back = Backward {
                scale: (1.0 / targets.max(1) as f64) as f32,
                gradients,
                dropout: (share > 0.0).then(|| Dropout { share, seed: nth(seed, number as u64) }),
                recompute: settings.recompute,
            };
            let pass = Pass::of(some);
            let nlls = pool.install(|| model.pass(&parameters.weights, &pass, Some(back)));
            sum += nlls.iter().sum::<f64>();
        }
        (sum / targets.max(1) as f64, pool.install(|| optimizer::norm(gradients)))
    }

    /// Trains over `examples` until the end of its length, or until `tell` breaks it off. With checkpoints it goes on from
    /// the newest one in their folder, to the same bits as if it had never stopped.
    ///
    /// # Errors
    /// When an example can't be learnt, the loss is no number (the message says at which step and of which examples), or a
    /// checkpoint can't be read or written.
    pub fn train(
        &mut self,
        examples: &[Example],
        validation: &[Example],
        plan: &Plan,
        tell: &mut dyn FnMut(Event<'_>) -> ControlFlow<()>,
    ) -> Result<Summary> {
        if examples.is_empty() {
            return Err(Error::input("there is no example to train on"));
        }
        self.check(examples)?;
        self.check(validation)?;
        let Settings { seed, batch, group_by_length, length, .. } = self.settings;
        let mut order = Order::new(examples, seed, batch, group_by_length);
        let total = match length {
            Length::Steps(steps) => steps,
            Length::Epochs(epochs) => order.steps(epochs),
        };
        let warmup = self.settings.warmup.steps(total);
        let training = self.training(examples);
        if let Some(Checkpoints { folder, .. }) = &plan.checkpoints {
            let read = checkpoint::read(folder, &training, &mut self.parameters, &mut self.optimizer)?;
            if let Some(step) = read
                && tell(Event::Resumed(step)).is_break()
            {
                return Ok(Summary { steps: step, is_complete: step >= total, validation: None });
            }
        }
        let mut is_complete = true;
        while self.optimizer.steps < total {
            let step = self.optimizer.steps;
            let start = Instant::now();
            let (numbers, epoch) = order.at(step);
            let some: Vec<&Example> = numbers.iter().map(|number| &examples[*number]).collect();
            let learning_rate =
                self.settings.learning_rate * self.settings.schedule.factor(step, warmup, total);
            let (loss, grad_norm) = self.step(&some, learning_rate).map_err(|error| {
                Error::model(format!("training stopped at examples {numbers:?}")).because(error)
            })?;
            let said = Event::Step(Step {
                step: step + 1,
                of: total,
                epoch,
                loss,
                learning_rate,
                grad_norm,
                tokens: some.iter().map(|example| example.tokens.len()).sum(),
                targets: some.iter().map(|example| example.targets()).sum(),
                seconds: start.elapsed().as_secs_f64(),
            });
            is_complete = tell(said).is_continue();
            let step = step + 1;
            let is_due = |every: usize| every > 0 && step.is_multiple_of(every);
            let is_last = step == total || !is_complete;
            if let Some(Checkpoints { folder, every, keep }) = &plan.checkpoints
                && (is_due(*every) || is_last)
            {
                let state = State { step, training: training.clone() };
                let path = checkpoint::write(folder, &state, &self.parameters, &self.optimizer, *keep)?;
                is_complete &= tell(Event::Kept(&path)).is_continue();
            }
            if !is_complete {
                break;
            }
            if step < total && plan.validate_every.is_some_and(is_due) && !validation.is_empty() {
                let loss = self.loss(validation)?;
                is_complete = tell(Event::Validated { step, loss }).is_continue();
            }
            if !is_complete {
                break;
            }
        }
        let steps = self.optimizer.steps;
        is_complete |= steps >= total;
        let mut last = None;
        if is_complete && !validation.is_empty() {
            let loss = self.loss(validation)?;
            last = Some(loss);
            // It is over, whatever is answered.
            let _ = tell(Event::Validated { step: steps, loss });
        }
        Ok(Summary { steps, is_complete, validation: last })
    }

    /// # Errors
    /// When one can't be learnt.
    fn check(&self, examples: &[Example]) -> Result<()> {
        examples
            .iter()
            .enumerate()
            .try_for_each(|(number, example)| example.check(number, &self.model.config))
    }

    /// A hash of everything that decides the bits of a training.
    fn training(&self, examples: &[Example]) -> String {
        let settings = Settings { recompute: true, threads: 0, moments: None, ..self.settings.clone() };
        let mut hash = blake3::Hasher::new();
        hash.update(format!("{settings:?}; {:?}; {}", self.model.config, self.base).as_bytes());
        for example in examples {
            hash.update(format!("{:?}{:?}", example.tokens, example.learnt).as_bytes());
        }
        hash.finalize().to_hex()[..32].to_owned()
    }

    /// Writes the model that was trained whole as a folder that the engine and transformers load: `config.json`,
    /// `model.safetensors` in f32, and of `beside`, the checkpoint it came from, the tokenizer.
    ///
    /// # Errors
    /// When an adapter was trained, the model came from a GGUF file, or something can't be written.
    pub fn save_model(&self, folder: &Path, beside: Option<&Checkpoint>) -> Result<()> {
        if self.settings.method != Method::Full {
            return Err(Error::usage("an adapter was trained, and no whole model")
                .with_hint("write the adapter, and merge it where a whole model is wanted"));
        }
        let json = self.json.as_ref().ok_or_else(|| {
            Error::usage("a model that came from a GGUF file has no config.json to write")
                .with_hint("train its safetensors, or an adapter")
        })?;
        let tensors: Vec<Named<'_>> = self
            .parameters
            .table
            .iter()
            .map(|of| (of.name.as_str(), of.shape.as_slice(), &self.parameters.weights[of.range.clone()]))
            .collect();
        save::folder(folder, json, &tensors, &|name| beside.map_or(Ok(None), |beside| beside.file(name)))
    }
}

impl Settings {
    /// # Errors
    /// When a number is out of its range.
    fn check(&self) -> Result<()> {
        let is_positive = |number: f64| number.is_finite() && number > 0.0;
        let is_length = match self.length {
            Length::Epochs(epochs) => is_positive(epochs),
            Length::Steps(steps) => steps > 0,
        };
        let AdamW { beta1, beta2, eps, weight_decay } = self.adamw;
        let is_warmup = match self.warmup {
            Warmup::Steps(_) => true,
            Warmup::Ratio(ratio) => (0.0..=1.0).contains(&ratio),
        };
        for (is_right, what) in [
            (is_length, "the length of training is nothing"),
            (is_positive(self.learning_rate), "the learning rate is no positive number"),
            (!matches!(self.batch, Batch::Examples(0) | Batch::Tokens(0)), "a batch is of nothing"),
            ((0.0..1.0).contains(&beta1), "AdamW's beta1 is not from 0 to below 1"),
            ((0.0..1.0).contains(&beta2), "AdamW's beta2 is not from 0 to below 1"),
            (is_positive(eps), "AdamW's eps is no positive number"),
            (weight_decay.is_finite() && weight_decay >= 0.0, "the weight decay is below 0"),
            (self.max_grad_norm.is_none_or(is_positive), "the gradients' norm is cut to nothing"),
            (is_warmup, "the share of warm-up steps is not from 0 to 1"),
        ] {
            if !is_right {
                return Err(Error::usage(what));
            }
        }
        Ok(())
    }
}
