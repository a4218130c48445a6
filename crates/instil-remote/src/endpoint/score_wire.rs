//! The likelihoods in an answer, and which of them are the completion's.

use serde_json::Value;

use super::score::Likelihoods;
use super::wire;

/// What an answer says of a text.
#[derive(Debug, PartialEq)]
pub(super) enum Found {
    /// The completion's likelihood.
    Sum { nll: f64, tokens: usize, greedy: Option<bool> },
    /// The server gave no likelihoods of what it was given.
    Nothing,
    /// It gave some, and it isn't clear which are the completion's.
    Unclear(String),
}

/// A token of what was given.
struct Token {
    text: String,
    /// Where the server says it begins, in characters.
    offset: Option<usize>,
    logprob: Option<f64>,
    is_likeliest: Option<bool>,
}

/// Reads the answer to a call for likelihoods of `prompt` and `completion` together.
///
/// The completion's tokens are found by where they stand in the text: those that begin in the completion, and one
/// that begins before it and ends in it. Tokens that were newly made stand behind it.
///
/// # Errors
/// When it is not JSON or has no choices, in words for the user.
pub(super) fn read(body: &[u8], prompt: &str, completion: &str, how: Likelihoods) -> Result<Found, String> {
    let value: Value = serde_json::from_slice(body).map_err(|_| "the answer is not JSON".to_owned())?;
    let Some(choice) = value.get("choices").and_then(|choices| choices.get(0)) else {
        return Err(format!("the answer has no choices: {}", wire::complaint(body).message));
    };
    let tokens = match how {
        Likelihoods::Echo => echoed(choice).filter(|tokens| is_echo(choice, tokens, prompt, completion)),
        Likelihoods::Prompt => prompted(choice.get("prompt_logprobs").or(value.get("prompt_logprobs"))),
    };
    Ok(tokens.map_or(Found::Nothing, |tokens| sum(&tokens, prompt, completion)))
}

/// `{"tokens", "token_logprobs", "top_logprobs", "text_offset"}`, lists of one length.
fn echoed(choice: &Value) -> Option<Vec<Token>> {
    let logprobs = choice.get("logprobs")?;
    let list = |name: &str| logprobs.get(name).and_then(Value::as_array);
    let (texts, values) = (list("tokens")?, list("token_logprobs")?);
    let (offsets, tops) = (list("text_offset"), list("top_logprobs"));
    let token = |(place, text): (usize, &Value)| {
        let logprob = values.get(place).and_then(Value::as_f64);
        let top = tops.and_then(|tops| tops.get(place)?.as_object());
        let best = top.and_then(|top| top.values().filter_map(Value::as_f64).max_by(f64::total_cmp));
        Token {
            text: text.as_str().unwrap_or_default().to_owned(),
            offset: offsets.and_then(|offsets| usize::try_from(offsets.get(place)?.as_u64()?).ok()),
            logprob,
            is_likeliest: best.zip(logprob).map(|(best, logprob)| logprob >= best),
        }
    };
    Some(texts.iter().enumerate().map(token).collect())
}

/// Whether what was given came back. A server that knows no `echo` gives the likelihoods of what is new.
fn is_echo(choice: &Value, tokens: &[Token], prompt: &str, completion: &str) -> bool {
    let text = format!("{prompt}{completion}");
    let told = choice.get("text").and_then(Value::as_str).unwrap_or_default();
    told.contains(&text) || tokens.iter().map(|token| token.text.as_str()).collect::<String>().contains(&text)
}

/// vLLM's list with an object for each token, or null for the first: `{"ID": {"logprob", "rank", "decoded_token"}}`.
fn prompted(logprobs: Option<&Value>) -> Option<Vec<Token>> {
    let token = |entry: &Value| {
        // The token of the text comes first, likelier ones behind it.
        let given = entry.as_object().and_then(|entry| entry.values().next());
        Token {
            text: given.and_then(|given| given.get("decoded_token")?.as_str()).unwrap_or_default().to_owned(),
            offset: None,
            logprob: given.and_then(|given| given.get("logprob")?.as_f64()),
            is_likeliest: given.and_then(|given| Some(given.get("rank")?.as_u64()? == 1)),
        }
    };
    Some(logprobs?.as_array()?.iter().map(token).collect())
}

fn sum(tokens: &[Token], prompt: &str, completion: &str) -> Found {
    let length = |text: &str| text.chars().count();
    let Some(starts) = starts(tokens, prompt, completion) else {
        return Found::Unclear(
            "the server's tokens don't add up to the text, so the completion's are not known".into(),
        );
    };
    let from = length(prompt);
    let to = from + length(completion);
    let (mut nll, mut count, mut greedy) = (0.0, 0, Some(true));
    for (place, token) in tokens.iter().enumerate() {
        let start = starts[place];
        let end = starts.get(place + 1).copied().unwrap_or(start + length(&token.text) as isize);
        let begins_inside = start >= from as isize && start < to as isize;
        let reaches_inside = start < from as isize && end > from as isize && to > from;
        if !begins_inside && !reaches_inside {
            continue;
        }
        let Some(logprob) = token.logprob else {
            // What nothing precedes has no likelihood.
            if place == 0 {
                continue;
            }
            // A prompt that isn't echoed, with likelihoods of what is new only.
            return Found::Nothing;
        };
        nll -= logprob;
        count += 1;
        greedy = greedy.zip(token.is_likeliest).map(|(all, this)| all && this);
    }
    if count == 0 && to > from {
        return Found::Nothing;
    }
    Found::Sum { nll, tokens: count, greedy }
}

