//! The flags of `unify`.

use clap::Args as ClapArgs;

use super::{HowOfAll, TransferArgs};

#[derive(ClapArgs, Default)]
pub(crate) struct UnifyArgs {
    /// Files of rows (.jsonl .json .csv .tsv .parquet), folders or globs
    #[arg(required_unless_present_any = ["prompt_file", "make_pairs", "judge"])]
    pub(crate) input: Vec<String>,

    /// One file: .jsonl .jsonl.gz .jsonl.zst .json, of texts alone also .csv .parquet; `-` prints JSON lines
    #[arg(short, long, value_name = "PATH")]
    pub(crate) output: Option<String>,

    #[command(flatten)]
    pub(crate) what: UnifyWhat,

    #[command(flatten)]
    pub(crate) transfer: TransferArgs,

    #[command(flatten)]
    pub(crate) how: HowOfAll,
}

/// What to make: these flags are a recipe's keys.
#[derive(ClapArgs, Default)]
#[command(next_help_heading = "What to make")]
pub(crate) struct UnifyWhat {
    /// Of what instructions are to consist: task (a definition that holds for all instances), instance (a short text around
    /// each), keyword (the names of fields) [default: that of the style, or else task]
    #[arg(long, value_name = "LEVEL")]
    pub(crate) level: Option<String>,

    /// How they are written: a file of styles (.toml), a dataset whose style is taken over, or one that is built in: super-ni,
    /// plain, input-output, headed, first, last, one-line, question-answer, crossfit, lines [default: task: columns
    /// `definition`, `inputs`, `targets`; instance: first; keyword: crossfit]
    #[arg(long, value_delimiter = ',', value_name = "STYLES")]
    pub(crate) style: Vec<String>,

    /// The other direction: each row gets one of several styles, drawn by their weights
    #[arg(long)]
    pub(crate) diversify: bool,

    /// The shape that the rows have [default: found out, and shown with the reason]
    #[arg(long, value_name = "SHAPE")]
    pub(crate) from: Option<String>,

    /// The shape that the rows get [default: super-ni-rows without a style, else prompt-completion]
    #[arg(long, value_name = "SHAPE")]
    pub(crate) to: Option<String>,

    /// The column that names a row's task [default: `task` or `task_name`, or else the file's name]
    #[arg(long, value_name = "COLUMN")]
    pub(crate) task_column: Option<String>,

    /// Template files (.yaml), or folders of them, that rows with `dataset` and `template` were rendered with
    #[arg(long, value_delimiter = ',', value_name = "PATHS")]
    pub(crate) templates: Vec<String>,

    /// Definitions of tasks that rules can't write, or instead of theirs: lines of JSON with `task` and `definition`
    #[arg(long, value_name = "FILE")]
    pub(crate) definitions: Option<String>,

    /// Write rows that rules can't bring to the style as they are, instead of leaving them out
    #[arg(long)]
    pub(crate) keep_rest: bool,

    /// Write what became of each task to this file: how it was read, its definition, the checks
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<String>,

    /// Every random choice comes from it [default: 0]
    #[arg(long, value_parser = clap::value_parser!(u64).range(..=i64::MAX as u64))]
    pub(crate) seed: Option<u64>,

    /// The most rows read
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<u64>,
}
