//! What a T5 is: the numbers of `config.json`.

use std::collections::BTreeMap;

use instil::{Error, Result};
use serde_json::Value;

use super::names::{self, Stack};
use crate::decoder::Keys;

/// The shape of an encoder-decoder and the choices in which T5's versions differ.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Rows of the embedding and of the output head.
    pub vocab: usize,
    /// Width of the residual stream.
    pub hidden: usize,
    /// Blocks of the encoder.
    pub encoder_layers: usize,
    /// Blocks of the decoder.
    pub decoder_layers: usize,
    /// Heads of every attention; each has its own keys and values.
    pub heads: usize,
    /// Width of one head. `heads * head_dim` needn't be `hidden`.
    pub head_dim: usize,
    /// Width of the feed-forward layer.
    pub intermediate: usize,
    /// The feed-forward layer's nonlinearity.
    pub activation: Activation,
    /// Added to the mean square in every norm.
    pub norm_eps: f32,
    /// Rows of the tables of relative positions.
    pub buckets: usize,
    /// The distance from which on all keys share a bucket.
    pub max_distance: usize,
    /// Whether the output head is the embedding itself.
    pub tied: bool,
    /// Whether hidden states are multiplied with `hidden`^-0.5 before the head, as the first T5 does.
    pub scales_outputs: bool,
    /// The token that the decoder is given first.
    pub start: u32,
}

/// The nonlinearity of the feed-forward layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// `wo(relu(wi x))`: the first T5.
    Relu,
    /// `wo(gelu(wi_0 x) * wi_1 x)` with the approximation by tanh: T5 1.1, LM-adapted, Flan-T5.
    GatedGelu,
    /// `wo(silu(wi_0 x) * wi_1 x)`: UL2.
    GatedSilu,
}

impl Activation {
    /// Whether there are two projections in.
    pub fn is_gated(self) -> bool {
        self != Self::Relu
    }
}

impl Config {
    /// What `config.json` calls the family.
    pub const MODEL_TYPE: &str = "t5";

    /// The most tokens of prompt and completion together. Positions are relative, so a model has no longest text of its
    /// own; published ones were trained on prompts of 512 to 1,024 tokens.
    pub const WINDOW: usize = 4096;

    /// Whether a `config.json` is a T5's.
    pub fn is_of(json: &Value) -> bool {
        json.get("model_type").and_then(Value::as_str) == Some(Self::MODEL_TYPE)
    }

    /// Reads a Hugging Face `config.json`, as transformers 4 and 5 write it. Whether the head is the embedding is
    /// settled by the weights: `is_tied` says what they are.
    ///
    /// # Errors
    /// When a key is missing, of the wrong kind or 0, or the model does something that this definition doesn't (named).
    pub fn from_hugging_face(json: &Value, is_tied: bool) -> Result<Self> {
        let keys = Keys(json);
        let activation = match keys.text_or("feed_forward_proj", "relu")? {
            "relu" => Activation::Relu,
            "gated-gelu" => Activation::GatedGelu,
            "gated-silu" => Activation::GatedSilu,
            other => return Err(keys.unknown("feed_forward_proj", other, "relu, gated-gelu, gated-silu")),
        };
        let encoder_layers = keys.layers("num_layers")?;
        let decoder_layers = match keys.get("num_decoder_layers") {
            Some(_) => keys.layers("num_decoder_layers")?,
            None => encoder_layers,
        };
        let pad = keys.count_or("pad_token_id", 0)?;
        // transformers 5 writes what 4 concluded from `tie_word_embeddings`, which it always says to be true.
        let scales = keys.flag_or("tie_word_embeddings", true)?;
        let config = Self {
            vocab: keys.count("vocab_size")?,
            hidden: keys.count("d_model")?,
            encoder_layers,
            decoder_layers,
            heads: keys.count("num_heads")?,
            head_dim: keys.count("d_kv")?,
            intermediate: keys.count("d_ff")?,
            activation,
            norm_eps: keys.number_or("layer_norm_epsilon", 1e-6)? as f32,
            buckets: keys.count_or("relative_attention_num_buckets", 32)?,
            max_distance: keys.count_or("relative_attention_max_distance", 128)?,
            tied: is_tied,
            scales_outputs: keys.flag_or("scale_decoder_outputs", scales)?,
            // Tokens are far below 2^32.
            start: keys.count_or("decoder_start_token_id", pad)? as u32,
        };
        config.checked()
    }

