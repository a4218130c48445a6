//! The flags of `train`.

use clap::Args as ClapArgs;

#[derive(ClapArgs)]
pub(crate) struct TrainArgs {
    /// Files of rows, dataset folders, globs; for `--frame text` whatever `generate` reads
    #[arg(required = true)]
    pub(crate) input: Vec<String>,

    /// A folder: the adapter or the model, and in `run/` what was done
    #[arg(short, long, value_name = "DIR")]
    pub(crate) output: Option<String>,

    /// bonito (the maker of tasks), adapt (a model to a domain), tapt (next words of a domain's text); flags go over it
    #[arg(long, value_name = "NAME")]
    pub(crate) preset: Option<String>,

    #[command(flatten)]
    pub(crate) what: TrainWhat,

    #[command(flatten)]
    pub(crate) how: TrainHow,
}

/// What to train: these flags are a recipe's keys.
#[derive(ClapArgs, Default)]
#[command(next_help_heading = "What to train")]
pub(crate) struct TrainWhat {
    /// The model: a folder with weights, a .gguf file, or an id of the Hub
    #[arg(short, long, value_name = "MODEL")]
    pub(crate) model: Option<String>,

    /// The config.json of a new model instead, whose weights are drawn at random
    #[arg(long, value_name = "FILE", conflicts_with = "model")]
    pub(crate) new_model: Option<String>,

    /// The tokenizer.json of a new model [default: one is learnt from the data]
    #[arg(long, value_name = "FILE", requires = "new_model")]
    pub(crate) tokenizer: Option<String>,

    /// An adapter to train on
    #[arg(long, value_name = "DIR")]
    pub(crate) init_adapter: Option<String>,

    /// full, lora or qlora [default: lora; full for a new model]
    #[arg(long)]
    pub(crate) method: Option<String>,

    /// How weights beside an adapter lie in memory: none, q8_0, q4_k, nf4 [default: none; nf4 with qlora]
    #[arg(long, value_name = "TYPE")]
    pub(crate) quantize: Option<String>,

    /// The adapter's rank [default: 16]
    #[arg(long, value_name = "N")]
    pub(crate) r: Option<usize>,

    /// What the adapter's product is multiplied with, over r [default: 32]
    #[arg(long, value_name = "X")]
    pub(crate) lora_alpha: Option<f64>,

    /// The share of an adapter's inputs that is dropped [default: 0]
    #[arg(long, value_name = "SHARE")]
    pub(crate) lora_dropout: Option<f64>,

    /// Divide lora_alpha by the square root of r
    #[arg(long)]
    pub(crate) use_rslora: bool,

    /// The projections that get matrices, such as q_proj,v_proj [default: all but the output head]
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub(crate) target_modules: Vec<String>,

    /// What stands around prompt and completion: auto, plain, bonito, instruct, chat; text learns whole texts
    #[arg(long, value_name = "FRAME")]
    pub(crate) frame: Option<String>,

    /// The shape of the rows [default: found out]
    #[arg(long, value_name = "SHAPE")]
    pub(crate) from: Option<String>,

    /// The most rows read
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<u64>,

    /// The most tokens of an example; longer ones are left out, longer texts cut [default: 1024]
    #[arg(long, value_name = "N")]
    pub(crate) max_tokens: Option<usize>,

    /// The share of examples that is measured and not learnt, such as 5%
    #[arg(long, value_name = "SHARE", value_parser = super::share)]
    pub(crate) validation: Option<f64>,

    /// Steps between two measurements [default: at the end alone]
    #[arg(long, value_name = "N")]
    pub(crate) validate_every: Option<usize>,

    /// How often all examples are gone through [default: 1]
    #[arg(long, value_name = "N")]
    pub(crate) epochs: Option<f64>,

    /// The most steps
    #[arg(long, value_name = "N")]
    pub(crate) steps: Option<usize>,

    /// Examples of a step [default: 16]
    #[arg(long, value_name = "N")]
    pub(crate) batch_size: Option<usize>,

    /// The most tokens of one forward pass; gradients of a step's passes are added [default: 2048]
    #[arg(long, value_name = "N")]
    pub(crate) pass_tokens: Option<usize>,

    /// Put examples of like length into a step
    #[arg(long)]
    pub(crate) group_by_length: bool,

    /// The highest learning rate [default: 1e-4; 1e-3 for a new model]
    #[arg(long, value_name = "X")]
    pub(crate) learning_rate: Option<f64>,

    /// linear, cosine or constant [default: linear]
    #[arg(long, value_name = "NAME")]
    pub(crate) schedule: Option<String>,

    /// The share of steps in which the learning rate rises [default: 0]
    #[arg(long, value_name = "SHARE", value_parser = super::share)]
    pub(crate) warmup_ratio: Option<f64>,

    /// AdamW's weight decay [default: 0]
    #[arg(long, value_name = "X")]
    pub(crate) weight_decay: Option<f64>,

    /// The longest that gradients may be together; 0 is any [default: 1]
    #[arg(long, value_name = "X")]
    pub(crate) max_grad_norm: Option<f64>,

    /// Every random choice comes from it [default: 42]
    #[arg(long, value_parser = clap::value_parser!(u64).range(..=i64::MAX as u64))]
    pub(crate) seed: Option<u64>,
}

/// How to run: none of these change what comes out.
#[derive(ClapArgs, Default)]
#[command(next_help_heading = "How to run")]
pub(crate) struct TrainHow {
    /// Steps between two checkpoints, from which a killed training goes on [default: 500]
    #[arg(long, value_name = "N")]
    pub(crate) checkpoint_every: Option<usize>,

    /// Compute a block's intermediate values again on the way back instead of keeping them: slower, less memory
    #[arg(long)]
    pub(crate) gradient_checkpointing: bool,

    /// Keep the optimiser's moments in files that are mapped into memory
    #[arg(long)]
    pub(crate) moments_on_disk: bool,

    /// Begin anew: what a training has left in the output is removed
    #[arg(long)]
    pub(crate) overwrite: bool,

    /// Show the settings and the first examples as the model reads them, and stop
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Threads [default: one a processor]
    #[arg(long, value_name = "N")]
    pub(crate) threads: Option<usize>,

    /// Print the report as JSON on stdout
    #[arg(long)]
    pub(crate) json: bool,

    /// Say nothing but errors
    #[arg(short, long)]
    pub(crate) quiet: bool,
}