/// Where each token begins, in characters of the text; what stands before it, such as a BOS that is written out, begins
/// below 0.
fn starts(tokens: &[Token], prompt: &str, completion: &str) -> Option<Vec<isize>> {
    let joined: String = tokens.iter().map(|token| token.text.as_str()).collect();
    let text = format!("{prompt}{completion}");
    if let Some(at) = joined.find(&text) {
        let mut next = -(joined[..at].chars().count() as isize);
        let advance = |token: &Token| {
            let start = next;
            next += token.text.chars().count() as isize;
            start
        };
        return Some(tokens.iter().map(advance).collect());
    }
    // Of the first token, which nothing precedes, vLLM doesn't say what it is.
    if let Some((Token { text: first, logprob: None, .. }, rest)) = tokens.split_first()
        && first.is_empty()
        && !rest.is_empty()
        && let Some(head) = text.strip_suffix(&joined)
    {
        let mut next = head.chars().count() as isize;
        let advance = |token: &Token| {
            let start = next;
            next += token.text.chars().count() as isize;
            start
        };
        return Some(std::iter::once(0).chain(rest.iter().map(advance)).collect());
    }
    // Tokens that are parts of characters are written in some way of the server's own.
    tokens.iter().map(|token| token.offset.map(|offset| offset as isize)).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn echo(text: &str, tokens: &[&str], values: Value, offsets: Value, top: Value) -> Value {
        json!({"choices": [{"text": text, "logprobs": {
            "tokens": tokens, "token_logprobs": values, "text_offset": offsets, "top_logprobs": top,
        }}]})
    }

    fn found(answer: &Value, prompt: &str, completion: &str, how: Likelihoods) -> Found {
        read(answer.to_string().as_bytes(), prompt, completion, how).unwrap()
    }

    fn total(nll: f64, tokens: usize, greedy: Option<bool>) -> Found {
        Found::Sum { nll, tokens, greedy }
    }

    #[test]
    fn the_completions_tokens_are_found_by_where_they_stand() {
        let top = json!([null, {"x": -0.5}, {"x": -0.25}, {" c": -2.0}, {"d": -4.0}]);
        let values = json!([null, -0.5, -1.0, -2.0, -4.0]);
        let answer = echo("", &["a", " b", " c", "é", "d"], values.clone(), json!([0, 1, 3, 5, 6]), top);
        // The last token is new.
        assert_eq!(found(&answer, "a b", " cé", Likelihoods::Echo), total(3.0, 2, Some(false)));
        assert_eq!(found(&answer, "a b c", "é", Likelihoods::Echo), total(2.0, 1, Some(true)));
        // A token across the border is the completion's.
        assert_eq!(found(&answer, "a b ", "cé", Likelihoods::Echo), total(3.0, 2, Some(false)));
        assert_eq!(found(&answer, "", "a b", Likelihoods::Echo), total(0.5, 1, Some(true)));
        // A BOS that is written out moves everything.
        let answer = echo("", &["<s>", "a", " b"], json!([null, -1.0, -2.0]), json!([0, 3, 4]), json!(null));
        assert_eq!(found(&answer, "a", " b", Likelihoods::Echo), total(2.0, 1, None));
    }

    #[test]
    fn parts_of_characters_are_placed_by_offsets() {
        let values = json!([null, -1.0, -2.0, -4.0]);
        let answer = echo(
            "aéb",
            &["a", "bytes:\\xc3", "bytes:\\xa9", "b"],
            values.clone(),
            json!([0, 1, 1, 2]),
            json!(null),
        );
        assert_eq!(found(&answer, "a", "é", Likelihoods::Echo), total(3.0, 2, None));
        let answer = echo("aéb", &["a", "bytes:\\xc3", "bytes:\\xa9", "b"], values, json!(null), json!(null));
        assert!(matches!(found(&answer, "a", "é", Likelihoods::Echo), Found::Unclear(_)));
    }

    #[test]
    fn prompt_logprobs_are_read() {
        let answer = json!({"choices": [{"text": "new", "prompt_logprobs": [
            null,
            {"5": {"logprob": -1.0, "rank": 1, "decoded_token": "a"}},
            {"9": {"logprob": -3.0, "rank": 2, "decoded_token": " b"}, "7": {"logprob": -0.1, "rank": 1, "decoded_token": " c"}},
        ]}]});
        assert_eq!(found(&answer, "a", " b", Likelihoods::Prompt), total(3.0, 1, Some(false)));
        assert_eq!(found(&answer, "", "a b", Likelihoods::Prompt), total(4.0, 2, Some(false)));
    }

    #[test]
    fn an_answer_without_likelihoods_of_the_prompt_is_nothing() {
        for answer in [
            json!({"choices": [{"text": "x"}]}),
            json!({"choices": [{"text": "x", "logprobs": null}]}),
            echo("x", &["x"], json!([-1.0]), json!([4]), json!(null)),
        ] {
            let found = found(&answer, "a b", " c", Likelihoods::Echo);
            assert!(matches!(found, Found::Nothing), "{answer}: {found:?}");
        }
        assert!(read(b"{}", "a", "b", Likelihoods::Echo).is_err());
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes: Vec<u8>) {
            let _ = read(&bytes, "a", "b", Likelihoods::Echo).is_ok();
        }
    }
}
