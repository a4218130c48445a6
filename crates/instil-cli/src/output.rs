//! Everything that is printed: data to stdout, talk to stderr. The one module that may print.
//!
//! Colours are used on a terminal only, and `NO_COLOR` is obeyed: `anstream` sees to both.

use std::error::Error as _;
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};

use instil::Error;

use crate::host;

static FAILED: AtomicBool = AtomicBool::new(false);

/// A line of data. A reader that has gone away is a success: nobody reads the rest. Anything else, such as
/// a full disk, is remembered for [`data_failed`].
pub(crate) fn data(line: &str) {
    if host::with(|host| host.data(line)).is_some() {
        return;
    }
    if let Err(e) = writeln!(anstream::stdout(), "{line}")
        && e.kind() != std::io::ErrorKind::BrokenPipe
        && !FAILED.swap(true, Ordering::Relaxed)
    {
        error(&Error::output("failed to print to standard output").because(e));
    }
}

/// Whether a line of data could not be printed.
pub(crate) fn data_failed() -> bool {
    FAILED.load(Ordering::Relaxed)
}

/// A line of talk.
pub(crate) fn talk(line: &str) {
    if host::with(|host| host.talk(line)).is_none() {
        anstream::eprintln!("{line}");
    }
}

/// An error: what failed, each cause on a line, then the way out.
pub(crate) fn error(error: &Error) {
    let (red, cyan, plain) = ("\u{1b}[1;31m", "\u{1b}[1;36m", "\u{1b}[0m");
    anstream::eprintln!("{red}error{plain}: {error}");
    let mut cause = error.source();
    while let Some(e) = cause {
        let text = e.to_string();
        anstream::eprintln!("  Caused by: {}", text.trim_end().replace('\n', "\n    "));
        cause = e.source();
    }
    if let Some(hint) = error.hint() {
        anstream::eprintln!("\n{cyan}hint{plain}: {hint}");
    }
}
