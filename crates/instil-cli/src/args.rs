//! The flags, as typed. Nothing here has a default: what is left out may come from a recipe.

mod compare;
mod cook;
mod measure;
mod mix;
mod train;
mod transfer;
mod unify;

use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};

pub(crate) use compare::CompareArgs;
pub(crate) use cook::{CookArgs, CookWhat};
pub(crate) use measure::{EvalArgs, ModelArgs, ScoreArgs};
pub(crate) use mix::{MixArgs, MixWhat};
pub(crate) use train::{TrainArgs, TrainHow, TrainWhat};
pub(crate) use transfer::TransferArgs;
pub(crate) use unify::{UnifyArgs, UnifyWhat};

/// Instruction-tuning data from your own text.
#[derive(Parser)]
#[command(name = "instil", version, propagate_version = true, max_term_width = 110)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Make task data from text.
    Generate(Box<GenerateArgs>),
    /// Put labelled rows into prompt templates.
    Apply(Box<ApplyArgs>),
    /// Turn labelled rows into the training pairs of a task generator.
    Remix(Box<RemixArgs>),
    /// Make task data by programs over random words: no text, no person, no model.
    Cook(Box<CookArgs>),
    /// Mix datasets in proportions, given or learned.
    Mix(Box<MixArgs>),
    /// Train a model, or an adapter beside it, on rows or texts.
    Train(Box<TrainArgs>),
    /// Bring a dataset of one shape into another one.
    Convert(Box<ConvertArgs>),
    /// Bring datasets to one instruction style, or one to several.
    Unify(Box<UnifyArgs>),
    /// Write what trainers have to be told of a dataset, beside it.
    Companion(CompanionArgs),
    /// How likely completions are, given their prompts.
    Score(Box<ScoreArgs>),
    /// Put an adapter into the weights of its base: a model of its own.
    Merge(MergeArgs),
    /// What a model makes of benchmarks.
    Eval(Box<EvalArgs>),
    /// Evaluations beside each other: what is better, and how sure that is.
    Compare(CompareArgs),
    /// Run a recipe: a whole run written down.
    Run(RunArgs),
    /// Look at a recipe, a template file or a dataset without spending anything.
    Check(CheckArgs),
    /// What came out of a run: kept and rejected, lengths, labels, duplicates, openings.
    Stats(StatsArgs),
    /// Where one example came from, from source bytes to final row.
    Trace(TraceArgs),
    /// What there is: task kinds, formats, templates, reject reasons, repairs.
    List(ListArgs),
    /// Bring a model or dataset of the Hugging Face Hub into the cache.
    Pull(PullArgs),
    /// Publish a dataset on the Hugging Face Hub.
    Push(PushArgs),
    /// Put a model behind the OpenAI API.
    Serve(ServeArgs),
    /// How fast a model runs on this machine, beside what the machine could do and what is installed.
    Bench(BenchArgs),
    /// Whether this machine, and an endpoint if one is named, is ready.
    Doctor(DoctorArgs),
}

#[derive(ClapArgs, Default)]
pub(crate) struct GenerateArgs {
    /// Files, folders, globs, or `-` for lines of text on standard input
    #[arg(required = true)]
    pub(crate) input: Vec<String>,

    /// A dataset folder; or one file: .jsonl .json .csv .parquet (.gz, .zst); `-` prints JSON lines
    #[arg(short, long, value_name = "PATH")]
    pub(crate) output: Option<String>,

    #[command(flatten)]
    pub(crate) what: What,

    #[command(flatten)]
    pub(crate) how: How,
}

/// What to make: these flags are a recipe's keys.
#[derive(ClapArgs, Default)]
#[command(next_help_heading = "What to make")]
pub(crate) struct What {
    /// Task kinds, comma-separated [default: exqa,ynqa,nli,summarization]
    #[arg(short, long, value_delimiter = ',', value_name = "KINDS")]
    pub(crate) task: Option<Vec<String>>,

