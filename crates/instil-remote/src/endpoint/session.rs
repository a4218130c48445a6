//! A session: requests handed to threads, events handed back.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, unbounded};
use instil::lm::{Event, Next, Request, Session, TICK};
use instil::{Error, Result};

use super::call::Stop;
use super::client::Client;
use super::wait::Cancel;

/// What a thread has to say.
enum Told {
    /// Samples of a request ended.
    Events(Vec<Event>),
    /// All samples of a request have ended.
    Finished,
    /// The run ends.
    Fatal(Error),
}

/// A session with an endpoint.
///
/// When it is dropped its threads take no new request and wait for no new attempt. A call that is
/// under way ends by itself, at the latest after its timeout; nobody waits for it.
pub(super) struct Talk {
    jobs: Sender<Request>,
    told: Receiver<Told>,
    cancel: Arc<Cancel>,
    ready: VecDeque<Event>,
    under_way: usize,
    /// Requests that may be under way: two for each thread, so that none waits for the caller.
    most: usize,
    over: bool,
}

impl Talk {
    /// Starts the threads.
    pub(super) fn start(client: Arc<Client>) -> io::Result<Self> {
        let threads = client.config.concurrency.get();
        // Not bounded: the caller keeps to `room`.
        let (jobs, todo) = unbounded::<Request>();
        let (tell, told) = unbounded();
        let cancel = Arc::new(Cancel::default());
        let talk = Self {
            jobs,
            told,
            cancel: Arc::clone(&cancel),
            ready: VecDeque::new(),
            under_way: 0,
            most: threads.saturating_mul(2),
            over: false,
        };
        for number in 0..threads {
            let (client, todo, tell, cancel) =
                (Arc::clone(&client), todo.clone(), tell.clone(), Arc::clone(&cancel));
            std::thread::Builder::new()
                .name(format!("endpoint-{number}"))
                .spawn(move || work(&client, &todo, tell, &cancel))?;
        }
        Ok(talk)
    }
}

/// Answers requests until there are no more or nobody wants them.
fn work(client: &Client, todo: &Receiver<Request>, tell: Sender<Told>, cancel: &Cancel) {
    let tell = Teller(tell);
    for request in todo {
        let answered = client.answer(&request, cancel, &mut |events| tell.say(Told::Events(events)));
        match answered {
            Ok(()) => tell.say(Told::Finished),
            Err(Stop::Cancelled) => break,
            Err(Stop::Fatal(error)) => {
                tell.say(Told::Fatal(error));
                break;
            }
        }
    }
}

/// A thread's voice, which also tells of the thread's panic: its request would be waited for without end.
struct Teller(Sender<Told>);

impl Teller {
    fn say(&self, told: Told) {
        // Where nobody listens the session is over, and `cancel` ends this thread.
        let _ = self.0.send(told);
    }
}

impl Drop for Teller {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.say(Told::Fatal(Error::model(
                "a thread that calls the endpoint panicked, which is a bug of instil",
            )));
        }
    }
}

impl Session for Talk {
    fn room(&self) -> usize {
        if self.over { 0 } else { self.most.saturating_sub(self.under_way) }
    }

    fn submit(&mut self, requests: Vec<Request>) {
        if self.over {
            return;
        }
        for request in requests {
            // Without a thread left that listens, one of them has told why, and `next` will.
            if self.jobs.send(request).is_ok() {
                self.under_way += 1;
            }
        }
    }

    fn next(&mut self) -> Result<Next> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Ok(Next::Event(event));
            }
            if self.over || (self.under_way == 0 && self.told.is_empty()) {
                return Ok(Next::Idle);
            }
            match self.told.recv_timeout(TICK) {
                Ok(Told::Events(events)) => self.ready.extend(events),
                Ok(Told::Finished) => self.under_way -= 1,
                Ok(Told::Fatal(error)) => {
                    self.over = true;
                    self.cancel.raise();
                    return Err(error);
                }
                Err(RecvTimeoutError::Timeout) => return Ok(Next::Waiting),
                Err(RecvTimeoutError::Disconnected) => {
                    self.over = true;
                    return Ok(Next::Idle);
                }
            }
        }
    }
}

impl Drop for Talk {
    fn drop(&mut self) {
        self.cancel.raise();
        // Closing the queue ends the threads that wait at it; what is still in it nobody begins.
        self.jobs = unbounded().0;
    }
}
