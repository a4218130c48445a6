//! What a decoder is: the numbers of `config.json`, and the family as settings of one definition.

use instil::{Error, Result};
use serde_json::Value;

/// The shape of a decoder-only transformer and the choices in which the families differ.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Which published architecture the weights follow; it decides how tensors are named.
    pub family: Family,
    /// Rows of the embedding and of the output head.
    pub vocab: usize,
    /// Width of the residual stream.
    pub hidden: usize,
    /// Number of blocks.
    pub layers: usize,
    /// Query heads.
    pub heads: usize,
    /// Key and value heads; each serves `heads / kv_heads` query heads.
    pub kv_heads: usize,
    /// Width of one head. Not always `hidden / heads`.
    pub head_dim: usize,
    /// Width of the feed-forward layer.
    pub intermediate: usize,
    /// The longest sequence, in tokens, that the model was made for.
    pub positions: usize,
    /// The norm at the head of each part.
    pub norm: Norm,
    /// Added to the variance in every norm.
    pub norm_eps: f32,
    /// Rotary position embedding.
    pub rope: Rope,
    /// By layer: how many tokens back (itself included) a token sees; none sees all.
    pub windows: Vec<Option<usize>>,
    /// How attention and feed-forward are added to the residual stream.
    pub residual: Residual,
    /// The feed-forward's nonlinearity; with `Activation::Silu` it is gated (SwiGLU).
    pub activation: Activation,
    /// Which projections have a bias.
    pub bias: Bias,
    /// Whether queries and keys are normalised per head before rotation (Qwen3).
    pub qk_norm: bool,
    /// Whether the output head is the embedding itself.
    pub tied: bool,
}

/// A published architecture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// `LlamaForCausalLM`.
    Llama,
    /// `MistralForCausalLM`: Llama with a sliding window.
    Mistral,
    /// `Qwen2ForCausalLM`: Llama with biases on queries, keys and values.
    Qwen2,
    /// `Qwen3ForCausalLM`: Llama with norms on queries and keys.
    Qwen3,
    /// `GPTNeoXForCausalLM` (Pythia).
    GptNeoX,
    /// `GPTJForCausalLM`.
    GptJ,
}

impl Family {
    /// The names that `config.json` (`model_type`) uses, for messages.
    pub const MODEL_TYPES: [&str; 6] = ["llama", "mistral", "qwen2", "qwen3", "gpt_neox", "gptj"];

    fn of_model_type(name: &str) -> Option<Self> {
        Some(match name {
            "llama" => Self::Llama,
            "mistral" => Self::Mistral,
            "qwen2" => Self::Qwen2,
            "qwen3" => Self::Qwen3,
            "gpt_neox" => Self::GptNeoX,
            "gptj" => Self::GptJ,
            _ => return None,
        })
    }
}

/// A norm over the width of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Norm {
    /// Root mean square, with a weight (Zhang and Sennrich 2019).
    Rms,
    /// Mean and variance, with weight and bias (Ba et al. 2016).
    Layer,
}

/// The nonlinearity of the feed-forward layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// `down(silu(gate x) * up x)`.
    Silu,
    /// `down(gelu(up x))` with the error function.
    Gelu,
    /// `down(gelu(up x))` with the approximation by tanh, which GPT-J calls `gelu_new`.
    GeluTanh,
}

/// How the two parts of a block are added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Residual {
    /// `x += attention(norm1 x); x += mlp(norm2 x)`.
    Sequential,
    /// `x += attention(norm1 x) + mlp(norm2 x)` (GPT-NeoX).
    Parallel,
    /// `x += attention(norm1 x) + mlp(norm1 x)` (GPT-J).
    ParallelOneNorm,
}

/// Which projections have a bias.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Bias {
    /// Queries, keys and values.
    pub qkv: bool,
    /// The attention's output.
    pub attention_out: bool,
    /// The feed-forward layer.
    pub mlp: bool,
    /// The output head.
    pub head: bool,
}

/// Rotary position embedding (Su et al. 2021).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rope {
    /// The base of the wavelengths.
    pub theta: f64,
    /// How many of a head's leading dimensions are rotated.
    pub dim: usize,
    /// Whether neighbours are rotated together (GPT-J); otherwise dimension `i` with `i + dim / 2`.
    pub interleaved: bool,
    /// How wavelengths are stretched for longer texts.
    pub scaling: RopeScaling,
}

/// How wavelengths are stretched.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RopeScaling {
    /// Not.
    None,
    /// All by one factor.
    Linear {
        /// The factor.
        factor: f64,
    },
    /// Llama 3.1's: long wavelengths by `factor`, short ones not, those between in proportion.
    Llama3 {
        /// The factor of long wavelengths.
        factor: f64,
        /// Wavelengths above `original / low` are long.
        low: f64,
        /// Wavelengths below `original / high` are short.
        high: f64,
        /// The window the model was first trained with, in tokens.
        original: f64,
    },
}