    /// `rules`, a folder with weights or a .gguf file, an id of the Hub, or what --endpoint calls its model
    /// [default: rules]
    #[arg(short, long)]
    pub(crate) model: Option<String>,

    /// A low-rank adapter for a local model: a folder as Python's peft writes it, or an id of the Hub
    #[arg(long, value_name = "FOLDER")]
    pub(crate) adapter: Option<String>,

    /// The base URL of an OpenAI-compatible server, such as `http://localhost:8000/v1`
    #[arg(long, value_name = "URL")]
    pub(crate) endpoint: Option<String>,

    /// Which of the endpoint's calls to use
    #[arg(long, value_enum)]
    pub(crate) api: Option<ApiArg>,

    /// A recording, lines of {"prompt", "completion"}, that answers in the model's place
    #[arg(long, value_name = "FILE")]
    pub(crate) replay: Option<String>,

    /// How a passage is put to the model: `bonito` or `instruct` [default: bonito]
    #[arg(long, value_name = "STYLE")]
    pub(crate) prompt: Option<String>,

    /// Give exactly what the published Bonito library gives: its parse, no repairs, no checks
    #[arg(long)]
    pub(crate) reference: bool,

    /// Hold the model to what can be used: one `<|pipe|>`, labels of the kind's sets, extractive answers out of the text
    #[arg(long)]
    pub(crate) constrain: bool,

    /// The labels for topic_class and sentiment, comma-separated
    #[arg(long, value_delimiter = ',')]
    pub(crate) labels: Option<Vec<String>>,

    /// The column that holds the text [default: the first of text, content, context, …]
    #[arg(long, value_name = "NAME")]
    pub(crate) text_column: Option<String>,

    /// The column that holds the document's id [default: id, where there is one]
    #[arg(long, value_name = "NAME")]
    pub(crate) id_column: Option<String>,

    /// Only the document of this id
    #[arg(long, value_name = "ID")]
    pub(crate) document: Option<String>,

    /// The most characters of a passage [default: 2000]
    #[arg(long, value_name = "N")]
    pub(crate) chunk_chars: Option<usize>,

    /// The most tokens of a passage, by --tokenizer
    #[arg(long, value_name = "N")]
    pub(crate) chunk_tokens: Option<usize>,

    /// The model's tokenizer.json
    #[arg(long, value_name = "FILE")]
    pub(crate) tokenizer: Option<String>,

    /// The model's window in tokens: passages are cut so that prompt and completion fit it
    #[arg(long, value_name = "N")]
    pub(crate) window: Option<usize>,

    /// Samples of each prompt [default: 1]
    #[arg(short = 'n', long, value_name = "N")]
    pub(crate) samples: Option<u32>,

    /// 0 is greedy [default: 0.5]
    #[arg(long, value_name = "T")]
    pub(crate) temperature: Option<f64>,

    /// The share of probability that the nucleus keeps [default: 0.95]
    #[arg(long, value_name = "P")]
    pub(crate) top_p: Option<f64>,

    /// The most tokens of one completion [default: 256]
    #[arg(long, value_name = "N")]
    pub(crate) max_tokens: Option<u32>,

    /// How many of the likeliest tokens are candidates; 0 means all [default: 0]
    #[arg(long, value_name = "N")]
    pub(crate) top_k: Option<u32>,

    /// Candidates are at least this share of the likeliest one's probability [default: 0]
    #[arg(long, value_name = "P")]
    pub(crate) min_p: Option<f64>,

    /// Divides the logits of tokens that prompt or completion hold already [default: 1]
    #[arg(long, value_name = "X")]
    pub(crate) repetition_penalty: Option<f64>,

    /// Taken from the logits of tokens that the completion holds [default: 0]
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    pub(crate) presence_penalty: Option<f64>,

    /// The same, once for each time that it holds them [default: 0]
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    pub(crate) frequency_penalty: Option<f64>,

    /// A completion ends before this text; may be given again for others
    #[arg(long, value_name = "TEXT")]
    pub(crate) stop: Option<Vec<String>>,

