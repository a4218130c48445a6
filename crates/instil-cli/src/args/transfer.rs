//! The flags of `unify` that have a model write definitions.

use std::path::PathBuf;

use clap::Args as ClapArgs;
use instil::recipe::Unify;

use super::ModelArgs;

#[derive(ClapArgs, Default)]
#[command(next_help_heading = "A model for definitions that rules can't write")]
pub(crate) struct TransferArgs {
    /// Have this model write definitions: a folder with weights, a .gguf file, an id of the Hub, what --endpoint calls it
    #[arg(short, long)]
    pub(crate) model: Option<String>,

    /// A low-rank adapter for a local model: a folder as Python's peft writes it, or an id of the Hub
    #[arg(long, value_name = "FOLDER")]
    pub(crate) adapter: Option<String>,

    /// The base URL of an OpenAI-compatible server, such as `http://localhost:8000/v1`
    #[arg(long, value_name = "URL")]
    pub(crate) endpoint: Option<String>,

    /// Answer from a file of recorded completions instead
    #[arg(long, value_name = "FILE", conflicts_with_all = ["model", "endpoint"])]
    pub(crate) replay: Option<PathBuf>,

    /// How a local model's weights lie in memory: auto, none, q8_0, q4_k, nf4 [default: auto]
    #[arg(long, value_name = "TYPE")]
    pub(crate) quantize: Option<String>,

    /// Calls to the endpoint at once [default: 32]
    #[arg(long, value_name = "N")]
    pub(crate) concurrency: Option<usize>,

    /// Seconds that one call may take [default: 600]
    #[arg(long, value_name = "S")]
    pub(crate) timeout: Option<u64>,

    /// Pairs of instructions in both styles that show how it is done: JSON lines
    #[arg(long, value_name = "FILE")]
    pub(crate) seeds: Option<PathBuf>,

    /// How many definitions each task has to choose from; 1 is written greedily [default: 32 where a model judges, else 4]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) candidates: Option<u32>,

    /// The model that chooses by how likely it finds the known answers [default: the one
    /// that writes, where it runs here]
    #[arg(long, value_name = "MODEL")]
    pub(crate) scorer: Option<String>,

    /// Choose as the authors' code does: nothing is checked, and every candidate has rows of its own
    #[arg(long)]
    pub(crate) reference: bool,

    /// Bring the one instruction in this text file to the style and print it; no rows are read
    #[arg(long, value_name = "FILE")]
    pub(crate) prompt_file: Option<PathBuf>,

    /// What a million tokens cost, in and out, such as 0.5,1.5
    #[arg(long, value_name = "IN,OUT")]
    pub(crate) prices: Option<String>,

    /// The most calls
    #[arg(long, value_name = "N")]
    pub(crate) cap_calls: Option<u64>,

    /// The most tokens in and out together
    #[arg(long, value_name = "N")]
    pub(crate) cap_tokens: Option<u64>,

    /// The most money, by --prices
    #[arg(long, value_name = "MONEY")]
    pub(crate) cap_money: Option<f64>,

    /// Make pairs of the prompt templates in --templates and the definitions in this file: two files in the folder -o
    #[arg(long, value_name = "FILE")]
    pub(crate) make_pairs: Option<PathBuf>,

    /// Print what the model, rules and copying are worth on the pairs in this file
    #[arg(long, value_name = "FILE")]
    pub(crate) judge: Option<PathBuf>,
}

impl TransferArgs {
    /// What a recipe's step says of it, which is taken out of the step: rows are made with the definitions alone.
    pub(crate) fn taken(step: &mut Unify) -> Self {
        Self {
            model: step.model.take(),
            adapter: step.adapter.take(),
            endpoint: step.endpoint.take(),
            replay: step.replay.take().map(PathBuf::from),
            quantize: step.quantize.take(),
            concurrency: step.concurrency.take(),
            timeout: step.timeout.take(),
            seeds: step.seeds.take().map(PathBuf::from),
            candidates: step.candidates.take(),
            scorer: step.scorer.take(),
            reference: step.reference.take().unwrap_or_default(),
            prompt_file: None,
            prices: step.prices.take(),
            cap_calls: step.cap_calls.take(),
            cap_tokens: step.cap_tokens.take(),
            cap_money: step.cap_money.take(),
            make_pairs: step.make_pairs.take().map(PathBuf::from),
            judge: None,
        }
    }

    /// Whether anybody is to write.
    pub(crate) fn has_model(&self) -> bool {
        self.model.is_some() || self.endpoint.is_some() || self.replay.is_some()
    }

    /// Whether somebody says how likely answers are: a server may not be able to.
    pub(crate) fn has_judge(&self) -> bool {
        self.scorer.is_some() || self.endpoint.is_none() && self.replay.is_none()
    }

    /// How many candidates a task gets.
    pub(crate) fn many(&self) -> u32 {
        self.candidates.unwrap_or(if self.has_judge() { 32 } else { 4 })
    }

    /// The model that writes, as the verbs that measure name theirs.
    pub(crate) fn writer(&self, threads: Option<usize>) -> ModelArgs {
        ModelArgs {
            model: self.model.clone(),
            adapter: self.adapter.clone(),
            endpoint: self.endpoint.clone(),
            quantize: self.quantize.clone(),
            weights_cache: None,
            threads,
            concurrency: self.concurrency,
            timeout: self.timeout,
        }
    }

    /// The model that judges, where it is another one.
    pub(crate) fn judge_model(&self, threads: Option<usize>) -> Option<ModelArgs> {
        let model = self.scorer.clone();
        model.map(|model| ModelArgs { model: Some(model), threads, ..ModelArgs::default() })
    }
}
