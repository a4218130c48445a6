//! The flags of `compare`.

use clap::Args as ClapArgs;

#[derive(ClapArgs)]
pub(crate) struct CompareArgs {
    /// The arms: NAME=FOLDER of a finished `eval -o FOLDER`; the same name again, or a pattern, for runs under other seeds
    #[arg(required = true, value_name = "NAME=FOLDER")]
    pub(crate) input: Vec<String>,

    /// A folder for the page, the drawing and the numbers
    #[arg(short, long, value_name = "DIR")]
    pub(crate) output: Option<String>,

    /// The arm that the others are compared with [default: the first]
    #[arg(long, value_name = "NAME")]
    pub(crate) against: Option<String>,

    /// The metric that is compared [default: each benchmark's first]
    #[arg(long, value_name = "METRIC")]
    pub(crate) metric: Option<String>,

    /// What stands above the page
    #[arg(long, value_name = "TEXT")]
    pub(crate) title: Option<String>,

    /// What intervals and tests are drawn from [default: 0]
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    pub(crate) seed: u64,

    /// Replace what the folder holds
    #[arg(long)]
    pub(crate) overwrite: bool,

    /// Print the numbers as JSON on stdout
    #[arg(long)]
    pub(crate) json: bool,
}
