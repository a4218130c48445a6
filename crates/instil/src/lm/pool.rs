//! A session over a plain function, run on a few threads.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, unbounded};

use super::{Event, Next, Request, Session, TICK};
use crate::error::Result;

/// Batches of requests under way for each thread: enough that none waits, few enough that memory stays flat.
const BATCHES_PER_THREAD: usize = 16;

/// Runs a function from a batch of requests to their events on `threads` threads.
pub(crate) struct Pool {
    jobs: Option<Sender<Vec<Request>>>,
    done: Receiver<std::thread::Result<Vec<Event>>>,
    ready: VecDeque<Event>,
    batches_under_way: usize,
    room: usize,
}

impl Pool {
    /// Starts the threads; they end when the pool is dropped.
    pub(crate) fn start<F>(threads: NonZeroUsize, answer: F) -> Self
    where
        F: Fn(Vec<Request>) -> Vec<Event> + Send + Sync + 'static,
    {
        let room = threads.get() * BATCHES_PER_THREAD;
        // What bounds them is the caller, by `room`: a full channel would let caller and threads wait for
        // each other.
        let (jobs, todo) = unbounded::<Vec<Request>>();
        let (finished, done) = unbounded();
        let answer = Arc::new(answer);
        for _ in 0..threads.get() {
            let (todo, finished, answer) = (todo.clone(), finished.clone(), Arc::clone(&answer));
            std::thread::spawn(move || {
                for requests in todo {
                    // A panic is a bug; it is carried to the caller, who would else wait for ever.
                    let events = catch_unwind(AssertUnwindSafe(|| answer(requests)));
                    if finished.send(events).is_err() {
                        break;
                    }
                }
            });
        }
        Self { jobs: Some(jobs), done, ready: VecDeque::new(), batches_under_way: 0, room }
    }
}

impl Session for Pool {
    fn room(&self) -> usize {
        self.room.saturating_sub(self.batches_under_way)
    }

    fn submit(&mut self, requests: Vec<Request>) {
        if requests.is_empty() {
            return;
        }
        let jobs = self.jobs.as_ref().expect("the sender is there until the pool is dropped");
        jobs.send(requests).expect("the threads live as long as the pool");
        self.batches_under_way += 1;
    }

    fn next(&mut self) -> Result<Next> {
        while self.ready.is_empty() && self.batches_under_way > 0 {
            match self.done.recv_timeout(TICK) {
                Ok(events) => {
                    self.batches_under_way -= 1;
                    self.ready.extend(events.unwrap_or_else(|panic| resume_unwind(panic)));
                }
                Err(RecvTimeoutError::Timeout) => return Ok(Next::Waiting),
                Err(RecvTimeoutError::Disconnected) => unreachable!("the threads live as long as the pool"),
            }
        }
        Ok(self.ready.pop_front().into())
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        // Closing the channel ends the threads once each has finished its batch.
        self.jobs = None;
    }
}