impl Rope {
    /// The angle in radians by which each pair turns from one position to the next: `dim / 2`
    /// values, in f32 as the reference computes them (transformers 5 `modeling_rope_utils.py`).
    pub fn frequencies(&self) -> Vec<f32> {
        let turn = |pair: usize| 1.0 / (self.theta as f32).powf(2.0 * pair as f32 / self.dim as f32);
        (0..self.dim / 2)
            .map(|pair| {
                let frequency = turn(pair);
                match self.scaling {
                    RopeScaling::None => frequency,
                    RopeScaling::Linear { factor } => frequency / factor as f32,
                    RopeScaling::Llama3 { factor, low, high, original } => {
                        let wavelength = 2.0 * std::f64::consts::PI / f64::from(frequency);
                        if wavelength > original / low {
                            frequency / factor as f32
                        } else if wavelength < original / high {
                            frequency
                        } else {
                            let smooth = (original / wavelength - low) / (high - low);
                            let frequency = f64::from(frequency);
                            ((1.0 - smooth) * frequency / factor + smooth * frequency) as f32
                        }
                    }
                }
            })
            .collect()
    }
}

impl Config {
    /// Reads a Hugging Face `config.json`, as transformers 4 and 5 write it.
    ///
    /// # Errors
    /// When the family is unknown, a key is missing or of the wrong kind, or the model does something
    /// that this definition doesn't (named).
    pub fn from_hugging_face(json: &Value) -> Result<Self> {
        let keys = Keys(json);
        let model_type = keys.text("model_type")?;
        let family = Family::of_model_type(model_type).ok_or_else(|| {
            Error::input(format!("config.json: model_type `{model_type}` is a family that isn't known"))
                .with_hint(format!("known are {}", crate::weights::Model::families()))
        })?;
        let config = match family {
            Family::GptNeoX => Self::gpt_neox(&keys)?,
            Family::GptJ => Self::gpt_j(&keys)?,
            _ => Self::llama_like(family, &keys)?,
        };
        config.checked()
    }

    /// How many blocks there are: no model has more than this, and memory is asked for each.
    const MOST_LAYERS: usize = 10_000;

    fn llama_like(family: Family, keys: &Keys<'_>) -> Result<Self> {
        keys.expect("hidden_act", "silu")?;
        let hidden = keys.count("hidden_size")?;
        let heads = keys.count("num_attention_heads")?;
        let layers = keys.layers("num_hidden_layers")?;
        let head_dim = keys.count_or("head_dim", hidden / heads.max(1))?;
        let attention_bias = keys.flag_or("attention_bias", false)?;
        Ok(Self {
            family,
            vocab: keys.count("vocab_size")?,
            hidden,
            layers,
            heads,
            kv_heads: keys.count_or("num_key_value_heads", heads)?,
            head_dim,
            intermediate: keys.count("intermediate_size")?,
            positions: keys.count_or("max_position_embeddings", 2048)?,
            norm: Norm::Rms,
            norm_eps: keys.number_or("rms_norm_eps", 1e-6)? as f32,
            rope: keys.rope(10_000.0, head_dim, false)?,
            windows: windows(family, keys, layers)?,
            residual: Residual::Sequential,
            activation: Activation::Silu,
            bias: Bias {
                qkv: attention_bias || family == Family::Qwen2,
                attention_out: attention_bias && family != Family::Qwen2,
                mlp: keys.flag_or("mlp_bias", false)?,
                head: false,
            },
            qk_norm: family == Family::Qwen3,
            tied: keys.flag_or("tie_word_embeddings", false)?,
        })
    }

    fn gpt_neox(keys: &Keys<'_>) -> Result<Self> {
        let activation = match keys.text_or("hidden_act", "gelu")? {
            "gelu" => Activation::Gelu,
            "gelu_new" | "gelu_fast" | "gelu_pytorch_tanh" => Activation::GeluTanh,
            other => return Err(keys.unknown("hidden_act", other, "gelu, gelu_new")),
        };
        let hidden = keys.count("hidden_size")?;
        let heads = keys.count("num_attention_heads")?;
        let layers = keys.layers("num_hidden_layers")?;
        let head_dim = hidden / heads.max(1);
        let share = keys.rope_number("partial_rotary_factor")?;
        let share = share.map_or_else(|| keys.number_or("rotary_pct", 0.25), Ok)?;
        let theta = keys.number_or("rotary_emb_base", 10_000.0)?;
        let attention_bias = keys.flag_or("attention_bias", true)?;
        Ok(Self {
            family: Family::GptNeoX,
            vocab: keys.count("vocab_size")?,
            hidden,
            layers,
            heads,
            kv_heads: heads,
            head_dim,
            intermediate: keys.count("intermediate_size")?,
            positions: keys.count_or("max_position_embeddings", 2048)?,
            norm: Norm::Layer,
            norm_eps: keys.number_or("layer_norm_eps", 1e-5)? as f32,
            rope: keys.rope(theta, (head_dim as f64 * share) as usize, false)?,
            windows: vec![None; layers],
            residual: if keys.flag_or("use_parallel_residual", true)? {
                Residual::Parallel
            } else {
                Residual::Sequential
            },
            activation,
            bias: Bias { qkv: attention_bias, attention_out: attention_bias, mlp: true, head: false },
            qk_norm: false,
            tied: keys.flag_or("tie_word_embeddings", false)?,
        })
    }

