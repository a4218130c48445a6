//! The flags of `cook`.

use clap::Args as ClapArgs;

use super::HowOfAll;

#[derive(ClapArgs)]
pub(crate) struct CookArgs {
    /// Templates, each with how often it comes where that isn't once: `doc_qa=3 mcqa`
    #[arg(required_unless_present = "script")]
    pub(crate) template: Vec<String>,

    /// A dataset folder; or one file: .jsonl .jsonl.gz .jsonl.zst .parquet; `-` prints JSON lines
    #[arg(short, long, value_name = "PATH")]
    pub(crate) output: Option<String>,

    #[command(flatten)]
    pub(crate) what: CookWhat,

    #[command(flatten)]
    pub(crate) how: HowOfAll,
}

/// What to make: these flags are a recipe's keys.
#[derive(ClapArgs, Default)]
#[command(next_help_heading = "What to make")]
pub(crate) struct CookWhat {
    /// Rows of the split train [default: 1000]
    #[arg(short = 'n', long, value_name = "N", alias = "limit")]
    pub(crate) rows: Option<u64>,

    /// Rows of a split validation, none of whose prompts is in another split
    #[arg(long, value_name = "N")]
    pub(crate) validation_rows: Option<u64>,

    /// Rows of a split test, none of whose prompts is in another split
    #[arg(long, value_name = "N")]
    pub(crate) test_rows: Option<u64>,

    /// What a template is set to: a number, a range or a word, such as `doc_qa.doc_len=200..400`
    #[arg(long, value_name = "TEMPLATE.KNOB=VALUE", value_delimiter = ',', value_parser = setting)]
    pub(crate) set: Vec<(String, String)>,

    /// What it is set to at the last row: what lies between changes from row to row
    #[arg(long, value_name = "TEMPLATE.KNOB=VALUE", value_delimiter = ',', value_parser = setting)]
    pub(crate) until: Vec<(String, String)>,

    /// Files with templates of one's own; named among the templates, or else each of them once
    #[arg(long, value_name = "FILE", value_delimiter = ',')]
    pub(crate) script: Vec<String>,

    /// The words that are drawn: synthetic, wordlist, safe (a tokenizer's that stay themselves), all
    /// [default: safe with --tokenizer, wordlist with --words, else synthetic]
    #[arg(long, value_name = "POOL")]
    pub(crate) pool: Option<String>,

    /// How many words a synthetic pool has [default: 4096]
    #[arg(long, value_name = "N")]
    pub(crate) pool_words: Option<u32>,

    /// A file with a word on each line
    #[arg(long, value_name = "FILE")]
    pub(crate) words: Option<String>,

    /// The model's tokenizer.json, whose tokens are the words
    #[arg(long, value_name = "FILE")]
    pub(crate) tokenizer: Option<String>,

    /// How samples are worded: bare, instruct, harness, chat [default: chat for messages, else instruct]
    #[arg(long, value_name = "WORDING")]
    pub(crate) wording: Option<String>,

    /// prompt-completion, bonito, messages, text, ids (exact token ids and labels) [default: prompt-completion]
    #[arg(short, long)]
    pub(crate) format: Option<String>,

    /// Every random choice comes from it [default: 0]
    #[arg(long, value_parser = clap::value_parser!(u64).range(..=i64::MAX as u64))]
    pub(crate) seed: Option<u64>,

    /// Derive every answer anew from the text, by other code, and leave out what differs
    #[arg(long)]
    pub(crate) verify: bool,

    /// Print what could be guessed without the rule, from so many samples of each template, and stop
    #[arg(long, value_name = "N")]
    pub(crate) report: Option<u64>,

    /// Rows of a shard [default: 500000]
    #[arg(long, value_name = "N")]
    pub(crate) shard_rows: Option<usize>,
}

/// A setting, as `doc_qa.doc_len=200..400`.
fn setting(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if key.contains('.') => Ok((key.trim().to_owned(), value.trim().to_owned())),
        _ => Err("it should look like `doc_qa.doc_len=200..400`".to_owned()),
    }
}
