//! A wall around libraries that panic, or recurse without bound, on files that are broken.

use std::any::Any;
use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;
use std::thread;

/// Broken files nest their parts deeply; this is address space, used only as far as it is needed.
const STACK_BYTES: usize = 256 << 20;

thread_local! {
    static IS_QUIET: Cell<bool> = const { Cell::new(false) };
}

/// Runs `work` on this thread; a panic in it becomes its message.
///
/// The panic is not printed. For that a hook goes before the one that is there, once and for good,
/// which passes on the panics of all other work: taking a hook away again would race with threads
/// that panic meanwhile.
pub(super) fn catch<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !IS_QUIET.get() {
                before(info);
            }
        }));
    });
    let was_quiet = IS_QUIET.replace(true);
    let caught = panic::catch_unwind(AssertUnwindSafe(work));
    IS_QUIET.set(was_quiet);
    caught.map_err(|payload| message(&*payload))
}

/// As [`catch`], on a thread of its own with a deep stack.
pub(super) fn run<T: Send>(work: impl FnOnce() -> T + Send) -> Result<T, String> {
    thread::scope(|scope| {
        let thread = thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, || catch(work));
        match thread {
            Ok(thread) => thread.join().expect("panics are caught inside it"),
            Err(error) => Err(format!("can't start a thread: {error}")),
        }
    })
}

fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_else(|| "it panicked".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_its_message() {
        assert_eq!(run(|| 7), Ok(7));
        assert_eq!(run(|| -> u8 { panic!("no such page") }), Err("no such page".to_owned()));
        assert_eq!(catch(|| -> u8 { panic!("page {}", 1 + 1) }), Err("page 2".to_owned()));
        assert!(!IS_QUIET.get(), "other work on this thread is loud again");
    }
}
