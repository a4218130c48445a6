//! `doctor`: whether this machine is ready.

use std::path::Path;

use instil::Result;
use instil_remote::{Config, Endpoint};
use serde_json::json;

use crate::args::DoctorArgs;
use crate::{env, exit, output};

/// One look at one thing.
struct Finding {
    what: &'static str,
    ok: bool,
    says: String,
}

pub(crate) fn run(args: DoctorArgs) -> Result<u8> {
    let mut findings = vec![
        Finding { what: "version", ok: true, says: env!("CARGO_PKG_VERSION").to_owned() },
        processors(),
        writable("working folder", Path::new(".")),
        writable("temporary folder", &std::env::temp_dir()),
    ];
    let endpoint = args.endpoint.or_else(|| env::get(env::OPENAI_BASE_URL));
    match endpoint {
        Some(url) => findings.push(endpoint_answers(&url)),
        None => findings.push(Finding {
            what: "endpoint",
            ok: true,
            says: "none named; `rules` needs none (--endpoint URL looks at one)".to_owned(),
        }),
    }
    let ready = findings.iter().all(|finding| finding.ok);
    if args.json {
        let object: serde_json::Map<_, _> = findings
            .iter()
            .map(|finding| (finding.what.to_owned(), json!({"ok": finding.ok, "says": finding.says})))
            .collect();
        output::data(&serde_json::Value::from(object).to_string());
    } else {
        for finding in &findings {
            output::data(&format!(
                "{} {:<17} {}",
                if finding.ok { "ok" } else { "NO" },
                finding.what,
                finding.says
            ));
        }
    }
    Ok(if ready { exit::DONE } else { exit::NOT_DONE })
}

fn processors() -> Finding {
    match std::thread::available_parallelism() {
        Ok(count) => Finding { what: "processors", ok: true, says: count.to_string() },
        Err(e) => Finding { what: "processors", ok: false, says: e.to_string() },
    }
}

/// Whether a file can be made there; it is removed again.
fn writable(what: &'static str, folder: &Path) -> Finding {
    let probe = folder.join(format!(".instil-doctor-{}", std::process::id()));
    let tried = std::fs::write(&probe, b"x").and_then(|()| std::fs::remove_file(&probe));
    match tried {
        Ok(()) => Finding { what, ok: true, says: "can be written".to_owned() },
        Err(e) => Finding { what, ok: false, says: e.to_string() },
    }
}

fn endpoint_answers(url: &str) -> Finding {
    let config = Config { api_key: env::get(env::OPENAI_API_KEY), ..Config::new(url) };
    match Endpoint::connect(config) {
        Ok(endpoint) => {
            Finding { what: "endpoint", ok: true, says: format!("{url} has model `{}`", endpoint.model()) }
        }
        Err(e) => {
            let hint = e.hint().map_or(String::new(), |hint| format!(" ({hint})"));
            Finding { what: "endpoint", ok: false, says: format!("{e}{hint}") }
        }
    }
}