    /// How a local model's weights lie in memory: auto, none, q8_0, q4_k, nf4 [default: auto]
    #[arg(long, value_name = "TYPE")]
    pub(crate) quantize: Option<String>,

    /// Every random choice comes from it [default: 0]
    #[arg(long, value_parser = clap::value_parser!(u64).range(..=i64::MAX as u64))]
    pub(crate) seed: Option<u64>,

    /// The most documents read
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<u64>,

    /// The shape of the rows: messages, prompt-completion, bonito, alpaca [default: messages]
    #[arg(short, long)]
    pub(crate) format: Option<String>,

    /// Rows of a shard [default: 500000]
    #[arg(long, value_name = "N")]
    pub(crate) shard_rows: Option<usize>,

    /// The licence for the dataset's card, such as cc-by-4.0
    #[arg(long, value_name = "ID")]
    pub(crate) license: Option<String>,
}

/// How to run: none of these changes a row.
#[derive(ClapArgs, Default)]
#[command(next_help_heading = "How to run")]
pub(crate) struct How {
    #[command(flatten)]
    pub(crate) of_all: HowOfAll,

    /// A journal shared with other runs
    #[arg(long, value_name = "FILE")]
    pub(crate) journal: Option<String>,

    /// Keep a local model's quantised weights in this folder for the next time
    #[arg(long, value_name = "DIR")]
    pub(crate) weights_cache: Option<PathBuf>,

    /// Write the output although calls failed for good; they are counted, and asked again the next time
    #[arg(long)]
    pub(crate) allow_errors: bool,

    /// Calls to the endpoint at once [default: 32]
    #[arg(long, value_name = "N")]
    pub(crate) concurrency: Option<usize>,

    /// Seconds that one call may take [default: 600]
    #[arg(long, value_name = "S")]
    pub(crate) timeout: Option<u64>,
}

/// How to run, whatever the verb.
#[derive(ClapArgs, Default)]
#[command(next_help_heading = "How to run")]
pub(crate) struct HowOfAll {
    /// Take over an output that another recipe made, and its journal
    #[arg(long, conflicts_with = "overwrite")]
    pub(crate) resume: bool,

    /// Begin an output anew: its run folder, journal and rows are removed
    #[arg(long)]
    pub(crate) overwrite: bool,

    /// Show files, settings and what would come first, and stop
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Exit with 1 if a larger share of the samples is dropped, such as 20%
    #[arg(long, value_name = "SHARE", value_parser = share)]
    pub(crate) max_drop: Option<f64>,

    /// Keep the run folder beside a single-file output
    #[arg(long)]
    pub(crate) keep_run: bool,

    /// Also write the rejects to this file, as JSON lines
    #[arg(long, value_name = "FILE")]
    pub(crate) rejects: Option<PathBuf>,

    /// Also write what these tools have to be told of the dataset, beside it: axolotl, llama-factory, trl, lm-eval
    #[arg(long, value_name = "TOOLS", value_delimiter = ',')]
    pub(crate) companion: Vec<String>,

    /// Threads of what runs on this machine [default: one a processor]
    #[arg(long, value_name = "N")]
    pub(crate) threads: Option<usize>,

    /// Print the report as JSON on stdout
    #[arg(long)]
    pub(crate) json: bool,

    /// Say nothing but errors
    #[arg(short, long, conflicts_with = "verbose")]
    pub(crate) quiet: bool,

    /// Say more: every file, every reject reason
    #[arg(short, long)]
    pub(crate) verbose: bool,
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum ApiArg {
    /// Completions for `bonito` prompts, chat for `instruct` ones
    Auto,
    /// POST /completions
    Completions,
    /// POST /chat/completions
    Chat,
}

#[derive(ClapArgs, Default)]
pub(crate) struct ApplyArgs {
    /// Files of rows (.jsonl .json .csv .tsv .parquet), folders, globs, `-`, or adapters (.toml)
    #[arg(required = true)]
    pub(crate) input: Vec<String>,

