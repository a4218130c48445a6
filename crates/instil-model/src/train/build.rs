//! A model to train, from a checkpoint or from nothing: every tensor by its name, frozen or among the trained weights.

use std::ops::Range;
use std::sync::Arc;

use instil::rng::{nth, seed_of};
use instil::{Error, Result};

use super::block::{Block, Projections};
use super::method::{Lora, Method};
use super::model::Model;
use super::ops::feed::Feed;
use super::ops::linear::{Adapter, Linear};
use super::ops::norm::Norm;
use super::ops::{Vector, Weight};
use super::parameters::Parameters;
use crate::adapter::TargetModules;
use crate::decoder::names::{Attention, Names};
use crate::decoder::{self, Activation, Config, Residual};
use crate::weights::Checkpoint;

/// Where weights come from.
#[derive(Clone, Copy)]
pub(super) enum Source<'a> {
    /// They are read.
    Checkpoint(&'a Checkpoint),
    /// They are drawn as transformers draws them: matrices from a normal distribution of this deviation, norms ones,
    /// biases zeros.
    New { deviation: f64, seed: u64 },
}

/// Builds a model and collects its trained weights.
pub(super) struct Build<'a> {
    pub(super) source: Source<'a>,
    method: &'a Method,
    /// Of an adapter's first values.
    seed: u64,
    pub(super) parameters: Parameters,
    /// Modules that were asked for, by their last names, to say so where no target fits.
    modules: Vec<String>,
    adapters: u64,
}

impl<'a> Build<'a> {
    /// Reads or draws all weights.
    ///
    /// # Errors
    /// When a tensor is missing or doesn't fit, or no projection has a name that the adapter's targets fit.
    pub(super) fn model(
        source: Source<'a>,
        config: &'a Config,
        method: &'a Method,
        seed: u64,
    ) -> Result<(Model, Parameters)> {
        let mut build = Self::begin(source, method, seed)?;
        let names = Names::of(config.family);
        let embed_name = match source {
            // Where the embedding is also the head, files name it as the one or as the other.
            Source::Checkpoint(checkpoint)
                if config.tied && !checkpoint.has(&format!("{}.weight", names.embed)) =>
            {
                names.head
            }
            _ => names.embed,
        };
        let embed = build.weight(embed_name, config.vocab, config.hidden)?;
        let blocks =
            (0..config.layers).map(|layer| build.block(config, &names, layer)).collect::<Result<Vec<_>>>()?;
        let norm = build.norm(config, names.norm, config.hidden)?;
        let weight = if config.tied {
            embed.clone()
        } else {
            build.weight(names.head, config.vocab, config.hidden)?
        };
        let bias = build.bias(names.head, config.vocab, config.bias.head)?;
        let adapter = build.adapter(names.head, config.vocab, config.hidden, true)?;
        let head = Linear { weight, bias, adapter, n: config.vocab, k: config.hidden };
        if let Method::Lora(lora) = method {
            build.all_targets_fit(lora)?;
        }
        let model = Model { config: config.clone(), embed, blocks, norm, head };
        Ok((model, build.parameters))
    }

    /// Begins with nothing; models add their tensors one by one.
    ///
    /// # Errors
    /// When the adapter's settings are out of their ranges, or it would be all there is.
    pub(super) fn begin(source: Source<'a>, method: &'a Method, seed: u64) -> Result<Self> {
        if let Method::Lora(lora) = method {
            lora.check()?;
            if matches!(source, Source::New { .. }) {
                return Err(Error::usage("a model from nothing can't be trained by an adapter alone")
                    .with_hint("train it whole (full)"));
            }
        }
        let mut build = Self {
            source,
            method,
            seed,
            parameters: Parameters::default(),
            modules: Vec::new(),
            adapters: 0,
        };
        if let (Source::Checkpoint(checkpoint), Method::Full) = (source, method) {
            // A row that grows is copied, and lies in memory twice while it is.
            let numbers = checkpoint.tensors().map(|(_, shape)| shape.iter().product::<usize>());
            build.parameters.weights.reserve_exact(numbers.sum());
        }
        Ok(build)
    }

