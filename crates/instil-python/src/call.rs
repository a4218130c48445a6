//! A verb on a thread of its own, while Python goes on to hear signals.

use std::ffi::OsString;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, unbounded};
use instil::Result;
use instil_cli::host::{self, Host, Tick};
use pyo3::exceptions::{PyKeyboardInterrupt, PyRuntimeError, PyValueError};
use pyo3::prelude::*;

use crate::error::exception;

/// Between two looks for signals.
const LOOK: Duration = Duration::from_millis(50);
/// As the main thread of the program has; parsers of scripts and templates are recursive.
const STACK_BYTES: usize = 8 << 20;

/// What a running verb says.
enum Message {
    Data(String),
    Talk(String),
    Progress(Tick),
    Done(Result<u8>),
}

struct Wire {
    send: Sender<Message>,
    stop: Arc<AtomicBool>,
}

impl Wire {
    fn say(&self, message: Message) {
        // Nobody listens any more after a second Ctrl-C.
        let _ = self.send.send(message);
    }
}

impl Host for Wire {
    fn data(&mut self, line: &str) {
        self.say(Message::Data(line.to_owned()));
    }

    fn talk(&mut self, line: &str) {
        self.say(Message::Talk(line.to_owned()));
    }

    fn progress(&mut self, tick: &Tick) {
        self.say(Message::Progress(tick.clone()));
    }

    fn is_interrupted(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// Runs a verb as the command line does, and gives its exit code and the lines that it would print to standard output.
///
/// `talk` is called with each line of talk; `progress` with a text and the share that is done, or none. Both are called on
/// this thread. What they raise ends the run and is raised, as Ctrl-C is.
#[pyfunction]
#[pyo3(signature = (args, talk, progress=None))]
pub(crate) fn call(
    py: Python<'_>,
    args: Vec<OsString>,
    talk: &Bound<'_, PyAny>,
    progress: Option<&Bound<'_, PyAny>>,
) -> PyResult<(u8, Vec<String>)> {
    let (send, receive) = unbounded();
    let stop = Arc::new(AtomicBool::new(false));
    let wire = Wire { send: send.clone(), stop: Arc::clone(&stop) };
    let verb = move || {
        let done = host::call(args, Box::new(wire));
        let _ = send.send(Message::Done(done));
    };
    let thread = thread::Builder::new().name("instil".to_owned()).stack_size(STACK_BYTES).spawn(verb)?;
    let mut data = Vec::new();
    // What ended the run from outside.
    let mut raised: Option<PyErr> = None;
    let done = loop {
        match py.detach(|| next(&receive)) {
            Ok(Message::Data(line)) => data.push(line),
            Ok(Message::Talk(line)) => keep(&mut raised, &stop, talk.call1((line,)).map(drop)),
            Ok(Message::Progress(tick)) => {
                if let Some(progress) = progress {
                    keep(&mut raised, &stop, progress.call1((tick.text, tick.share)).map(drop));
                }
            }
            Ok(Message::Done(done)) => break done,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                let panic = thread.join().err();
                let why = panic.as_ref().and_then(|panic| {
                    panic
                        .downcast_ref::<String>()
                        .map(String::as_str)
                        .or(panic.downcast_ref::<&str>().copied())
                });
                let what = format!("a bug in instil: {}", why.unwrap_or("its thread ended"));
                return Err(PyRuntimeError::new_err(what));
            }
        }
        if let Err(error) = py.check_signals() {
            if raised.is_some() {
                // The second Ctrl-C doesn't wait. What counts is in the journal.
                return Err(error);
            }
            keep(&mut raised, &stop, Err(error));
        }
    };
    if let Some(error) = raised {
        return Err(error);
    }
    match done {
        Ok(instil_cli::exit::INTERRUPTED) => Err(PyKeyboardInterrupt::new_err(())),
        Ok(code) => Ok((code, data)),
        Err(error) => Err(exception(py, &error)),
    }
}

fn next(receive: &Receiver<Message>) -> std::result::Result<Message, RecvTimeoutError> {
    receive.recv_timeout(LOOK)
}

/// Keeps the first that was raised, and ends the run.
fn keep(raised: &mut Option<PyErr>, stop: &AtomicBool, called: PyResult<()>) {
    if let Err(error) = called {
        stop.store(true, Ordering::Relaxed);
        raised.get_or_insert(error);
    }
}

/// Runs the program; `args` begins with its name. Gives its exit code.
#[pyfunction]
pub(crate) fn main(py: Python<'_>, args: Vec<OsString>) -> u8 {
    py.detach(|| instil_cli::code(args))
}

/// The flags of a verb: name, whether it is a switch, whether its value is a list in one argument.
#[pyfunction]
pub(crate) fn flags(verb: &str) -> PyResult<Vec<(String, bool, bool)>> {
    let flags =
        host::flags(verb).ok_or_else(|| PyValueError::new_err(format!("there is no verb `{verb}`")))?;
    Ok(flags.into_iter().map(|flag| (flag.name, flag.is_switch, flag.is_list)).collect())
}
