//! A session over a plain function, run on a few threads.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::{Event, Request, Session};
use crate::error::Result;

/// Batches of requests under way for each thread: enough that none waits, few enough that memory stays flat.
const BATCHES_PER_THREAD: usize = 16;

/// Runs a function from a batch of requests to their events on `threads` threads.
pub(crate) struct Pool {
    jobs: Option<Sender<Vec<Request>>>,
    done: Receiver<Vec<Event>>,
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
        let (jobs, todo) = bounded::<Vec<Request>>(room);
        let (finished, done) = bounded(room);
        let answer = Arc::new(answer);
        for _ in 0..threads.get() {
            let (todo, finished, answer) = (todo.clone(), finished.clone(), Arc::clone(&answer));
            std::thread::spawn(move || {
                for requests in todo {
                    if finished.send(answer(requests)).is_err() {
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
        self.room - self.batches_under_way
    }

    fn submit(&mut self, requests: Vec<Request>) {
        if requests.is_empty() {
            return;
        }
        let jobs = self.jobs.as_ref().expect("the sender is there until the pool is dropped");
        jobs.send(requests).expect("the threads live as long as the pool");
        self.batches_under_way += 1;
    }

    fn next(&mut self) -> Option<Result<Event>> {
        while self.ready.is_empty() && self.batches_under_way > 0 {
            let events = self.done.recv().expect("a thread of the pool panicked");
            self.batches_under_way -= 1;
            self.ready.extend(events);
        }
        self.ready.pop_front().map(Ok)
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        // Closing the channel ends the threads once each has finished its batch.
        self.jobs = None;
    }
}