    #[command(flatten)]
    pub(crate) rows: RowsArgs,
}

#[derive(ClapArgs, Default)]
pub(crate) struct RemixArgs {
    /// Files of rows (.jsonl .json .csv .tsv .parquet), folders, globs, `-`, or adapters (.toml)
    #[arg(required_unless_present = "list")]
    pub(crate) input: Vec<String>,

    /// Show the templates turned inside out, and those that can't be, and stop
    #[arg(long, conflicts_with = "input")]
    pub(crate) list: bool,

    #[command(flatten)]
    pub(crate) rows: RowsArgs,
}

/// What `apply` and `remix` share.
#[derive(ClapArgs, Default)]
pub(crate) struct RowsArgs {
    /// A dataset folder; or one file: .jsonl .json .csv .parquet (.gz, .zst); `-` prints JSON lines
    #[arg(short, long, value_name = "PATH")]
    pub(crate) output: Option<String>,

    #[command(flatten)]
    pub(crate) what: RowsWhat,

    #[command(flatten)]
    pub(crate) how: HowOfAll,
}

/// What to make of rows: these flags are a recipe's keys.
#[derive(ClapArgs, Default)]
#[command(next_help_heading = "What to make")]
pub(crate) struct RowsWhat {
    /// Template files (.yaml), or folders of them: your own, or PromptSource's `templates`
    #[arg(long, value_delimiter = ',', value_name = "PATHS")]
    pub(crate) templates: Option<Vec<String>>,

    /// The dataset that the rows belong to, by the templates' key, such as `super_glue/boolq`
    #[arg(long, value_name = "KEY")]
    pub(crate) dataset: Option<String>,

    /// `one`, a random one for each row; `all`; or a template's name [default: one]
    #[arg(long, value_name = "NAME")]
    pub(crate) template: Option<String>,

    /// The folder that the paths of adapters begin from [default: the working directory]
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<String>,

    /// Exactly the published rules: fields cut at 2,048 characters, and for remix the 323 templates, their
    /// defects and the cap of 100,000 rows
    #[arg(long)]
    pub(crate) reference: bool,

    /// The most rows of each dataset, drawn without replacement
    #[arg(long, value_name = "N")]
    pub(crate) cap: Option<u64>,

    /// How often rows of a dataset are taken, such as `squad=2,ag_news=0.5` [default: 1 each]
    #[arg(long, value_delimiter = ',', value_name = "KEY=W", value_parser = weight)]
    pub(crate) weight: Option<Vec<(String, f64)>>,

    /// Write the rows in a random order
    #[arg(long)]
    pub(crate) shuffle: bool,

    /// Splits besides train and their shares, such as `validation=5%`; a passage is in one split only
    #[arg(long, value_name = "SPLITS")]
    pub(crate) split: Option<String>,

    /// Every random choice comes from it [default: 0]
    #[arg(long, value_parser = clap::value_parser!(u64).range(..=i64::MAX as u64))]
    pub(crate) seed: Option<u64>,

    /// The most rows read of each input
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<u64>,

    /// The shape of the rows: messages, prompt-completion, bonito, alpaca, ctga
    /// [default: messages; of remix prompt-completion]
    #[arg(short, long)]
    pub(crate) format: Option<String>,

    /// Rows of a shard [default: 500000]
    #[arg(long, value_name = "N")]
    pub(crate) shard_rows: Option<usize>,

    /// The licence for the dataset's card, such as cc-by-4.0
    #[arg(long, value_name = "ID")]
    pub(crate) license: Option<String>,
}

#[derive(ClapArgs, Default)]
pub(crate) struct ConvertArgs {
    /// Files of rows (.jsonl .json .csv .tsv .parquet), folders, globs, or `-`
    #[arg(required = true)]
    pub(crate) input: Vec<String>,

    /// One file: .jsonl .jsonl.gz .jsonl.zst .json, of texts alone also .csv .parquet; `-` prints JSON lines
    #[arg(short, long, value_name = "PATH")]
    pub(crate) output: Option<String>,

    #[command(flatten)]
    pub(crate) what: ConvertWhat,

