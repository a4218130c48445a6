//! The flags of the verbs that measure: `score` and `eval`.

use std::path::PathBuf;

use clap::Args as ClapArgs;

/// Which model is measured, and how it is reached.
#[derive(ClapArgs, Default)]
#[command(next_help_heading = "The model")]
pub(crate) struct ModelArgs {
    /// A folder with weights, a .gguf file, an id of the Hub, or what --endpoint calls its model
    #[arg(short, long)]
    pub(crate) model: Option<String>,

    /// A low-rank adapter for a local model: a folder as Python's peft writes it, or an id of the Hub
    #[arg(long, value_name = "FOLDER")]
    pub(crate) adapter: Option<String>,

    /// The base URL of an OpenAI-compatible server, such as `http://localhost:8000/v1`
    #[arg(long, value_name = "URL")]
    pub(crate) endpoint: Option<String>,

    /// How a local model's weights lie in memory: auto, none, q8_0, q4_k, nf4 [default: auto]
    #[arg(long, value_name = "TYPE")]
    pub(crate) quantize: Option<String>,

    /// Keep a local model's quantised weights in this folder for the next time
    #[arg(long, value_name = "DIR")]
    pub(crate) weights_cache: Option<PathBuf>,

    /// Threads of what runs on this machine [default: one a processor]
    #[arg(long, value_name = "N")]
    pub(crate) threads: Option<usize>,

    /// Calls to the endpoint at once [default: 32]
    #[arg(long, value_name = "N")]
    pub(crate) concurrency: Option<usize>,

    /// Seconds that one call may take [default: 600]
    #[arg(long, value_name = "S")]
    pub(crate) timeout: Option<u64>,
}

#[derive(ClapArgs, Default)]
pub(crate) struct ScoreArgs {
    /// Files of rows with `prompt` and `completion` (.jsonl .json .csv .tsv .parquet), folders, globs, `-`
    #[arg(required = true)]
    pub(crate) input: Vec<String>,

    /// One file: .jsonl .jsonl.gz .jsonl.zst .json [default: JSON lines on standard output]
    #[arg(short, long, value_name = "PATH")]
    pub(crate) output: Option<String>,

    #[command(flatten)]
    pub(crate) model: ModelArgs,

    /// Also score the end of text after each completion
    #[arg(long)]
    pub(crate) eos: bool,

    /// Encode prompt and completion each on its own, as Bonito's rank classification does
    #[arg(long)]
    pub(crate) apart: bool,

    /// The most rows read
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<u64>,

    /// A journal shared with other runs
    #[arg(long, value_name = "FILE")]
    pub(crate) journal: Option<PathBuf>,

    /// Also write what was not scored to this file, as JSON lines
    #[arg(long, value_name = "FILE")]
    pub(crate) rejects: Option<PathBuf>,

    /// Exit with 1 if a larger share of the rows is not scored, such as 20%
    #[arg(long, value_name = "SHARE", value_parser = super::share)]
    pub(crate) max_drop: Option<f64>,

    /// Replace an output that is there
    #[arg(long)]
    pub(crate) overwrite: bool,

    /// Print the sums as JSON on stdout; the rows need --output then
    #[arg(long, requires = "output")]
    pub(crate) json: bool,

    /// Say nothing but errors
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

#[derive(ClapArgs, Default)]
pub(crate) struct EvalArgs {
    /// Benchmarks by name, a suite (bonito, gpt4all), or YAML files of your own, comma-separated
    #[arg(short, long, value_delimiter = ',', value_name = "NAMES", required_unless_present = "list")]
    pub(crate) benchmark: Vec<String>,

    /// Show the benchmarks that are built in, and stop
    #[arg(long)]
    pub(crate) list: bool,

    /// The benchmarks' rows: files, or folders to look in [default: the Hub's cache]
    #[arg(long, value_delimiter = ',', value_name = "PATHS")]
    pub(crate) data: Vec<String>,

    #[command(flatten)]
    pub(crate) model: ModelArgs,

    /// A recording, lines of {"prompt", "completion"}, that answers in the model's place
    #[arg(long, value_name = "FILE")]
    pub(crate) replay: Option<PathBuf>,

    /// What stands around each prompt: none, simple, tagged, inst, or a text with `{prompt}` [default: the benchmark's]
    #[arg(long, value_name = "FORM")]
    pub(crate) wrap: Option<String>,

    /// Encode prompt and choice together and score no end of text, which endpoints can't do otherwise
    #[arg(long)]
    pub(crate) together: bool,

    /// Have the model write its choice instead of asking how likely each is
    #[arg(long)]
    pub(crate) in_words: bool,

    /// Hold it to the choices' texts: what it writes is one of them
    #[arg(long, requires = "in_words", conflicts_with = "replay")]
    pub(crate) constrain: bool,

    /// The most rows of each benchmark, the first ones
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<u64>,

    /// What intervals and chance are drawn from [default: 0]
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    pub(crate) seed: u64,

    /// A folder for every item's scores, the report, and the journal: the same command continues there
    #[arg(short, long, value_name = "DIR")]
    pub(crate) output: Option<PathBuf>,

    /// A journal shared with other runs
    #[arg(long, value_name = "FILE")]
    pub(crate) journal: Option<PathBuf>,

    /// The folder of an evaluation of the base: what of the difference the benchmark's rules explain
    #[arg(long, value_name = "DIR")]
    pub(crate) before: Option<PathBuf>,

    /// Begin the folder anew where it holds another evaluation; its journal stays
    #[arg(long)]
    pub(crate) overwrite: bool,

    /// Show what would be asked, and stop; with --json every question, a line each
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Print the report as JSON on stdout
    #[arg(long)]
    pub(crate) json: bool,

    /// Say nothing but errors and the numbers
    #[arg(short, long)]
    pub(crate) quiet: bool,
}
