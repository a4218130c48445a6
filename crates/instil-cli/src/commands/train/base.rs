//! What is trained: weights that are there, or a new model's configuration.

use std::fs;
use std::path::{Path, PathBuf};

use instil::chat_template::ChatTemplate;
use instil::convert::supervise::Frame;
use instil::recipe::Train;
use instil::run::{Material, TrainFolder};
use instil::{Error, Result};
use instil_model::adapter::{Adapter, TargetModules};
use instil_model::t5;
use instil_model::tokenizer::{Tokenizer, new};
use instil_model::train::{AdamW, Batch, Length, Lora, Method, Schedule, Settings, Trainer, Warmup};
use instil_model::weights::{Checkpoint, Model, Options};
use instil_remote::hub;
use serde_json::Value;

use crate::commands::pull::hub_config;
use crate::progress::Progress;

/// What is trained on: a model that is there, or the configuration of a new one.
pub(super) enum Base {
    Weights { path: PathBuf, checkpoint: Box<Checkpoint> },
    New { path: PathBuf, config: Value },
}

impl Base {
    /// The base of a step; none if Ctrl-C came while it was fetched.
    pub(super) fn of(step: &Train, progress: &mut Progress) -> Result<Option<Self>> {
        if let Some(path) = &step.new_model {
            let path = PathBuf::from(path);
            let text = fs::read_to_string(&path)
                .map_err(|e| Error::input(format!("failed to read `{}`", path.display())).because(e))?;
            let config = serde_json::from_str(&text)
                .map_err(|e| Error::input(format!("`{}` is no JSON", path.display())).because(e))?;
            return Ok(Some(Self::New { path, config }));
        }
        if step.model.is_empty() {
            return Err(Error::usage("no model is named").with_hint(
                "name the one to train with --model, or the config.json of a new one with --new-model",
            ));
        }
        let path = PathBuf::from(&step.model);
        let path = if path.exists() || !step.model.contains('/') {
            path
        } else {
            match hub::resolve_model(&step.model, &hub_config()?, &mut |transfer| {
                progress.watch_transfer(transfer)
            })? {
                Some(path) => path,
                None => return Ok(None),
            }
        };
        let quantize = match (step.quantize.as_deref(), step.method.as_str()) {
            (Some(quantize), _) => quantize,
            (None, "qlora") => "nf4",
            (None, _) => "none",
        };
        let options = Options { quantize: quantize.parse()?, ..Options::default() };
        let checkpoint = Box::new(Checkpoint::open_with(&path, &options)?);
        Ok(Some(Self::Weights { path, checkpoint }))
    }

    /// Whether prompts are read by an encoder, and completions written by a decoder.
    pub(super) fn has_encoder(&self) -> bool {
        match self {
            Self::Weights { checkpoint, .. } => matches!(checkpoint.model(), Model::T5(_)),
            Self::New { config, .. } => t5::Config::is_of(config),
        }
    }

    /// What stands around prompt and completion; none where texts are learnt whole.
    pub(super) fn frame(&self, name: &str) -> Result<Option<Frame>> {
        if self.has_encoder() && matches!(name, "text" | "chat") {
            return Err(Error::usage(format!("`--frame {name}` is for decoders, and the model is an encoder-decoder (t5)"))
                .because("its encoder reads the prompt and its decoder writes the completion: there is no one text of both")
                .with_hint("leave --frame out; of a conversation the last answer is then learnt"));
        }
        let template = || match self {
            Self::Weights { path, .. } if path.is_dir() => ChatTemplate::of_folder(path),
            _ => Ok(None),
        };
        Ok(Some(match name {
            "text" => return Ok(None),
            "plain" => Frame::Plain,
            "bonito" => Frame::BONITO,
            "instruct" => Frame::INSTRUCT,
            "auto" if self.has_encoder() => Frame::Plain,
            "auto" => template()?.map_or(Frame::Plain, Frame::Chat),
            "chat" => Frame::Chat(template()?.ok_or_else(|| {
                Error::input("the model has no chat template").with_hint("take `--frame plain` or `bonito`")
            })?),
            other => {
                return Err(Error::usage(format!("there is no frame `{other}`"))
                    .with_hint("there are auto, plain, bonito, instruct, chat and text"));
            }
        }))
    }

    /// What rows and model are, in a few digits.
    pub(super) fn inputs(&self, material: &Material) -> Result<String> {
        let base = match self {
            Self::Weights { checkpoint, .. } => checkpoint.fingerprint()?,
            Self::New { config, .. } => config.to_string(),
        };
        let mut texts = blake3::Hasher::new();
        for part in material.examples.iter().flat_map(|example| &example.parts) {
            texts.update(&(part.text.len() as u64).to_le_bytes()).update(part.text.as_bytes());
        }
        Ok(format!("{} {}", instil::rng::hex_of(&[&base], 16), &texts.finalize().to_hex()[..16]))
    }