    #[command(flatten)]
    pub(crate) how: HowOfAll,
}

/// What to convert: these flags are a recipe's keys.
#[derive(ClapArgs, Default)]
#[command(next_help_heading = "What to make")]
pub(crate) struct ConvertWhat {
    /// The shape that the rows get; `instil list shapes` shows them all
    #[arg(long, value_name = "SHAPE")]
    pub(crate) to: Option<String>,

    /// The shape that the rows have [default: found out, and shown with the reason]
    #[arg(long, value_name = "SHAPE")]
    pub(crate) from: Option<String>,

    /// Render conversations to texts by this chat template: a model's folder, or a file of Jinja
    #[arg(long, value_name = "PATH")]
    pub(crate) chat_template: Option<String>,

    /// Stop at the first part of a row that the new shape can't carry
    #[arg(long)]
    pub(crate) strict: bool,

    /// The most rows read
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<u64>,
}

#[derive(ClapArgs)]
pub(crate) struct CompanionArgs {
    /// A dataset folder, or a file of rows
    pub(crate) dataset: PathBuf,

    /// For which tools: axolotl, llama-factory, trl, lm-eval [default: all that can read it]
    #[arg(long, value_name = "TOOLS", value_delimiter = ',')]
    pub(crate) r#for: Vec<String>,

    /// The shape of its rows [default: found out]
    #[arg(long, value_name = "SHAPE")]
    pub(crate) from: Option<String>,

    /// Print the texts and write nothing
    #[arg(long)]
    pub(crate) print: bool,
}

#[derive(ClapArgs)]
pub(crate) struct MergeArgs {
    /// The base: a folder with weights, a .gguf file, or an id of the Hub
    #[arg(short, long)]
    pub(crate) model: String,

    /// The adapter: a folder as Python's peft writes it, or an id of the Hub
    #[arg(long, value_name = "FOLDER")]
    pub(crate) adapter: String,

    /// The merged model: a folder, or a .gguf file
    #[arg(short, long, value_name = "PATH")]
    pub(crate) output: PathBuf,

    /// How it is written [default: by the output's ending]
    #[arg(short, long, value_enum)]
    pub(crate) format: Option<ModelFormat>,

    /// The type of its matrices: f32, f16, bf16; of a GGUF file also q8_0, q4_k [default: as the base has them, f16 where
    /// it is quantised]
    #[arg(long, value_name = "TYPE")]
    pub(crate) dtype: Option<String>,

    /// Replace a model that is there already
    #[arg(long)]
    pub(crate) overwrite: bool,

    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,

    /// Say nothing but errors
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ModelFormat {
    /// A Hugging Face folder
    Safetensors,
    /// One file for llama.cpp
    Gguf,
}

#[derive(ClapArgs)]
pub(crate) struct RunArgs {
    /// A recipe, such as the `run/recipe.toml` of any run
    pub(crate) recipe: PathBuf,

    /// Another output, for a recipe of one step
    #[arg(short, long, value_name = "PATH")]
    pub(crate) output: Option<String>,

    #[command(flatten)]
    pub(crate) how: How,
}

#[derive(ClapArgs)]
pub(crate) struct CheckArgs {
    /// A recipe (.toml), templates (.yaml or a folder of them, .star), or a dataset (.jsonl .json .csv .tsv .parquet or a folder)
    pub(crate) file: PathBuf,

    /// The shape of a dataset's rows [default: found out]
    #[arg(long, value_name = "SHAPE")]
    pub(crate) from: Option<String>,

    /// Warn of rows of a dataset whose text is nearly that of a row before (some 700 bytes of memory a row)
    #[arg(long)]
    pub(crate) near: bool,

    /// Warn of rows of a dataset whose prompt is in this one too, such as the test set
    #[arg(long, value_name = "FILE")]
    pub(crate) against: Option<PathBuf>,

    /// Warn of rows of a dataset with more tokens, by --tokenizer
    #[arg(long, value_name = "N", requires = "tokenizer")]
    pub(crate) max_tokens: Option<usize>,

