//! The engine as a server uses it: [`TokenModel`].

use std::sync::Arc;

use instil::Result;
use instil::lm::tokens::{Load, Tell, TokenModel, TokenRequest, TokenSession, TokenText};
use serde_json::{Map, Value};

use super::session::Command;
use super::{Engine, Stream};

impl TokenModel for Engine {
    fn window(&self) -> usize {
        self.inner.limits.window
    }

    fn vocabulary(&self) -> usize {
        self.vocab()
    }

    fn sequences(&self) -> usize {
        self.inner.limits.sequences
    }

    fn encode(&self, text: &str) -> Result<Vec<u32>> {
        self.inner.encode(text)
    }

    fn pieces(&self, tokens: &[u32]) -> Vec<String> {
        let mut detokenizer = self.tokenizer().detokenizer();
        let mut pieces: Vec<String> =
            tokens.iter().map(|token| detokenizer.push(*token).unwrap_or_default()).collect();
        if let (Some(last), Some(rest)) = (pieces.last_mut(), detokenizer.finish()) {
            last.push_str(&rest);
        }
        pieces
    }

    fn token(&self, token: u32) -> TokenText {
        let tokenizer = self.tokenizer();
        let bytes = tokenizer.token_bytes(token).map(<[u8]>::to_vec);
        let text = match bytes.as_deref().map(std::str::from_utf8) {
            Some(Ok(text)) => text.to_owned(),
            // As OpenAI's completions write it.
            Some(Err(_)) => {
                let escaped = |byte: &u8| format!("\\x{byte:02x}");
                format!("bytes:{}", bytes.iter().flatten().map(escaped).collect::<String>())
            }
            None => tokenizer.token_of(token).unwrap_or_else(|| format!("<{token}>")),
        };
        TokenText { text, bytes: bytes.unwrap_or_default() }
    }

    fn chat(&self, messages: &[Value], more: &Map<String, Value>) -> Result<Vec<u32>> {
        self.inner.chat(messages, more)
    }

    fn serve(&self) -> Box<dyn TokenSession> {
        Box::new(Served(Stream::start(Arc::clone(&self.inner))))
    }
}

/// A session whose requests have listeners of their own.
struct Served(Stream);

impl TokenSession for Served {
    fn ask(&self, request: TokenRequest, tell: Tell) {
        self.0.command(Command::AskFor(request, tell));
    }

    fn cancel(&self, request: u64) {
        self.0.command(Command::Cancel(request));
    }

    fn load(&self) -> Load {
        self.0.load()
    }

    fn is_alive(&self) -> bool {
        self.0.is_alive()
    }
}