    /// The tokenizer; for a new model also its configuration, settled.
    pub(super) fn tokenizer(
        &self,
        step: &Train,
        material: &Material,
        work: &Path,
    ) -> Result<(Tokenizer, Option<Value>)> {
        let Self::New { path, config } = self else {
            let Self::Weights { checkpoint, .. } = self else { unreachable!("there are two") };
            return Ok((checkpoint.tokenizer()?, None));
        };
        let folder = work.join("tokenizer");
        fs::create_dir_all(&folder)
            .map_err(|e| Error::output(format!("failed to write `{}`", folder.display())).because(e))?;
        match &step.tokenizer {
            Some(file) => {
                let file = Path::new(file);
                let beside = file.with_file_name("tokenizer_config.json");
                for (from, name) in [(file, "tokenizer.json"), (&beside, "tokenizer_config.json")] {
                    if from.exists() {
                        fs::copy(from, folder.join(name)).map_err(|e| {
                            Error::input(format!("failed to read `{}`", from.display())).because(e)
                        })?;
                    }
                }
            }
            None => {
                let size = config.get("vocab_size").and_then(Value::as_u64).ok_or_else(|| {
                    Error::input(format!("`{}` has no `vocab_size`", path.display()))
                        .with_hint("it says how many tokens the new tokenizer gets")
                })?;
                let parts = material.examples.iter().flat_map(|example| &example.parts);
                new::learn(parts.map(|part| part.text.as_str()), size as usize, &folder)?;
            }
        }
        let tokenizer = Tokenizer::of_folder(&folder)?;
        let mut config = config.clone();
        let size = config.get("vocab_size").and_then(Value::as_u64).unwrap_or(0) as usize;
        if size < tokenizer.vocab_size() {
            return Err(Error::input(format!(
                "`{}` has a vocabulary of {size}, and the tokenizer of {}",
                path.display(),
                tokenizer.vocab_size()
            ))
            .with_hint("raise `vocab_size`"));
        }
        if let Some(config) = config.as_object_mut() {
            for (name, id) in [("bos_token_id", tokenizer.bos()), ("eos_token_id", tokenizer.end())] {
                config.insert(name.to_owned(), id.map_or(Value::Null, Value::from));
            }
            if t5::Config::is_of(&Value::Object(config.clone())) {
                // What transformers wants to be said; the decoder begins with it.
                let pad = config.get("pad_token_id").filter(|id| !id.is_null()).cloned().unwrap_or(0.into());
                config.entry("decoder_start_token_id").or_insert_with(|| pad.clone());
                config.insert("pad_token_id".to_owned(), pad);
            }
        }
        Ok((tokenizer, Some(config)))
    }

    pub(super) fn trainer(
        &self,
        step: &Train,
        config: Option<&Value>,
        examples: usize,
        folder: &TrainFolder,
    ) -> Result<Trainer> {
        let adapter = step.init_adapter.as_deref().map(|path| Adapter::read(Path::new(path))).transpose()?;
        let method = match (step.method.as_str(), &adapter) {
            ("full", None) => Method::Full,
            ("full", Some(_)) => {
                return Err(Error::usage("an adapter is trained on with `lora` or `qlora`")
                    .with_hint("`merge` makes one model of base and adapter, which `full` takes"));
            }
            ("lora" | "qlora", Some(adapter)) => Method::Lora(Lora::of(adapter)?),
            ("lora" | "qlora", None) => Method::Lora(Lora {
                r: step.r,
                lora_alpha: step.lora_alpha,
                lora_dropout: step.lora_dropout,
                use_rslora: step.use_rslora,
                target_modules: match step.target_modules.as_slice() {
                    [] => TargetModules::AllLinear,
                    names => TargetModules::Names(names.to_vec()),
                },
            }),
            (other, _) => {
                return Err(Error::usage(format!("there is no method `{other}`"))
                    .with_hint("there are full, lora and qlora"));
            }
        };
        let per_epoch = examples.div_ceil(step.batch_size.max(1)) as f64;
        let length = match step.steps {
            Some(steps) if (steps as f64) < step.epochs * per_epoch => Length::Steps(steps),
            _ => Length::Epochs(step.epochs),
        };
        let settings = Settings {
            method,
            length,
            batch: Batch::Examples(step.batch_size),
            pass_tokens: step.pass_tokens,
            group_by_length: step.group_by_length,
            learning_rate: step.learning_rate,
            schedule: match step.schedule.as_str() {
                "linear" => Schedule::Linear,
                "cosine" => Schedule::Cosine,
                "constant" => Schedule::Constant,
                other => {
                    return Err(Error::usage(format!("there is no schedule `{other}`"))
                        .with_hint("there are linear, cosine and constant"));
                }
            },
            warmup: Warmup::Ratio(step.warmup_ratio),
            adamw: AdamW {
                beta1: step.adam_beta1,
                beta2: step.adam_beta2,
                eps: step.adam_epsilon,
                weight_decay: step.weight_decay,
            },
            max_grad_norm: (step.max_grad_norm > 0.0).then_some(step.max_grad_norm),
            seed: step.seed,
            recompute: step.gradient_checkpointing,
            threads: step.threads,
            moments: step.moments_on_disk.then(|| folder.run().join("moments")),
        };
        let mut trainer = match (self, config) {
            (Self::Weights { checkpoint, .. }, _) => Trainer::load(checkpoint, settings)?,
            (Self::New { .. }, Some(config)) => Trainer::new(config, settings)?,
            (Self::New { .. }, None) => {
                unreachable!("a new model's configuration is settled with its tokenizer")
            }
        };
        if let Some(adapter) = &adapter {
            trainer.set_adapter(adapter)?;
        }
        Ok(trainer)
    }

    pub(super) fn save(&self, trainer: &Trainer, step: &Train, work: &Path, to: &Path) -> Result<()> {
        if let Some(mut adapter) = trainer.adapter() {
            adapter.base_model_name_or_path = Some(step.model.clone());
            return adapter.write(to);
        }
        match self {
            Self::Weights { checkpoint, .. } => trainer.save_model(to, Some(checkpoint)),
            Self::New { .. } => {
                trainer.save_model(to, None)?;
                for name in ["tokenizer.json", "tokenizer_config.json"] {
                    let from = work.join("tokenizer").join(name);
                    if from.exists() {
                        fs::copy(&from, to.join(name))
                            .map_err(|e| Error::output(format!("failed to write `{name}`")).because(e))?;
                    }
                }
                Ok(())
            }
        }
    }
}