    /// A model's tokenizer.json
    #[arg(long, value_name = "FILE", requires = "max_tokens")]
    pub(crate) tokenizer: Option<PathBuf>,

    /// Exit with 1 where a dataset has warnings
    #[arg(long)]
    pub(crate) strict: bool,

    /// Print one JSON object a step, or a finding
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(ClapArgs)]
pub(crate) struct StatsArgs {
    /// A dataset folder or file that instil wrote
    pub(crate) dataset: PathBuf,

    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(ClapArgs)]
pub(crate) struct TraceArgs {
    /// An example's id, or the first digits of it
    pub(crate) id: String,

    /// The dataset folder that holds it
    #[arg(default_value = "out")]
    pub(crate) dataset: PathBuf,

    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(ClapArgs)]
pub(crate) struct ListArgs {
    /// What to list
    #[arg(value_enum)]
    pub(crate) what: Listed,

    /// Template files, folders of them, or scripts (.star), to list the templates of
    #[arg(long, value_delimiter = ',', value_name = "PATHS")]
    pub(crate) templates: Vec<String>,

    /// Only the templates of this dataset
    #[arg(long, value_name = "KEY", requires = "templates")]
    pub(crate) dataset: Option<String>,

    /// Print one JSON object a line
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Listed {
    /// The kinds of task, and which of them `rules` can make
    Tasks,
    /// The shapes of rows
    Formats,
    /// The shapes that datasets come in
    Shapes,
    /// The templates that `cook` has, or those of --templates
    Templates,
    /// Why a record, prompt or completion isn't used
    Rejects,
    /// What is mended in a completion
    Repairs,
}

#[derive(ClapArgs)]
pub(crate) struct PullArgs {
    /// `owner/name` on the Hub, with `@` and a branch, tag or commit where that isn't `main`
    pub(crate) id: String,

    /// It is a dataset, not a model
    #[arg(long)]
    pub(crate) dataset: bool,

    /// Only files of these names, comma-separated; `*` stands for anything [default: of a model what it needs to
    /// run, of a dataset all]
    #[arg(long, value_delimiter = ',', value_name = "GLOB")]
    pub(crate) file: Vec<String>,

    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,

    /// Say nothing but errors
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

#[derive(ClapArgs)]
pub(crate) struct PushArgs {
    /// A dataset folder that instil wrote, or one file; of a folder the card, the rows and their provenance are sent, not
    /// `run/`
    pub(crate) dataset: PathBuf,

    /// `owner/name` on the Hub, which is made if it isn't there, with `@` and a branch where that isn't `main`
    pub(crate) id: String,

    /// The dataset on the Hub is to be seen by its owner alone
    #[arg(long)]
    pub(crate) private: bool,

    /// The commit's message [default: the dataset's name]
    #[arg(short, long, value_name = "TEXT")]
    pub(crate) message: Option<String>,

    /// Show what would be sent, and stop; nobody is asked
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,

    /// Say nothing but errors
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

#[derive(ClapArgs)]
pub(crate) struct ServeArgs {
    /// A folder with weights, a .gguf file, or an id of the Hub
    #[arg(short, long)]
    pub(crate) model: String,

    /// A low-rank adapter for it: a folder as `train` and Python's peft write it, or an id of the Hub
    #[arg(long, value_name = "ADAPTER")]
    pub(crate) adapter: Option<String>,

    /// How the weights lie in memory: auto, none, q8_0, q4_k, nf4 [default: auto]
    #[arg(long, value_name = "TYPE")]
    pub(crate) quantize: Option<String>,

    /// Keep quantised weights in this folder for the next time
    #[arg(long, value_name = "DIR")]
    pub(crate) weights_cache: Option<PathBuf>,

    /// Threads of the model [default: one a processor]
    #[arg(long, value_name = "N")]
    pub(crate) threads: Option<usize>,

    /// What clients are told the model is called [default: the folder's, file's or Hub's name]
    #[arg(long)]
    pub(crate) name: Option<String>,