    fn is_full(&self) -> bool {
        matches!(self.method, Method::Full)
    }

    pub(super) fn weight(&mut self, name: &str, n: usize, k: usize) -> Result<Weight> {
        let name = format!("{name}.weight");
        match self.source {
            Source::Checkpoint(checkpoint) => {
                let matrix = checkpoint.matrix(&name, n, k)?;
                if !self.is_full() {
                    return Ok(Weight::Frozen(Arc::new(matrix)));
                }
                let read = |numbers: &mut [f32]| -> Result<()> {
                    numbers.chunks_exact_mut(k).enumerate().for_each(|(row, out)| matrix.row(row, out));
                    Ok(())
                };
                Ok(Weight::Trained(self.parameters.push(name, &[n, k], read)?))
            }
            Source::New { deviation, seed } => {
                let seed = seed_of(seed, &["weights", &name]);
                let draw = |numbers: &mut [f32]| -> Result<()> {
                    normal(seed, deviation, numbers);
                    Ok(())
                };
                Ok(Weight::Trained(self.parameters.push(name, &[n, k], draw)?))
            }
        }
    }

    pub(super) fn vector(&mut self, name: String, len: usize, new: f32) -> Result<Vector> {
        let numbers = match self.source {
            Source::Checkpoint(checkpoint) => checkpoint.vector(&name, len)?,
            Source::New { .. } => vec![new; len],
        };
        if !self.is_full() {
            return Ok(Vector::Frozen(numbers));
        }
        let fill = |to: &mut [f32]| -> Result<()> {
            to.copy_from_slice(&numbers);
            Ok(())
        };
        Ok(Vector::Trained(self.parameters.push(name, &[len], fill)?))
    }

    fn bias(&mut self, name: &str, n: usize, has_bias: bool) -> Result<Option<Vector>> {
        has_bias.then(|| self.vector(format!("{name}.bias"), n, 0.0)).transpose()
    }

    fn norm(&mut self, config: &Config, name: &str, width: usize) -> Result<Norm> {
        Ok(Norm {
            weight: self.vector(format!("{name}.weight"), width, 1.0)?,
            bias: self.bias(name, width, config.norm == decoder::Norm::Layer)?,
            eps: config.norm_eps,
        })
    }

    pub(super) fn linear(&mut self, name: &str, n: usize, k: usize, has_bias: bool) -> Result<Linear> {
        let weight = self.weight(name, n, k)?;
        let bias = self.bias(name, n, has_bias)?;
        let adapter = self.adapter(name, n, k, false)?;
        Ok(Linear { weight, bias, adapter, n, k })
    }

    /// What is added to a projection, if it is meant: `A` drawn evenly from ± 1 / √k, as torch's `kaiming_uniform_` with
    /// a = √5, and `B` zeros.
    pub(super) fn adapter(
        &mut self,
        name: &str,
        n: usize,
        k: usize,
        is_head: bool,
    ) -> Result<Option<Adapter>> {
        let Method::Lora(lora) = self.method else { return Ok(None) };
        let last = name.rsplit('.').next().unwrap_or(name).to_owned();
        if !self.modules.contains(&last) {
            self.modules.push(last);
        }
        if !lora.target_modules.matches(name, is_head)? {
            return Ok(None);
        }
        let seed = seed_of(self.seed, &["lora_A", name]);
        let bound = 1.0 / (k as f64).sqrt();
        let draw = |numbers: &mut [f32]| -> Result<()> {
            for (place, number) in (0..).zip(numbers) {
                *number = (bound * (2.0 * unit(nth(seed, place)) - 1.0)) as f32;
            }
            Ok(())
        };
        let a = self.parameters.push(format!("{name}.lora_A.weight"), &[lora.r, k], draw)?;
        let b =
            self.parameters.push(format!("{name}.lora_B.weight"), &[n, lora.r], |_| Ok::<_, Error>(()))?;
        let number = self.adapters;
        self.adapters += 1;
        Ok(Some(Adapter { a, b, rank: lora.r, scale: lora.scaling() as f32, number }))
    }

