//! The flags of `mix`.

use std::path::PathBuf;

use clap::Args as ClapArgs;

use super::HowOfAll;

#[derive(ClapArgs)]
pub(crate) struct MixArgs {
    /// The sources: files of rows, dataset folders or globs, each with a name if you like: `notes=a.jsonl forum/`
    #[arg(required_unless_present = "learn")]
    pub(crate) input: Vec<String>,

    /// A dataset folder; or one file: .jsonl .json .csv .parquet (.gz, .zst); `-` prints JSON lines
    #[arg(short, long, value_name = "PATH")]
    pub(crate) output: Option<String>,

    /// Learn the proportions: a file that names sources, a base model, a training and tasks
    #[arg(long, value_name = "FILE", conflicts_with_all = ["input", "rows", "tokens", "weights", "alpha"])]
    pub(crate) learn: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) what: MixWhat,

    #[command(flatten)]
    pub(crate) how: HowOfAll,
}

/// What to mix: these flags are a recipe's keys.
#[derive(ClapArgs, Default)]
#[command(next_help_heading = "What to mix")]
pub(crate) struct MixWhat {
    /// Rows of the mix [default: as many as there are in these proportions without one twice]
    #[arg(short = 'n', long, value_name = "N")]
    pub(crate) rows: Option<u64>,

    /// Tokens of the mix instead, by --tokenizer; proportions are of tokens then
    #[arg(long, value_name = "N")]
    pub(crate) tokens: Option<u64>,

    /// The tokenizer.json that counts them
    #[arg(long, value_name = "FILE")]
    pub(crate) tokenizer: Option<String>,

    /// How much there is of each source: numbers in their order, or `notes=2,forum=1` [default: all alike]
    #[arg(short, long, value_name = "WEIGHTS", value_delimiter = ',')]
    pub(crate) weights: Vec<String>,

    /// Proportions go by the sources' sizes to this power: 1 keeps them, 0 makes all alike
    #[arg(long, value_name = "X")]
    pub(crate) alpha: Option<f64>,

    /// Take rows of sources that are too small again and again
    #[arg(long)]
    pub(crate) repeat: bool,

    /// The shape of the sources' rows [default: found out]
    #[arg(long, value_name = "SHAPE")]
    pub(crate) from: Option<String>,

    /// The shape of the mix's rows [default: the sources' own, if they have the same]
    #[arg(short, long, value_name = "SHAPE", alias = "format")]
    pub(crate) to: Option<String>,

    /// Every random choice comes from it [default: 0]
    #[arg(long, value_parser = clap::value_parser!(u64).range(..=i64::MAX as u64))]
    pub(crate) seed: Option<u64>,

    /// Rows of a shard [default: 500000]
    #[arg(long, value_name = "N")]
    pub(crate) shard_rows: Option<usize>,

    /// The licence for the dataset's card, such as cc-by-4.0
    #[arg(long, value_name = "ID")]
    pub(crate) license: Option<String>,
}
