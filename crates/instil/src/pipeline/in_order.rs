//! Work on several threads whose results come in the order of the work.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;

use crossbeam_channel::{Sender, bounded};

use super::Ended;
use crate::error::{Error, Result};

/// So many pieces are in memory between reader and writer, more where there are many threads.
const PLACES: usize = 16;

/// The number that a worker gives instead of its piece's when it breaks down.
const PANICKED: u64 = u64::MAX;

/// Tells the writer that no piece will come, so that nobody waits for it.
struct Alarm<'a, D>(&'a Sender<(u64, Option<D>)>);

impl<D> Drop for Alarm<'_, D> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // Where nobody listens nobody waits.
            let _ = self.0.send((PANICKED, None));
        }
    }
}

/// Reads pieces on one thread until there is none, works on them on `threads`, each with a state of its own, and uses
/// the results here, in the order of the pieces. Gives whether all were used, and the states.
///
/// # Errors
/// The first one of reading or using.
pub(super) fn in_order<P: Send, D: Send, S: Send + Default>(
    threads: NonZeroUsize,
    mut read: impl FnMut() -> Result<Option<P>> + Send,
    work: impl Fn(&mut S, P) -> D + Sync,
    mut used: impl FnMut(D) -> Result<ControlFlow<()>>,
) -> Result<(Ended, Vec<S>)> {
    let (give, pieces) = bounded::<(u64, P)>(2 * threads.get());
    let (finished, results) = bounded::<(u64, Option<D>)>(4 * threads.get());
    let (enter, leave) = bounded::<()>(PLACES.max(4 * threads.get()));
    std::thread::scope(|scope| {
        // Both ends here end with this function, and with them the other threads.
        let (results, leave) = (results, leave);
        let workers: Vec<_> = (0..threads.get())
            .map(|_| {
                let (pieces, finished, work) = (pieces.clone(), finished.clone(), &work);
                scope.spawn(move || {
                    let _alarm = Alarm(&finished);
                    let mut state = S::default();
                    for (number, piece) in pieces {
                        let done = work(&mut state, piece);
                        // Nobody listens any more when the run was broken off.
                        if finished.send((number, Some(done))).is_err() {
                            break;
                        }
                    }
                    state
                })
            })
            .collect();
        drop((pieces, finished));
        let reader = scope.spawn(move || -> Result<()> {
            for number in 0.. {
                let Some(piece) = read()? else { break };
                if enter.send(()).is_err() || give.send((number, piece)).is_err() {
                    break;
                }
            }
            Ok(())
        });
        let mut waiting: VecDeque<Option<D>> = VecDeque::new();
        // How many have been used: the number of the first one that waits.
        let mut left = 0;
        for (number, done) in &results {
            if number == PANICKED {
                // The scope passes the panic on when the other threads have ended.
                return Ok((Ended::Interrupted, Vec::new()));
            }
            let place = usize::try_from(number - left).expect("the pieces that wait are in memory");
            if waiting.len() <= place {
                waiting.resize_with(place + 1, || None);
            }
            waiting[place] = done;
            while let Some(Some(_)) = waiting.front() {
                let done = waiting.pop_front().flatten().expect("it was looked at above");
                left += 1;
                let goes_on = used(done)?;
                leave.recv().expect("every piece took its place");
                if goes_on.is_break() {
                    return Ok((Ended::Interrupted, Vec::new()));
                }
            }
        }
        let joined = |thread: std::thread::ScopedJoinHandle<'_, S>| {
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        reader.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        Ok::<_, Error>((Ended::Whole, workers.into_iter().map(joined).collect()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(threads: usize, count: u64, stop: u64) -> (Vec<u64>, Ended) {
        let mut jobs = 0..count;
        let mut taken = Vec::new();
        let ended = in_order(
            NonZeroUsize::new(threads).unwrap(),
            || Ok(jobs.next()),
            |(): &mut (), job| {
                // Later work is done sooner.
                std::thread::sleep(std::time::Duration::from_micros(20 * (7 - job % 7)));
                job * job
            },
            |result| {
                taken.push(result);
                Ok(if taken.len() as u64 == stop {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                })
            },
        );
        (taken, ended.unwrap().0)
    }

    #[test]
    fn results_come_in_the_order_of_the_work() {
        let squares: Vec<u64> = (0..100).map(|n| n * n).collect();
        for threads in [1, 2, 5] {
            assert_eq!(run(threads, 100, u64::MAX), (squares.clone(), Ended::Whole));
        }
        assert_eq!(run(2, 0, u64::MAX), (Vec::new(), Ended::Whole));
        assert_eq!(run(3, 100, 4), (squares[..4].to_vec(), Ended::Interrupted));
    }

    #[test]
    #[should_panic(expected = "a scoped thread panicked")]
    fn a_panic_is_passed_on() {
        let mut jobs = 0..9;
        let _ = in_order(
            NonZeroUsize::MIN,
            || Ok(jobs.next()),
            |(): &mut (), job| assert!(job < 3, "broke down"),
            |()| Ok(ControlFlow::Continue(())),
        );
    }
}
