//! A verb that another program calls on one of its threads: what would be printed goes to that program, and it says when
//! to stop. Arguments, settings and verbs are the same as on the command line.

use std::cell::RefCell;
use std::ffi::OsString;

use clap::{ArgAction, CommandFactory, FromArgMatches};
use instil::{Error, Result};

use crate::args::Args;

/// What parts the values of a list in the arguments of [`call`]; unlike the comma it stands in no value.
pub const LIST: char = '\u{1f}';

/// How a run goes on.
#[derive(Clone, Debug, PartialEq)]
pub struct Tick {
    /// What the progress bar would say.
    pub text: String,
    /// How much of the work is done, from 0 to 1, where that is known.
    pub share: Option<f64>,
}

/// The program that calls a verb.
pub trait Host {
    /// A line that would be printed to standard output.
    fn data(&mut self, line: &str);
    /// A line that would be printed to standard error.
    fn talk(&mut self, line: &str);
    /// How it goes on; told ten times a second at the most.
    fn progress(&mut self, tick: &Tick);
    /// Whether the run is to end; asked all the time.
    fn is_interrupted(&self) -> bool;
}

thread_local! {
    static HOST: RefCell<Option<Box<dyn Host>>> = const { RefCell::new(None) };
}

/// Runs the verb of `args`, the program's name first, on this thread; gives its exit code.
///
/// Values of a list are parted by [`LIST`] where the program has commas. Signals are left alone: the host says when it is
/// interrupted, and then the code is [`INTERRUPTED`](crate::exit::INTERRUPTED).
///
/// # Errors
/// What the program would print as an error, and arguments that it doesn't take.
pub fn call(args: impl IntoIterator<Item = OsString>, host: Box<dyn Host>) -> Result<u8> {
    let command = Args::command().mut_subcommands(|verb| {
        verb.mut_args(|arg| match arg.get_value_delimiter() {
            Some(_) => arg.value_delimiter(LIST),
            None => arg,
        })
    });
    let args = command
        .try_get_matches_from(args)
        .and_then(|matches| Args::from_arg_matches(&matches))
        .map_err(|error| refused(&error))?;
    /// Takes the host away, however the verb ends.
    struct Guard(Option<Box<dyn Host>>);
    impl Drop for Guard {
        fn drop(&mut self) {
            HOST.set(self.0.take());
        }
    }
    let _guard = Guard(HOST.replace(Some(host)));
    crate::run(args)
}

/// What is wrong with arguments, in a line.
fn refused(error: &clap::Error) -> Error {
    let text = error.render().to_string();
    let (what, rest) = text.split_once("\n\n").unwrap_or((&text, ""));
    let what = what.strip_prefix("error: ").unwrap_or(what);
    let what: Vec<&str> = what.split_whitespace().collect();
    let told = Error::usage(what.join(" "));
    match rest.lines().find_map(|line| line.trim().strip_prefix("tip: ")) {
        Some(tip) => told.with_hint(tip.to_owned()),
        None => told,
    }
}

/// A flag of a verb.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flag {
    /// Its name, without the dashes before it.
    pub name: String,
    /// Whether it is there or not, and has no value.
    pub is_switch: bool,
    /// Whether its value is a list whose parts stand in one argument.
    pub is_list: bool,
}

/// The flags of a verb, in their order; none for a verb that doesn't exist.
pub fn flags(verb: &str) -> Option<Vec<Flag>> {
    let command = Args::command();
    let verb = command.find_subcommand(verb)?;
    let flags = verb.get_arguments().filter_map(|arg| {
        Some(Flag {
            name: arg.get_long()?.to_owned(),
            is_switch: matches!(arg.get_action(), ArgAction::SetTrue),
            is_list: arg.get_value_delimiter().is_some(),
        })
    });
    Some(flags.filter(|flag| !["help", "version"].contains(&flag.name.as_str())).collect())
}

/// What `tell` makes of this thread's host; none where there is none, and the program runs by itself.
pub(crate) fn with<T>(tell: impl FnOnce(&mut dyn Host) -> T) -> Option<T> {
    HOST.with_borrow_mut(|host| host.as_mut().map(|host| tell(host.as_mut())))
}

/// Whether a host called the verb that runs on this thread.
pub(crate) fn is_there() -> bool {
    HOST.with_borrow(Option::is_some)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::exit;

    struct Heard(mpsc::Sender<String>, bool);

    impl Host for Heard {
        fn data(&mut self, line: &str) {
            self.0.send(format!("data {line}")).unwrap();
        }

        fn talk(&mut self, line: &str) {
            self.0.send(format!("talk {line}")).unwrap();
        }

        fn progress(&mut self, tick: &Tick) {
            self.0.send(format!("progress {}", tick.text)).unwrap();
        }

        fn is_interrupted(&self) -> bool {
            self.1
        }
    }

    fn called(args: &[&str], interrupted: bool) -> (Result<u8>, Vec<String>) {
        let (send, receive) = mpsc::channel();
        let args = ["instil"].iter().chain(args).map(OsString::from);
        let code = call(args, Box::new(Heard(send, interrupted)));
        (code, receive.into_iter().collect())
    }

    #[test]
    fn what_would_be_printed_is_told() {
        let (code, heard) = called(&["list", "rejects", "--json"], false);
        assert_eq!(code.unwrap(), exit::DONE);
        assert!(heard.len() > 3 && heard.iter().all(|line| line.starts_with("data {")), "{heard:?}");
        assert!(!is_there(), "it is gone with the call");
    }

    #[test]
    fn a_run_ends_when_the_host_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let output = format!("--output={}", folder.path().join("out.jsonl").display());
        let args = ["cook", "mcqa", "--rows=100000000", &output];
        let (code, heard) = called(&args, true);
        assert_eq!(code.unwrap(), exit::INTERRUPTED);
        assert_eq!(heard, ["talk interrupted; nothing is written, and the same command begins again"]);
    }

    #[test]
    fn what_is_wrong_with_arguments_is_an_error() {
        let (code, _) = called(&["cook", "--rows=many"], false);
        let error = code.unwrap_err();
        insta::assert_snapshot!(error, @"invalid value 'many' for '--rows <N>': invalid digit found in string");
    }

    #[test]
    fn lists_have_commas_in_their_values() {
        let (code, _) = called(
            &["generate", "--labels=yes, of course\u{1f}no", "--output=x", "--", "nowhere.txt"],
            false,
        );
        assert_eq!(code.unwrap_err().to_string(), "labels are given, but no task kind that takes them");
    }

    #[test]
    fn flags_are_told() {
        let flags = flags("cook").unwrap();
        let of = |name: &str| flags.iter().find(|flag| flag.name == name).unwrap();
        assert!(of("verify").is_switch && of("set").is_list && !of("rows").is_switch);
        assert_eq!(super::flags("boil"), None);
    }
}
