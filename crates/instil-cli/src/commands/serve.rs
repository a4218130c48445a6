//! `serve`: a model behind the OpenAI API.

use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use instil::lm::LanguageModel;
use instil::recipe::Generate;
use instil::{Error, Result};
use instil_remote::hub::Transfer;
use instil_server::{Config, Server, Stopper};
use serde_json::json;

use crate::args::ServeArgs;
use crate::progress::Progress;
use crate::settings::{self, Found, Local};
use crate::tables::plural;
use crate::{env, exit, output};

/// What Ctrl-C stops; before there is anything it ends the program.
static RUNNING: OnceLock<Stopper> = OnceLock::new();

pub(crate) fn run(args: ServeArgs) -> Result<u8> {
    let step = Generate {
        model: args.model.clone(),
        adapter: args.adapter.clone(),
        quantize: args.quantize.clone(),
        threads: args.threads.unwrap_or(0),
        ..Generate::default()
    };
    if step.model == "rules" {
        return Err(Error::usage("`rules` are programs and no language model, so they can't be served")
            .with_hint("name a folder with weights, a .gguf file, or an id of the Hub"));
    }
    // What can't be had is better known before minutes of loading.
    let config = config(&args);
    let name = config.name.clone();
    let server = Server::bind(config)?;
    catch_signals()?;
    let mut progress = Progress::start(args.quiet);
    let watch: &mut dyn FnMut(&Transfer) -> _ = &mut |transfer| progress.watch_transfer(transfer);
    let found = Local::of(&step, args.weights_cache, watch)?;
    progress.finish();
    let engine = match found {
        Found::Weights(local) => local.load()?,
        Found::Interrupted => return Ok(exit::INTERRUPTED),
        Found::Nothing => {
            settings::check_model(&step)?;
            return Err(Error::usage(format!("`{}` can't be served", step.model)));
        }
    };
    if !args.quiet {
        engine.notes().iter().for_each(|note| output::talk(note));
    }
    let window = engine.window();
    // It is set once a process.
    let _ = RUNNING.set(server.stopper());
    let base = format!("http://{}/v1", server.address());
    if args.json {
        output::data(&json!({"base_url": base, "model": name, "window": window}).to_string());
    }
    if !args.quiet {
        output::talk(&format!("`{name}` answers at {base}, a window of {window} tokens; Ctrl-C stops it"));
    }
    let ended = server.run(Arc::new(engine))?;
    if !args.quiet {
        output::talk(&match ended.broken_off {
            0 => "stopped".to_owned(),
            count => format!("stopped; {} took too long and were broken off", plural(count, "request")),
        });
    }
    Ok(exit::DONE)
}

fn config(args: &ServeArgs) -> Config {
    let default = Config::default();
    let seconds = |given: Option<u64>, default| given.map_or(default, Duration::from_secs);
    Config {
        host: args.host.clone().unwrap_or(default.host),
        port: args.port.unwrap_or(default.port),
        api_key: args.api_key.clone().filter(|key| !key.is_empty()).or_else(|| env::get(env::INSTIL_API_KEY)),
        name: args.name.clone().unwrap_or_else(|| name(&args.model)),
        max_queue: args.max_queue.unwrap_or(default.max_queue),
        max_body: args.max_body.unwrap_or(default.max_body),
        max_connections: args.max_connections.unwrap_or(default.max_connections),
        patience: seconds(args.timeout, default.patience),
        stop_within: seconds(args.stop_within, default.stop_within),
    }
}

/// A Hub id as it is; of a path its last part, since the others say something of this machine.
fn name(model: &str) -> String {
    let Ok(path) = Path::new(model).canonicalize() else { return model.to_owned() };
    let name = match path.is_dir() {
        true => path.file_name(),
        false => path.file_stem(),
    };
    name.map_or_else(|| model.to_owned(), |name| name.to_string_lossy().into_owned())
}

/// Makes Ctrl-C and SIGTERM stop the server in order the first time, and at once the second.
fn catch_signals() -> Result<()> {
    #[expect(clippy::exit, reason = "whoever asks twice doesn't want to wait for clients")]
    let handler = || match RUNNING.get() {
        Some(stopper) if !stopper.is_stopping() => stopper.stop(),
        _ => std::process::exit(exit::INTERRUPTED.into()),
    };
    match ctrlc::set_handler(handler) {
        Ok(()) | Err(ctrlc::Error::MultipleHandlers) => Ok(()),
        Err(e) => Err(Error::usage("failed to listen for Ctrl-C").because(e)),
    }
}