    fn checked(self) -> Result<Self> {
        let numbers = [
            ("vocab_size", self.vocab),
            ("d_model", self.hidden),
            ("num_layers", self.encoder_layers),
            ("num_decoder_layers", self.decoder_layers),
            ("num_heads", self.heads),
            ("d_kv", self.head_dim),
            ("d_ff", self.intermediate),
        ];
        if let Some((name, _)) = numbers.iter().find(|(_, number)| *number == 0) {
            return Err(Error::input(format!("config.json: `{name}` is 0")));
        }
        // The decoder's buckets are halved once, the encoder's twice.
        if self.buckets < 4 || !self.buckets.is_multiple_of(2) || self.max_distance <= self.buckets / 2 {
            return Err(Error::input(format!(
                "config.json: {} buckets can't tell distances up to {}",
                self.buckets, self.max_distance
            ))
            .with_hint(
                "`relative_attention_num_buckets` is 32 and `relative_attention_max_distance` 128 mostly",
            ));
        }
        if self.start as usize >= self.vocab {
            return Err(Error::input(format!(
                "config.json: `decoder_start_token_id` is {}, and the vocabulary has {} tokens",
                self.start, self.vocab
            )));
        }
        Ok(self)
    }

    /// Width of all heads together.
    pub fn width(&self) -> usize {
        self.heads * self.head_dim
    }

    /// What hidden states are multiplied with before the head.
    pub fn output_scale(&self) -> f32 {
        if self.scales_outputs { (self.hidden as f64).powf(-0.5) as f32 } else { 1.0 }
    }

    /// The linear layers by name, without `.weight`, with outputs and inputs: what an adapter can change.
    pub fn linears(&self) -> BTreeMap<String, (usize, usize)> {
        let (hidden, width, inner) = (self.hidden, self.width(), self.intermediate);
        let mut linears = BTreeMap::from([(names::HEAD.to_owned(), (self.vocab, hidden))]);
        for (stack, layers) in [(Stack::Encoder, self.encoder_layers), (Stack::Decoder, self.decoder_layers)]
        {
            for layer in 0..layers {
                let attentions = [Some(stack.attention(layer)), stack.cross_attention(layer)];
                for attention in attentions.into_iter().flatten() {
                    for part in ["q", "k", "v"] {
                        linears.insert(format!("{attention}.{part}"), (width, hidden));
                    }
                    linears.insert(format!("{attention}.o"), (hidden, width));
                }
                let feed = stack.feed(layer);
                let ins: &[&str] = if self.activation.is_gated() { &["wi_0", "wi_1"] } else { &["wi"] };
                for part in ins {
                    linears.insert(format!("{feed}.{part}"), (inner, hidden));
                }
                linears.insert(format!("{feed}.wo"), (hidden, inner));
            }
        }
        linears
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(change: Value) -> Result<Config> {
        let mut json = json!({
            "model_type": "t5", "vocab_size": 100, "d_model": 16, "d_kv": 4, "d_ff": 32, "num_layers": 2, "num_heads": 4,
            "feed_forward_proj": "relu"
        });
        json.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        Config::from_hugging_face(&json, true)
    }

    #[test]
    fn what_is_not_said_is_as_transformers_has_it() {
        let config = read(json!({})).unwrap();
        assert_eq!(
            (config.decoder_layers, config.buckets, config.max_distance, config.start),
            (2, 32, 128, 0)
        );
        assert!(config.scales_outputs && config.output_scale() == 0.25);
        assert_eq!(read(json!({"pad_token_id": 3})).unwrap().start, 3);
        assert_eq!(read(json!({"pad_token_id": 3, "decoder_start_token_id": 5})).unwrap().start, 5);
    }

    #[test]
    fn outputs_are_scaled_where_either_version_says_so() {
        // transformers 4 tells by what is tied; 5 says that everything is, and tells by a key of its own.
        assert!(!read(json!({"tie_word_embeddings": false})).unwrap().scales_outputs);
        let five = json!({"tie_word_embeddings": true, "scale_decoder_outputs": false});
        assert_eq!(read(five).unwrap().output_scale(), 1.0);
    }

    #[test]
    fn what_is_not_understood_is_named() {
        let refused = |change: Value| read(change).unwrap_err().to_string();
        assert!(refused(json!({"feed_forward_proj": "gated-relu6"})).contains("gated-relu6"));
        assert!(refused(json!({"num_heads": 0})).contains("`num_heads` is 0"));
        assert!(refused(json!({"d_kv": "four"})).contains("`d_kv` is \"four\""));
        assert!(refused(json!({"relative_attention_num_buckets": 3})).contains("3 buckets"));
        assert!(refused(json!({"decoder_start_token_id": 100})).contains("decoder_start_token_id"));
    }

    #[test]
    fn every_projection_can_be_adapted() {
        let linears =
            read(json!({"num_decoder_layers": 3, "feed_forward_proj": "gated-gelu"})).unwrap().linears();
        // The encoder's blocks have 4 + 3, the decoder's 8 + 3, and there is the head.
        assert_eq!(linears.len(), 2 * 7 + 3 * 11 + 1);
        assert_eq!(linears["decoder.block.2.layer.1.EncDecAttention.o"], (16, 16));
        assert_eq!(linears["encoder.block.1.layer.1.DenseReluDense.wi_1"], (32, 16));
    }
}
