//! Steps over examples: what is trained, in which order, what is told and kept.

use std::ops::ControlFlow;
use std::path::Path;
use std::time::Instant;

use instil::rng::{nth, seed_of};
use instil::{Error, Result};
use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};
use serde_json::Value;

use super::batch::{self, Example, Order};
use super::build::place;
use super::checkpoint::{self, State};
use super::method::Method;
use super::model::Backward;
use super::net::Net;
use super::ops::Dropout;
use super::optimizer::{self, Optimizer};
use super::parameters::{Parameter, Parameters};
use super::settings::{Checkpoints, Length, Plan, Settings};
use crate::numbers::Keeper;
use crate::weights::Checkpoint;

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
    net: Net,
    pub(super) parameters: Parameters,
    optimizer: Optimizer,
    gradients: Vec<f32>,
    pub(super) settings: Settings,
    pool: ThreadPool,
    /// What a step has used is there for the next.
    memory: Keeper,
    /// `config.json`; none of a GGUF file.
    pub(super) json: Option<Value>,
    /// What the frozen weights are, in a few digits; asked for when a checkpoint is wanted.
    base: String,
}

impl Trainer {
    /// A model from a checkpoint. To train it whole, its weights are widened to f32; beside an adapter they stay as stored.
    ///
    /// # Errors
    /// When a tensor is missing or doesn't fit, a setting is out of its range, the files of moments can't be made, or all
    /// weights of a GGUF file are to be trained.
    pub fn load(checkpoint: &Checkpoint, settings: Settings) -> Result<Self> {
        let json = match checkpoint.file("config.json")? {
            Some(bytes) => serde_json::from_slice(&bytes).ok(),
            None => None,
        };
        if settings.method == Method::Full && json.is_none() {
            return Err(Error::usage(
                "a GGUF file has no config.json, so a model trained from it can't be written",
            )
            .with_hint("train its safetensors, or an adapter"));
        }
        let mut trainer =
            Self::build(|settings| Net::read(checkpoint, &settings.method, settings.seed), settings, json)?;
        trainer.base = trainer.pool.install(|| checkpoint.fingerprint())?;
        Ok(trainer)
    }

    /// A new model of this `config.json`, its weights drawn as transformers draws them.
    ///
    /// # Errors
    /// When the configuration isn't understood, or as [`Trainer::load`].
    pub fn new(config: &Value, settings: Settings) -> Result<Self> {
        Self::build(
            |settings| Net::new(config, &settings.method, settings.seed),
            settings,
            Some(config.clone()),
        )
    }

    fn build(
        net: impl FnOnce(&Settings) -> Result<(Net, Parameters)> + Send,
        settings: Settings,
        json: Option<Value>,
    ) -> Result<Self> {
        settings.check()?;
        let pool = ThreadPoolBuilder::new()
            .num_threads(settings.threads)
            .build()
            .map_err(|error| Error::model("failed to start the training's threads").because(error))?;
        let (net, parameters) = pool.install(|| net(&settings))?;
        let len = parameters.weights.len();
        let optimizer = Optimizer::new(settings.adamw, len, settings.moments.as_deref())?;
        let gradients = vec![0.0; len];
        let memory = Keeper::new();
        Ok(Self { net, parameters, optimizer, gradients, settings, pool, memory, json, base: String::new() })
    }

    /// Rows of the embedding: one more than the largest token.
    pub fn vocab(&self) -> usize {
        self.net.vocab()
    }

    /// The longest example, in tokens before its last.
    pub fn window(&self) -> usize {
        self.net.window()
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
            let some: Vec<&Example> = some.iter().map(|example| &examples[*example]).collect();
            let nlls = self.pool.install(|| self.net.pass(&self.parameters.weights, some, None));
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
            example.check(number, self.window(), self.vocab())?;
        }
        let (loss, norm) = self.accumulate(examples);
        self.memory.end_round();
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
        let Self { net, parameters, gradients, settings, pool, optimizer, .. } = self;
        pool.install(|| gradients.par_chunks_mut(1 << 16).for_each(|part| part.fill(0.0)));
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
            let nlls = pool.install(|| net.pass(&parameters.weights, some, Some(back)));
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
                let hint = error.hint().map(str::to_owned);
                let error = Error::model(format!("training stopped at examples {numbers:?}")).because(error);
                match hint {
                    Some(hint) => error.with_hint(hint),
                    None => error,
                }
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
            .try_for_each(|(number, example)| example.check(number, self.window(), self.vocab()))
    }

    /// A hash of everything that decides the bits of a training.
    fn training(&self, examples: &[Example]) -> String {
        let settings = Settings { recompute: true, threads: 0, moments: None, ..self.settings.clone() };
        let mut hash = blake3::Hasher::new();
        hash.update(format!("{settings:?}; {}; {}", self.net.described(), self.base).as_bytes());
        let mut bytes = Vec::new();
        for example in examples {
            let learnt = example.learnt.iter().flat_map(|range| [range.start, range.end]);
            let lens = [example.tokens.len(), example.learnt.len()].into_iter();
            bytes.clear();
            bytes.extend(lens.chain(learnt).flat_map(|number| (number as u64).to_le_bytes()));
            bytes.extend(example.tokens.iter().flat_map(|token| token.to_le_bytes()));
            hash.update(&bytes);
        }
        hash.finalize().to_hex()[..32].to_owned()
    }
}
