//! Work on several threads whose results come in the order of the work.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;

use crossbeam_channel::bounded;

use super::Ended;
use crate::error::Result;

/// Takes work from `next` until there is none, does it on threads, and hands results to `take` in the order in which the
/// work came. No more pieces are under way than four a thread, so that memory stays flat.
///
/// # Errors
/// Those of `next` and `take`. A panic of `work` is passed on.
pub(super) fn ordered<T: Send, U: Send>(
    threads: NonZeroUsize,
    mut next: impl FnMut() -> Result<Option<T>>,
    work: impl Fn(T) -> U + Sync,
    mut take: impl FnMut(U) -> Result<ControlFlow<()>>,
) -> Result<Ended> {
    let most = 4 * threads.get() as u64;
    let (jobs, todo) = bounded::<(u64, T)>(threads.get());
    let (finished, results) = bounded::<(u64, U)>(4 * threads.get());
    std::thread::scope(|scope| {
        // Their ends here end with this function, and with them the other threads.
        let (jobs, results) = (jobs, results);
        let handles: Vec<_> = (0..threads.get())
            .map(|_| {
                let (todo, finished, work) = (todo.clone(), finished.clone(), &work);
                scope.spawn(move || {
                    for (number, job) in todo {
                        if finished.send((number, work(job))).is_err() {
                            break;
                        }
                    }
                })
            })
            .collect();
        drop((todo, finished));
        let mut waiting: BTreeMap<u64, U> = BTreeMap::new();
        let (mut sent, mut taken, mut is_over) = (0, 0, false);
        loop {
            while !is_over && sent < taken + most && !jobs.is_full() {
                match next()? {
                    Some(job) => match jobs.send((sent, job)) {
                        Ok(()) => sent += 1,
                        Err(_) => is_over = true,
                    },
                    None => is_over = true,
                }
            }
            if is_over && taken == sent {
                return Ok(Ended::Whole);
            }
            let Ok((number, result)) = results.recv() else {
                // A worker broke down.
                for handle in handles {
                    handle.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
                }
                return Ok(Ended::Interrupted);
            };
            waiting.insert(number, result);
            while let Some(result) = waiting.remove(&taken) {
                taken += 1;
                if take(result)?.is_break() {
                    return Ok(Ended::Interrupted);
                }
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(threads: usize, count: u64, stop: u64) -> (Vec<u64>, Ended) {
        let mut jobs = 0..count;
        let mut taken = Vec::new();
        let ended = ordered(
            NonZeroUsize::new(threads).unwrap(),
            || Ok(jobs.next()),
            |job| {
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
        (taken, ended.unwrap())
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
    #[should_panic(expected = "broke down")]
    fn a_panic_is_passed_on() {
        let mut jobs = 0..9;
        let _ = ordered(
            NonZeroUsize::MIN,
            || Ok(jobs.next()),
            |job| assert!(job < 3, "broke down"),
            |()| Ok(ControlFlow::Continue(())),
        );
    }
}