    fn gpt_j(keys: &Keys<'_>) -> Result<Self> {
        let activation = match keys.text_or("activation_function", "gelu_new")? {
            "gelu_new" | "gelu_fast" | "gelu_pytorch_tanh" => Activation::GeluTanh,
            "gelu" => Activation::Gelu,
            other => return Err(keys.unknown("activation_function", other, "gelu_new, gelu")),
        };
        let hidden = keys.count("n_embd")?;
        let heads = keys.count("n_head")?;
        let layers = keys.layers("n_layer")?;
        let head_dim = hidden / heads.max(1);
        Ok(Self {
            family: Family::GptJ,
            vocab: keys.count("vocab_size")?,
            hidden,
            layers,
            heads,
            kv_heads: heads,
            head_dim,
            intermediate: keys.count_or("n_inner", 4 * hidden)?,
            positions: keys.count_or("n_positions", 2048)?,
            norm: Norm::Layer,
            norm_eps: keys.number_or("layer_norm_epsilon", 1e-5)? as f32,
            rope: keys.rope(10_000.0, keys.count_or("rotary_dim", head_dim)?, true)?,
            windows: vec![None; layers],
            residual: Residual::ParallelOneNorm,
            activation,
            bias: Bias { qkv: false, attention_out: false, mlp: true, head: true },
            qk_norm: false,
            tied: keys.flag_or("tie_word_embeddings", false)?,
        })
    }

    /// The configuration, if its numbers fit together.
    ///
    /// # Errors
    /// When a number is 0, heads can't be grouped, or an odd number of dimensions is to be rotated.
    pub fn checked(self) -> Result<Self> {
        let numbers = [
            ("vocabulary", self.vocab),
            ("width", self.hidden),
            ("layers", self.layers),
            ("heads", self.heads),
            ("key and value heads", self.kv_heads),
            ("width of a head", self.head_dim),
            ("feed-forward width", self.intermediate),
            ("window", self.positions),
        ];
        if let Some((name, _)) = numbers.iter().find(|(_, number)| *number == 0) {
            return Err(Error::input(format!("the model's configuration: {name} is 0")));
        }
        if !self.heads.is_multiple_of(self.kv_heads) {
            return Err(Error::input(format!(
                "the model's configuration: {} heads can't share {} key and value heads",
                self.heads, self.kv_heads
            )));
        }
        if !self.rope.dim.is_multiple_of(2) || self.rope.dim > self.head_dim {
            return Err(Error::input(format!(
                "the model's configuration: {} dimensions of a head of {} can't be rotated in pairs",
                self.rope.dim, self.head_dim
            )));
        }
        Ok(self)
    }

    /// Bytes that one token occupies in the key-value cache.
    pub fn cache_bytes_per_token(&self) -> usize {
        2 * self.layers * self.kv_heads * self.head_dim * size_of::<f32>()
    }
}

/// By layer, how far back it sees.
fn windows(family: Family, keys: &Keys<'_>, layers: usize) -> Result<Vec<Option<usize>>> {
    let width = match family {
        Family::Mistral => keys.optional_count("sliding_window")?,
        Family::Qwen2 | Family::Qwen3 if keys.flag_or("use_sliding_window", false)? => {
            keys.optional_count("sliding_window")?
        }
        _ => None,
    };
    let Some(width) = width else { return Ok(vec![None; layers]) };
    if let Some(types) = keys.0.get("layer_types").and_then(Value::as_array) {
        if types.len() != layers {
            return Err(Error::input(format!(
                "config.json: `layer_types` names {} layers of {layers}",
                types.len()
            )));
        }
        return Ok(types
            .iter()
            .map(|kind| (kind.as_str() == Some("sliding_attention")).then_some(width))
            .collect());
    }
    let first = if family == Family::Mistral { 0 } else { keys.count_or("max_window_layers", 28)? };
    Ok((0..layers).map(|layer| (layer >= first).then_some(width)).collect())
}

