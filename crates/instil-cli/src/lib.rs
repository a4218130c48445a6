//! The `instil` program: flags, environment, colours and exit codes. It decides nothing about data.
//!
//! Arguments are typed (`args`), then settled (`settings`), then used (`commands`).

mod args;
mod commands;
mod env;
pub mod exit;
pub mod host;
mod output;
mod progress;
mod settings;
mod tables;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;
use instil::Result;

use args::{Args, Verb};

/// Runs the program with these arguments, the program's name first.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    ExitCode::from(code(args))
}

/// [`main`] for a program that gives the exit code to the system by itself.
pub fn code(args: impl IntoIterator<Item = OsString>) -> u8 {
    let args = match Args::try_parse_from(args) {
        Ok(args) => args,
        Err(error) => {
            // Help and version go to stdout and are a success; anything else is a usage error.
            let code = if error.use_stderr() { exit::NOT_DONE } else { exit::DONE };
            // A closed pipe while printing help is a success too.
            let _ = error.print();
            return code;
        }
    };
    let code = run(args).unwrap_or_else(|error| {
        output::error(&error);
        exit::NOT_DONE
    });
    if output::data_failed() { exit::NOT_DONE } else { code }
}

fn run(args: Args) -> Result<u8> {
    match args.verb {
        Verb::Generate(args) => commands::generate::run(*args),
        Verb::Apply(args) => commands::from_rows::apply(*args),
        Verb::Remix(args) => commands::from_rows::remix(*args),
        Verb::Cook(args) => commands::cook::run(*args),
        Verb::Compare(args) => commands::compare::run(args),
        Verb::Mix(args) => commands::mix::run(*args),
        Verb::Train(args) => commands::train::run(*args),
        Verb::Convert(args) => commands::convert::run(*args),
        Verb::Unify(args) => commands::unify::run(*args),
        Verb::Companion(args) => commands::companion::run(args),
        Verb::Score(args) => commands::score::run(*args),
        Verb::Merge(args) => commands::merge::run(args),
        Verb::Eval(args) => commands::eval::run(*args),
        Verb::Run(args) => commands::run::run(args),
        Verb::Check(args) => commands::check::run(args),
        Verb::Stats(args) => commands::stats::run(args),
        Verb::Trace(args) => commands::trace::run(args),
        Verb::List(args) => commands::list::run(args),
        Verb::Pull(args) => commands::pull::run(args),
        Verb::Push(args) => commands::push::run(args),
        Verb::Serve(args) => commands::serve::run(args),
        Verb::Bench(args) => commands::bench::run(args),
        Verb::Doctor(args) => commands::doctor::run(args),
    }
}
