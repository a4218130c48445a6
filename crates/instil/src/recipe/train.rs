//! The settings of `train`.

use serde::{Deserialize, Serialize};

use super::Verb;
use crate::error::{Error, Result};

/// The settings of `train`, with the defaults of the program. Names are PEFT's and transformers'.
///
/// Relative paths are meant from the working directory, as they are on the command line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Train {
    /// The verb: [`Verb::Train`].
    pub verb: Verb,
    /// Files of rows, folders or globs; for `frame = "text"` whatever `generate` reads.
    pub input: Vec<String>,
    /// A folder: an adapter's or a model's, with what was done in `run/`.
    pub output: String,
    /// The shape of the rows; none means that each file's is found out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The most rows read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// The model that is trained: a folder, a `.gguf` file or an id of the Hub. Empty where a new one is made.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub model: String,
    /// The `config.json` of a new model, whose weights are drawn at random.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new_model: Option<String>,
    /// The `tokenizer.json` of a new model; none means that one is trained on the data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokenizer: Option<String>,
    /// An adapter that is trained on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub init_adapter: Option<String>,
    /// `full`, `lora` or `qlora`.
    pub method: String,
    /// How the weights beside an adapter are held; none means as they are stored, with `qlora` as `nf4`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quantize: Option<String>,
    /// The adapter's rank.
    pub r: usize,
    /// What the adapter's product is multiplied with, over `r`.
    pub lora_alpha: f64,
    /// The share of an adapter's inputs that is dropped.
    pub lora_dropout: f64,
    /// Whether `lora_alpha` is divided by the square root of `r` instead.
    pub use_rslora: bool,
    /// The projections that get matrices; none means all but the output head.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub target_modules: Vec<String>,
    /// What stands around prompt and completion: `plain`, `bonito`, `instruct`, `chat`; `text` learns whole texts.
    /// `auto` is `chat` where the model has a chat template, else `plain`.
    pub frame: String,
    /// The most tokens of an example; longer ones are left out, longer texts cut.
    pub max_tokens: usize,
    /// The share of examples that is not learnt, but measured.
    pub validation: f64,
    /// Steps between two measurements; none means at the end alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validate_every: Option<usize>,
    /// How often all examples are gone through.
    pub epochs: f64,
    /// The most steps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps: Option<usize>,
    /// Examples of a step.
    pub batch_size: usize,
    /// The most tokens of one forward pass; gradients of a step's passes are added.
    pub pass_tokens: usize,
    /// Whether steps have examples of like length.
    pub group_by_length: bool,
    /// The highest learning rate.
    pub learning_rate: f64,
    /// `linear`, `cosine` or `constant`.
    pub schedule: String,
    /// The share of steps in which the learning rate rises.
    pub warmup_ratio: f64,
    /// AdamW's.
    pub weight_decay: f64,
    /// AdamW's.
    pub adam_beta1: f64,
    /// AdamW's.
    pub adam_beta2: f64,
    /// AdamW's.
    pub adam_epsilon: f64,
    /// The longest that gradients may be together; 0 means any.
    pub max_grad_norm: f64,
    /// Decides every random choice.
    pub seed: u64,
    /// Steps between two checkpoints.
    pub checkpoint_every: usize,
    /// How many checkpoints are kept while it runs.
    pub keep_checkpoints: usize,
    /// Whether a block's intermediate values are computed again on the way back instead of kept.
    pub gradient_checkpointing: bool,
    /// Whether the optimiser's moments lie in files that are mapped into memory.
    pub moments_on_disk: bool,
    /// Threads; 0 means one a processor.
    pub threads: usize,
}

impl Default for Train {
    fn default() -> Self {
        Self {
            verb: Verb::Train,
            input: Vec::new(),
            output: String::new(),
            from: None,
            limit: None,
            model: String::new(),
            new_model: None,
            tokenizer: None,
            init_adapter: None,
            method: "lora".to_owned(),
            quantize: None,
            r: 16,
            lora_alpha: 32.0,
            lora_dropout: 0.0,
            use_rslora: false,
            target_modules: Vec::new(),
            frame: "auto".to_owned(),
            max_tokens: 1024,
            validation: 0.0,
            validate_every: None,
            epochs: 1.0,
            steps: None,
            batch_size: 16,
            pass_tokens: 2048,
            group_by_length: false,
            learning_rate: 1e-4,
            schedule: "linear".to_owned(),
            warmup_ratio: 0.0,
            weight_decay: 0.0,
            adam_beta1: 0.9,
            adam_beta2: 0.999,
            adam_epsilon: 1e-8,
            max_grad_norm: 1.0,
            seed: 42,
            checkpoint_every: 500,
            keep_checkpoints: 1,
            gradient_checkpointing: false,
            moments_on_disk: false,
            threads: 0,
        }
    }
}

impl Train {
    /// The presets, by name, with what each is.
    pub const PRESETS: [(&'static str, &'static str); 3] = [
        ("bonito", "the model that makes tasks: QLoRA over CTGA-style pairs (spec/bonito.md 3)"),
        ("adapt", "a model to a domain: QLoRA over generated tasks (spec/bonito.md 4)"),
        ("tapt", "the paper's baseline: next words of the domain's own text (spec/bonito.md 4.5)"),
    ];

    /// The settings of a preset.
    ///
    /// All three are the authors' QLoRA settings: r 64, AdamW at 1e-4 falling evenly to 0, no weight decay, gradients cut
    /// at 0.3, batches of 16, examples of like length together. `bonito` has the `lora_alpha` of the released model's
    /// card, 4; the code's default is 16, which the others have.
    ///
    /// # Errors
    /// When there is no preset of this name.
    pub fn preset(name: &str) -> Result<Self> {
        let authors = Self {
            method: "qlora".to_owned(),
            r: 64,
            lora_alpha: 16.0,
            batch_size: 16,
            group_by_length: true,
            max_grad_norm: 0.3,
            ..Self::default()
        };
        match name {
            "bonito" => Ok(Self {
                lora_alpha: 4.0,
                frame: "plain".to_owned(),
                max_tokens: 4096,
                steps: Some(100_000),
                checkpoint_every: 10_000,
                ..authors
            }),
            "adapt" => {
                Ok(Self { frame: "bonito".to_owned(), max_tokens: 2048, steps: Some(10_000), ..authors })
            }
            "tapt" => Ok(Self { frame: "text".to_owned(), max_tokens: 1024, steps: Some(10_000), ..authors }),
            other => {
                let names: Vec<&str> = Self::PRESETS.iter().map(|(name, _)| *name).collect();
                Err(Error::usage(format!("there is no preset `{other}`"))
                    .with_hint(format!("there are {}", names.join(", "))))
            }
        }
    }
}