/// The keys of a `config.json`.
pub(crate) struct Keys<'a>(pub(crate) &'a Value);

impl Keys<'_> {
    /// A value that is there and not null.
    pub(crate) fn get(&self, key: &str) -> Option<&Value> {
        self.0.get(key).filter(|value| !value.is_null())
    }

    fn wrong(&self, key: &str, wanted: &str) -> Error {
        match self.get(key) {
            Some(value) => Error::input(format!("config.json: `{key}` is {value}, not {wanted}")),
            None => Error::input(format!("config.json: `{key}` is missing")),
        }
    }

    pub(crate) fn unknown(&self, key: &str, value: &str, known: &str) -> Error {
        Error::input(format!("config.json: {key} `{value}` isn't known"))
            .with_hint(format!("known are {known}"))
    }

    pub(crate) fn text(&self, key: &str) -> Result<&str> {
        self.get(key).and_then(Value::as_str).ok_or_else(|| self.wrong(key, "a text"))
    }

    pub(crate) fn text_or<'b>(&'b self, key: &str, default: &'b str) -> Result<&'b str> {
        if self.get(key).is_none() { Ok(default) } else { self.text(key) }
    }

    fn expect(&self, key: &str, wanted: &str) -> Result<()> {
        match self.text_or(key, wanted)? {
            value if value == wanted => Ok(()),
            other => Err(self.unknown(key, other, wanted)),
        }
    }

    pub(crate) fn count(&self, key: &str) -> Result<usize> {
        let count = self.get(key).and_then(Value::as_u64).and_then(|count| usize::try_from(count).ok());
        count.ok_or_else(|| self.wrong(key, "a whole number"))
    }

    pub(crate) fn layers(&self, key: &str) -> Result<usize> {
        let layers = self.count(key)?;
        if layers > Config::MOST_LAYERS {
            return Err(Error::input(format!("config.json: `{key}` is {layers}, more than any model has")));
        }
        Ok(layers)
    }

    pub(crate) fn optional_count(&self, key: &str) -> Result<Option<usize>> {
        if self.get(key).is_none() { Ok(None) } else { self.count(key).map(Some) }
    }

    pub(crate) fn count_or(&self, key: &str, default: usize) -> Result<usize> {
        Ok(self.optional_count(key)?.unwrap_or(default))
    }

    pub(crate) fn number_or(&self, key: &str, default: f64) -> Result<f64> {
        match self.get(key) {
            None => Ok(default),
            Some(value) => value.as_f64().ok_or_else(|| self.wrong(key, "a number")),
        }
    }

    pub(crate) fn flag_or(&self, key: &str, default: bool) -> Result<bool> {
        match self.get(key) {
            None => Ok(default),
            Some(value) => value.as_bool().ok_or_else(|| self.wrong(key, "true or false")),
        }
    }

    /// What transformers 5 writes below `rope_parameters` and 4 below `rope_scaling`.
    fn rope_value(&self, key: &str) -> Option<&Value> {
        ["rope_parameters", "rope_scaling"]
            .iter()
            .find_map(|parent| self.get(parent).and_then(|value| value.get(key)))
            .filter(|value| !value.is_null())
    }

    fn rope_number(&self, key: &str) -> Result<Option<f64>> {
        self.rope_value(key)
            .map(|value| {
                value.as_f64().ok_or_else(|| {
                    Error::input(format!("config.json: `{key}` of the rope is {value}, not a number"))
                })
            })
            .transpose()
    }

    fn rope(&self, theta: f64, dim: usize, interleaved: bool) -> Result<Rope> {
        let theta = match self.rope_number("rope_theta")? {
            Some(theta) => theta,
            None => self.number_or("rope_theta", theta)?,
        };
        let number = |key: &str| -> Result<f64> {
            self.rope_number(key)?
                .ok_or_else(|| Error::input(format!("config.json: `{key}` of the rope's scaling is missing")))
        };
        let kind = self.rope_value("rope_type").or_else(|| self.rope_value("type")).and_then(Value::as_str);
        let scaling = match kind.unwrap_or("default") {
            "default" => RopeScaling::None,
            "linear" => RopeScaling::Linear { factor: number("factor")? },
            "llama3" => RopeScaling::Llama3 {
                factor: number("factor")?,
                low: number("low_freq_factor")?,
                high: number("high_freq_factor")?,
                original: number("original_max_position_embeddings")?,
            },
            other => {
                return Err(Error::input(format!("config.json: rope scaling `{other}` isn't known"))
                    .with_hint("known are default, linear, llama3"));
            }
        };
        Ok(Rope { theta, dim, interleaved, scaling })
    }
}
