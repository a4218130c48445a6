//! The settings of `eval`.

use serde::{Deserialize, Serialize};

use super::Verb;

/// The settings of `eval`, with the defaults of the program.
///
/// Relative paths are meant from the working directory, as they are on the command line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Eval {
    /// The verb: [`Verb::Eval`].
    pub verb: Verb,
    /// Benchmarks by name, suites, or YAML files.
    pub benchmark: Vec<String>,
    /// A folder for every item's scores, the report and the journal.
    pub output: String,
    /// The benchmarks' rows: files, or a folder to look in.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub data: Vec<String>,
    /// The model: a folder, a `.gguf` file, an id of the Hub, or what the endpoint calls its model.
    pub model: String,
    /// A low-rank adapter for a local model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub adapter: Option<String>,
    /// The base URL of an OpenAI-compatible server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// How a local model's weights lie in memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quantize: Option<String>,
    /// What stands around each prompt; none means what the benchmark says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wrap: Option<String>,
    /// Whether prompt and choice are encoded together and no end of text is scored.
    pub together: bool,
    /// Whether the model writes its choice instead of being asked how likely each is.
    pub in_words: bool,
    /// Whether what it writes is held to the choices' texts.
    pub constrain: bool,
    /// The most rows of each benchmark.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// What intervals and chance are drawn from.
    pub seed: u64,
    /// The folder of an evaluation of the base, for what the benchmark's rules explain of the difference.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// A journal shared with other runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub journal: Option<String>,
    /// Threads of what runs on this machine; 0 means one a processor.
    pub threads: usize,
}

impl Default for Eval {
    fn default() -> Self {
        Self {
            verb: Verb::Eval,
            benchmark: Vec::new(),
            output: String::new(),
            data: Vec::new(),
            model: String::new(),
            adapter: None,
            endpoint: None,
            quantize: None,
            wrap: None,
            together: false,
            in_words: false,
            constrain: false,
            limit: None,
            seed: 0,
            before: None,
            journal: None,
            threads: 0,
        }
    }
}
