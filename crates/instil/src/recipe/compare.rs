//! The settings of `compare`.

use serde::{Deserialize, Serialize};

use super::Verb;

/// The settings of `compare`, with the defaults of the program.
///
/// Relative paths are meant from the working directory, as they are on the command line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Compare {
    /// The verb: [`Verb::Compare`].
    pub verb: Verb,
    /// What is compared: `NAME=FOLDER` of a finished `eval`. Those of one name are runs of one arm under different seeds; a
    /// pattern stands for all folders that it fits.
    pub input: Vec<String>,
    /// A folder for table, drawing and numbers.
    pub output: String,
    /// The arm that the others are compared with; none means the first one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub against: Option<String>,
    /// The metric; none means each benchmark's first one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metric: Option<String>,
    /// What stands above table and drawing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// What intervals and tests are drawn from.
    pub seed: u64,
}

impl Default for Compare {
    fn default() -> Self {
        Self {
            verb: Verb::Compare,
            input: Vec::new(),
            output: String::new(),
            against: None,
            metric: None,
            title: None,
            seed: 0,
        }
    }
}
