//! A decoder's configuration from the metadata of a GGUF file.

use instil::{Error, Result};

use super::{Activation, Bias, Config, Family, Norm, Residual, Rope, RopeScaling};
use crate::weights::gguf::Gguf;
use crate::weights::names::Architecture;

impl Config {
    /// Reads the configuration that a GGUF file's metadata and the shapes of its tensors give. `factors` are the
    /// numbers of `rope_freqs.weight`, by which each frequency is divided.
    ///
    /// # Errors
    /// When a key is missing or of the wrong kind, or the model does something that this definition doesn't.
    pub(crate) fn from_gguf(
        gguf: &Gguf,
        architecture: Architecture,
        factors: Option<&[f32]>,
    ) -> Result<Self> {
        let keys = Keys { gguf, prefix: gguf.text("general.architecture").unwrap_or_default() };
        let family = match architecture {
            Architecture::Llama | Architecture::Own => Family::Llama,
            Architecture::Qwen2 => Family::Qwen2,
            Architecture::Qwen3 => Family::Qwen3,
            Architecture::GptNeoX => Family::GptNeoX,
        };
        let neox = family == Family::GptNeoX;
        let hidden = keys.count("embedding_length")?;
        let heads = keys.count("attention.head_count")?;
        let layers = keys.count("block_count")?;
        if layers > gguf.tensors.len() {
            return Err(keys.trouble(format!("{layers} layers have {} tensors", gguf.tensors.len())));
        }
        let head_dim = keys.count_or("attention.key_length", hidden / heads.max(1))?;
        let values = keys.count_or("attention.value_length", head_dim)?;
        if values != head_dim {
            return Err(
                keys.trouble(format!("values are {values} wide and keys {head_dim}, which isn't known"))
            );
        }
        let experts = keys.count_or("expert_count", 0)?;
        if experts > 0 {
            return Err(keys.trouble(format!("the model mixes {experts} experts, which isn't known")));
        }
        let Some(&[vocab, _]) = gguf.tensors.get("token_embd.weight").map(|tensor| &tensor.shape[..]) else {
            return Err(keys.trouble("tensor `token_embd.weight` is missing or no matrix".into()));
        };
        let rope = Rope {
            theta: keys.number_or("rope.freq_base", 10_000.0)?,
            dim: keys.count_or("rope.dimension_count", head_dim)?,
            interleaved: false,
            scaling: keys.scaling()?,
        };
        let rope = match factors {
            Some(factors) => keys.with_factors(rope, factors)?,
            None => rope,
        };
        // Older files say 0 where there is no window.
        let window = match keys.count_or("attention.sliding_window", 0)? {
            0 => None,
            window => Some(window),
        };
        let has = |name: &str| gguf.tensors.contains_key(name);
        Self {
            family,
            vocab,
            hidden,
            layers,
            heads,
            kv_heads: keys.count_or("attention.head_count_kv", heads)?,
            head_dim,
            intermediate: keys.count("feed_forward_length")?,
            positions: keys.count("context_length")?,
            norm: if neox { Norm::Layer } else { Norm::Rms },
            norm_eps: keys.number(if neox {
                "attention.layer_norm_epsilon"
            } else {
                "attention.layer_norm_rms_epsilon"
            })? as f32,
            rope,
            windows: vec![window; layers],
            residual: if neox && gguf.flag(&keys.name("use_parallel_residual")).unwrap_or(true) {
                Residual::Parallel
            } else {
                Residual::Sequential
            },
            activation: if neox { Activation::Gelu } else { Activation::Silu },
            bias: Bias {
                qkv: has("blk.0.attn_q.bias") || has("blk.0.attn_qkv.bias"),
                attention_out: has("blk.0.attn_output.bias"),
                mlp: has("blk.0.ffn_up.bias"),
                head: has("output.bias"),
            },
            qk_norm: has("blk.0.attn_q_norm.weight"),
            tied: !has("output.weight"),
        }
        .checked()
    }
}

/// The keys of one architecture.
struct Keys<'a> {
    gguf: &'a Gguf,
    prefix: &'a str,
}

impl Keys<'_> {
    fn name(&self, key: &str) -> String {
        format!("{}.{key}", self.prefix)
    }

    fn trouble(&self, what: String) -> Error {
        Error::input(format!("{}: {what}", self.gguf.place))
    }

    fn wrong(&self, key: &str, wanted: &str) -> Error {
        let name = self.name(key);
        self.trouble(match self.gguf.metadata.get(&name) {
            Some(value) => format!("`{name}` is {value:?}, not {wanted}"),
            None => format!("`{name}` is missing"),
        })
    }

    fn count(&self, key: &str) -> Result<usize> {
        self.gguf.count(&self.name(key)).ok_or_else(|| self.wrong(key, "a count"))
    }

    fn count_or(&self, key: &str, default: usize) -> Result<usize> {
        if self.gguf.metadata.contains_key(&self.name(key)) { self.count(key) } else { Ok(default) }
    }

    fn number(&self, key: &str) -> Result<f64> {
        self.gguf.number(&self.name(key)).ok_or_else(|| self.wrong(key, "a number"))
    }

    fn number_or(&self, key: &str, default: f64) -> Result<f64> {
        if self.gguf.metadata.contains_key(&self.name(key)) { self.number(key) } else { Ok(default) }
    }

    fn scaling(&self) -> Result<RopeScaling> {
        let old = self.number_or("rope.scale_linear", 1.0)?;
        let factor = self.number_or("rope.scaling.factor", old)?;
        match self.gguf.text(&self.name("rope.scaling.type")) {
            Some("linear") => Ok(RopeScaling::Linear { factor }),
            None if factor > 0.0 && factor != 1.0 => Ok(RopeScaling::Linear { factor }),
            None | Some("none") => Ok(RopeScaling::None),
            Some(other) => Err(self
                .trouble(format!("rope scaling `{other}` isn't known"))
                .with_hint("known are none and linear, and llama3's by rope_freqs.weight")),
        }
    }

    /// Finds llama3's numbers in the factors that llama.cpp's converter computed from them.
    fn with_factors(&self, rope: Rope, factors: &[f32]) -> Result<Rope> {
        let plain = Rope { scaling: RopeScaling::None, ..rope }.frequencies();
        let largest = factors.iter().copied().fold(1.0, f32::max);
        if factors.iter().all(|factor| *factor == 1.0) {
            return Ok(rope);
        }
        let scaled: Vec<f32> =
            plain.iter().zip(factors).map(|(frequency, factor)| frequency / factor).collect();
        // Published models have 8192; only the product of window and bounds shows in the factors.
        let found = std::iter::once(13).chain(4..=20).find_map(|exponent| {
            let scaling = RopeScaling::Llama3 {
                factor: f64::from(largest),
                low: 1.0,
                high: 4.0,
                original: f64::from(1u32 << exponent),
            };
            let candidate = Rope { scaling, ..rope };
            let near = |(one, other): (&f32, &f32)| (one - other).abs() <= 1e-5 * other.abs();
            let fits = scaled.len() == factors.len() && candidate.frequencies().iter().zip(&scaled).all(near);
            fits.then_some(candidate)
        });
        found.ok_or_else(|| {
            self.trouble("`rope_freqs.weight` isn't llama3's scaling, the only one that is known".into())
                .with_hint("take the model's Hugging Face folder")
        })
    }
}
