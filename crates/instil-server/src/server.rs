//! The listening socket: who is let in, and how it all ends.

use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use instil::lm::tokens::{TokenModel, TokenSession};
use instil::{Error, Result};
use tokio::net::TcpListener as Listener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use crate::connection;
use crate::metrics::Metrics;

/// Threads that encode prompts: a long one takes a while, and the others' answers must not wait for it.
const ENCODERS: usize = 4;

/// How long to wait when no connection can be accepted, as when the process has too many files open.
const PAUSE: Duration = Duration::from_millis(100);

/// Where a server listens and what it puts up with.
#[derive(Clone, Debug)]
pub struct Config {
    /// The address to listen at.
    pub host: String,
    /// The port; 0 is any that is free.
    pub port: u16,
    /// What requests must bring as `Authorization: Bearer …`. An address that others can reach needs one.
    pub api_key: Option<String>,
    /// What the model is called.
    pub name: String,
    /// Samples that may wait besides those under way; a request beyond gets 429.
    pub max_queue: usize,
    /// The most bytes of a request's body.
    pub max_body: usize,
    /// The most connections at once.
    pub max_connections: usize,
    /// How long a client may take to send a request's head, and its body, and to take the next part of an answer; also
    /// how long a connection stays open without a request.
    pub patience: Duration,
    /// How long requests under way may go on once the server is to stop.
    pub stop_within: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            host: "127.0.0.1".to_owned(),
            port: 8000,
            api_key: None,
            name: "model".to_owned(),
            max_queue: 1024,
            max_body: 4 << 20,
            max_connections: 512,
            patience: Duration::from_secs(30),
            stop_within: Duration::from_secs(30),
        }
    }
}

/// A socket that listens, behind which a model will stand.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    config: Config,
    stopper: Stopper,
}

/// Ends a [`Server`] from elsewhere.
#[derive(Clone)]
pub struct Stopper(Arc<watch::Sender<bool>>);

impl Stopper {
    /// No new requests from now on; those under way may end.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }

    /// Whether that was said.
    pub fn is_stopping(&self) -> bool {
        *self.0.borrow()
    }
}

/// How a server has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Connections whose answers took longer than they might, and were broken off.
    pub broken_off: usize,
}

/// What every request needs.
pub(crate) struct Shared {
    pub(crate) model: Arc<dyn TokenModel>,
    pub(crate) session: Box<dyn TokenSession>,
    pub(crate) config: Config,
    pub(crate) key: Option<blake3::Hash>,
    pub(crate) metrics: Metrics,
    /// Samples that were let in and haven't ended.
    pub(crate) places: Arc<AtomicUsize>,
    pub(crate) stopping: AtomicBool,
    /// When it began, in seconds since 1970.
    pub(crate) created: u64,
    numbers: AtomicU64,
}

impl Shared {
    /// A number that no other request of this server has.
    pub(crate) fn number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    /// The most samples that are let in.
    pub(crate) fn most_places(&self) -> usize {
        self.model.sequences() + self.config.max_queue
    }
}

impl Server {
    /// Listens; requests are answered by [`Server::run`], for which they wait.
    ///
    /// # Errors
    /// When the address can't be had, or others can reach it and there is no key.
    pub fn bind(config: Config) -> Result<Self> {
        let place = format!("{}:{}", config.host, config.port);
        let addresses: Vec<SocketAddr> = (config.host.as_str(), config.port)
            .to_socket_addrs()
            .map_err(|e| Error::usage(format!("failed to resolve `{}`", config.host)).because(e))?
            .collect();
        if config.api_key.is_none() && !addresses.iter().all(|address| address.ip().is_loopback()) {
            return Err(Error::usage(format!("others can reach `{}`, and there is no API key", config.host))
                .with_hint("give one with --api-key or INSTIL_API_KEY, or listen at 127.0.0.1"));
        }
        let failed = |e| Error::usage(format!("failed to listen at {place}")).because(e);
        let listener = TcpListener::bind(addresses.as_slice())
            .map_err(failed)
            .map_err(|error| error.with_hint("another --port may be free; 0 takes any that is"))?;
        let address = listener.local_addr().map_err(failed)?;
        let stopper = Stopper(Arc::new(watch::Sender::new(false)));
        Ok(Self { listener, address, config, stopper })
    }

    /// Where it listens, with the port that was free.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What ends it.
    pub fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }

    /// Answers with this model until it is stopped.
    ///
    /// # Errors
    /// When the system gives no threads or timers.
    pub fn run(self, model: Arc<dyn TokenModel>) -> Result<Ended> {
        let created = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let shared = Arc::new(Shared {
            session: model.serve(),
            model,
            // Hashes are compared in constant time, whatever a key's length.
            key: self.config.api_key.as_ref().map(|key| blake3::hash(key.as_bytes())),
            config: self.config,
            metrics: Metrics::default(),
            places: Arc::default(),
            stopping: AtomicBool::new(false),
            created,
            numbers: AtomicU64::new(0),
        });
        let failed = |e| Error::output("failed to start the server").because(e);
        self.listener.set_nonblocking(true).map_err(failed)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(ENCODERS)
            .build()
            .map_err(failed)?;
        let ended = runtime.block_on(async {
            let listener = Listener::from_std(self.listener).map_err(failed)?;
            Ok(listen(&listener, &shared, &self.stopper).await)
        });
        // A prompt that is being encoded is waited for by nobody any more.
        runtime.shutdown_background();
        ended
    }
}

async fn listen(listener: &Listener, shared: &Arc<Shared>, stopper: &Stopper) -> Ended {
    let places = Arc::new(Semaphore::new(shared.config.max_connections));
    let mut connections = JoinSet::new();
    let mut stop = stopper.0.subscribe();
    let mut deadline: Option<Instant> = None;
    loop {
        let patience = async {
            match deadline {
                Some(deadline) => sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let place = Arc::clone(&places).try_acquire_owned().ok();
                    let (shared, stop) = (Arc::clone(shared), stopper.0.subscribe());
                    connections.spawn(async move {
                        match place {
                            Some(_place) => connection::serve(stream, shared, stop).await,
                            None => connection::turn_away(stream, &shared).await,
                        }
                    });
                }
                Err(_) => sleep(PAUSE).await,
            },
            Some(_) = connections.join_next() => {}
            // The sender lives as long as the stopper.
            Ok(_) = stop.wait_for(|stop| *stop), if deadline.is_none() => {
                shared.stopping.store(true, Ordering::Relaxed);
                deadline = Some(Instant::now() + shared.config.stop_within);
            }
            () = patience => return Ended { broken_off: connections.len() },
        }
        if deadline.is_some() && connections.is_empty() {
            return Ended { broken_off: 0 };
        }
    }
}