    /// # Errors
    /// When a target is the name of no projection.
    pub(super) fn all_targets_fit(&self, lora: &Lora) -> Result<()> {
        let trouble = |what: String| {
            Err(Error::usage(format!("target_modules: {what}"))
                .with_hint(format!("this model's projections are {}", self.modules.join(", "))))
        };
        let names = || self.parameters.table.iter().filter_map(|of| of.name.strip_suffix(".lora_A.weight"));
        if let TargetModules::Names(targets) = &lora.target_modules {
            for target in targets {
                let one = TargetModules::Names(vec![target.clone()]);
                if !names().any(|name| one.matches(name, false).is_ok_and(|matches| matches)) {
                    return trouble(format!("no projection is called `{target}`"));
                }
            }
        }
        if names().next().is_none() { trouble("no projection is meant".into()) } else { Ok(()) }
    }

    fn block(&mut self, config: &Config, names: &Names, layer: usize) -> Result<Block> {
        let Config { hidden, head_dim, heads, kv_heads, intermediate, bias, .. } = *config;
        let name = |part: &str| format!("{}.{layer}.{part}", names.layers);
        let norm1 = self.norm(config, &name(names.norm1), hidden)?;
        let projections = match names.attention {
            Attention::Apart { q, k, v } => Projections::Apart(Box::new([
                self.linear(&name(q), heads * head_dim, hidden, bias.qkv)?,
                self.linear(&name(k), kv_heads * head_dim, hidden, bias.qkv)?,
                self.linear(&name(v), kv_heads * head_dim, hidden, bias.qkv)?,
            ])),
            Attention::ByHead(part) => {
                Projections::ByHead(self.linear(&name(part), 3 * heads * head_dim, hidden, bias.qkv)?)
            }
        };
        let mut head_norm = |part: &str| -> Result<Option<Norm>> {
            config.qk_norm.then(|| self.norm(config, &name(part), head_dim)).transpose()
        };
        let (q_norm, k_norm) = (head_norm(names.q_norm)?, head_norm(names.k_norm)?);
        let out = self.linear(&name(names.attention_out), hidden, heads * head_dim, bias.attention_out)?;
        let norm2 = match config.residual {
            Residual::ParallelOneNorm => None,
            _ => Some(self.norm(config, &name(names.norm2), hidden)?),
        };
        let gate = match config.activation {
            Activation::Silu => Some(self.linear(&name(names.gate), intermediate, hidden, bias.mlp)?),
            _ => None,
        };
        let up = self.linear(&name(names.up), intermediate, hidden, bias.mlp)?;
        let down = self.linear(&name(names.down), hidden, intermediate, bias.mlp)?;
        let feed = match gate {
            Some(gate) => Feed::Gated { gate, up, down },
            None => Feed::Plain { up, activation: config.activation, down },
        };
        Ok(Block { norm1, norm2, projections, q_norm, k_norm, out, feed })
    }
}

/// From 0 to below 1, of 53 random bits.
fn unit(random: u64) -> f64 {
    (random >> 11) as f64 / (1_u64 << 53) as f64
}

/// Numbers of a normal distribution around 0 (Box and Muller 1958).
fn normal(seed: u64, deviation: f64, numbers: &mut [f32]) {
    for (pair, two) in (0..).zip(numbers.chunks_mut(2)) {
        let radius = (-2.0 * (1.0 - unit(nth(seed, 2 * pair))).ln()).sqrt();
        let angle = 2.0 * std::f64::consts::PI * unit(nth(seed, 2 * pair + 1));
        for (number, of) in two.iter_mut().zip([angle.cos(), angle.sin()]) {
            *number = (deviation * radius * of) as f32;
        }
    }
}

/// The place of a tensor among the trained weights.
pub(super) fn place(parameters: &Parameters, name: &str) -> Option<Range<usize>> {
    parameters.table.iter().find(|parameter| parameter.name == name).map(|parameter| parameter.range.clone())
}