    /// The address to listen at; one that others can reach needs --api-key [default: 127.0.0.1]
    #[arg(long)]
    pub(crate) host: Option<String>,

    /// The port; 0 takes any that is free [default: 8000]
    #[arg(long)]
    pub(crate) port: Option<u16>,

    /// What requests must bring as `Authorization: Bearer KEY`; better given as INSTIL_API_KEY, which no list of
    /// processes shows
    #[arg(long, value_name = "KEY")]
    pub(crate) api_key: Option<String>,

    /// Completions that may wait besides those under way; more are told to come again (429) [default: 1024]
    #[arg(long, value_name = "N")]
    pub(crate) max_queue: Option<usize>,

    /// The most bytes of a request's body [default: 4194304]
    #[arg(long, value_name = "BYTES")]
    pub(crate) max_body: Option<usize>,

    /// The most connections at once [default: 512]
    #[arg(long, value_name = "N")]
    pub(crate) max_connections: Option<usize>,

    /// Seconds that a client may take to send a request, or to take the next part of its answer [default: 30]
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub(crate) timeout: Option<u64>,

    /// Seconds that requests under way may go on after Ctrl-C or SIGTERM [default: 30]
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u64).range(..=86_400))]
    pub(crate) stop_within: Option<u64>,

    /// Print one line of JSON on stdout once requests are answered: base_url, model, window
    #[arg(long)]
    pub(crate) json: bool,

    /// Say nothing but errors
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

#[derive(ClapArgs)]
pub(crate) struct BenchArgs {
    /// A folder with weights, a .gguf file, or an id of the Hub [default: a random Llama of 125M weights]
    #[arg(short, long)]
    pub(crate) model: Option<String>,

    /// How the weights lie in memory: auto, none, q8_0, q4_k, nf4 [default: auto]
    #[arg(long, value_name = "TYPE")]
    pub(crate) quantize: Option<String>,

    /// Threads, also of the peers [default: one a processor]
    #[arg(long, value_name = "N")]
    pub(crate) threads: Option<usize>,

    /// How often each job is measured; the best counts
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = rounds)]
    pub(crate) rounds: usize,

    /// Leave out llama.cpp (`llama-bench` on the PATH, or LLAMA_BENCH) and transformers
    #[arg(long)]
    pub(crate) no_peers: bool,

    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,

    /// Say nothing but errors and the numbers
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

#[derive(ClapArgs)]
pub(crate) struct DoctorArgs {
    /// Ask this endpoint which models it has
    #[arg(long, value_name = "URL")]
    pub(crate) endpoint: Option<String>,

    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// A share, as `0.2` or `20%`.
pub(crate) fn share(text: &str) -> Result<f64, String> {
    let (number, scale) = match text.strip_suffix('%') {
        Some(number) => (number, 100.0),
        None => (text, 1.0),
    };
    match number.trim().parse::<f64>() {
        Ok(value) if (0.0..=1.0).contains(&(value / scale)) => Ok(value / scale),
        _ => Err("it is a share such as `0.2` or `20%`".to_owned()),
    }
}

/// A number of rounds, one at least.
fn rounds(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(rounds @ 1..=100) => Ok(rounds),
        _ => Err("it is a number from 1 to 100".to_owned()),
    }
}

/// A dataset and its weight, as `squad=2`.
fn weight(text: &str) -> Result<(String, f64), String> {
    let parsed = text.rsplit_once('=').and_then(|(key, weight)| Some((key, weight.parse::<f64>().ok()?)));
    match parsed {
        Some((key, weight)) if !key.is_empty() => Ok((key.to_owned(), weight)),
        _ => Err("a weight is written `squad=2`".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flags_are_well_formed() {
        use clap::CommandFactory;
        Args::command().debug_assert();
    }

    #[test]
    fn shares_are_read_in_both_ways() {
        assert_eq!(share("20%"), Ok(0.2));
        assert_eq!(share("0.2"), Ok(0.2));
        assert!(share("20").is_err() && share("-1%").is_err() && share("x").is_err());
    }
}
