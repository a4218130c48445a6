//! Which tensor is held in which type.

use std::fmt;
use std::str::FromStr;

use candle_core::quantized::GgmlDType;
use instil::error::nearest;
use instil::{Error, Result};

use super::tensor::Stored;
use crate::kernel::Dtype;

/// Whether and how weights are quantised while they are loaded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Quantize {
    /// As they are stored if that fits into memory, otherwise `Q8_0`, otherwise `Q4K`.
    #[default]
    Auto,
    /// As they are stored.
    None,
    /// Blocks of 32 numbers of 8 bits: 8.5 bits a weight.
    Q8_0,
    /// Blocks of 256 numbers of 4 bits, and of 6 where llama.cpp's `Q4_K_M` has them: about 4.8 bits a weight.
    Q4K,
    /// bitsandbytes' NF4 with double quantisation, as QLoRA holds a base: 4.1 bits a weight. Embedding and head stay as stored.
    Nf4,
}

impl Quantize {
    const ALL: [(&'static str, Self); 5] = [
        ("auto", Self::Auto),
        ("none", Self::None),
        ("q8_0", Self::Q8_0),
        ("q4_k", Self::Q4K),
        ("nf4", Self::Nf4),
    ];
}

impl fmt::Display for Quantize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Self::ALL.iter().find(|(_, kind)| kind == self).map_or("auto", |(name, _)| name);
        f.write_str(name)
    }
}

impl FromStr for Quantize {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let names = Self::ALL.map(|(name, _)| name);
        Self::ALL.iter().find(|(name, _)| *name == text).map(|(_, kind)| *kind).ok_or_else(|| {
            Error::usage(format!("`{text}` is no way to quantise weights")).with_hint(
                match nearest(text, names) {
                    Some(name) => format!("did you mean `{name}`? There are {}", names.join(", ")),
                    None => format!("there are {}", names.join(", ")),
                },
            )
        })
    }
}

/// How weights are held: what `Quantize` comes to for one checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Precision {
    /// As they are stored.
    Stored,
    /// 8 bits.
    Q8_0,
    /// 4 bits, some 6.
    Q4K,
    /// 4 bits by a code book, but for embedding and head.
    Nf4,
}

impl Precision {
    /// The name for files and messages.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Stored => "none",
            Self::Q8_0 => "q8_0",
            Self::Q4K => "q4_k",
            Self::Nf4 => "nf4",
        }
    }
}

/// What a matrix does, as far as that decides how many bits it needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Its rows are looked up.
    Embedding,
    /// It makes logits.
    Head,
    /// One whose errors llama.cpp found to matter most.
    Sensitive,
    /// Any other.
    Other,
    /// Its numbers are added to scores as they are: T5's tables of relative positions, which are small.
    Table,
}

impl Role {
    /// The role of a tensor, by its Hugging Face name. Values and down projections are sensitive in the first and
    /// last eighth of the layers and in every third between (llama.cpp's `use_more_bits`).
    pub(crate) fn of(name: &str, layers: usize, tied: bool) -> Self {
        match name {
            "model.embed_tokens.weight"
            | "gpt_neox.embed_in.weight"
            | "transformer.wte.weight"
            | "shared.weight"
            | "encoder.embed_tokens.weight"
            | "decoder.embed_tokens.weight" => {
                return if tied { Self::Head } else { Self::Embedding };
            }
            "lm_head.weight" | "embed_out.weight" => return Self::Head,
            _ if name.ends_with(".relative_attention_bias.weight") => return Self::Table,
            _ => {}
        }
        let layer = name.split('.').find_map(|part| part.parse::<usize>().ok());
        let sensitive = [
            "v_proj.weight",
            "down_proj.weight",
            "dense_4h_to_h.weight",
            "fc_out.weight",
            "Attention.v.weight",
            ".wo.weight",
        ]
        .iter()
        .any(|ending| name.ends_with(ending));
        match layer {
            Some(layer) if sensitive => {
                let eighth = layers / 8;
                let more = layer < eighth
                    || layer >= 7 * layers / 8
                    || layer.checked_sub(eighth).is_some_and(|layer| layer % 3 == 2);
                if more { Self::Sensitive } else { Self::Other }
            }
            _ => Self::Other,
        }
    }
}

/// In which type a matrix with rows of `k` numbers is held.
pub(crate) fn target(stored: &Stored, packed: bool, precision: Precision, role: Role, k: usize) -> Dtype {
    let wanted = match precision {
        Precision::Stored => None,
        _ if role == Role::Table => None,
        Precision::Q8_0 => Some(Dtype::Q8_0),
        Precision::Q4K => Some(match role {
            Role::Head | Role::Sensitive => Dtype::Q6K,
            Role::Embedding | Role::Other | Role::Table => Dtype::Q4K,
        }),
        Precision::Nf4 => match role {
            Role::Head | Role::Embedding | Role::Table => None,
            Role::Sensitive | Role::Other => Some(Dtype::Nf4),
        },
    };
    if packed {
        // The reference computes with halves; 8 bits hold the 4-bit integers and a scale nearly as well.
        return fitting(wanted.unwrap_or(Dtype::F16), k, Dtype::F16);
    }
    if *stored == Stored::FourBit {
        return Dtype::Nf4;
    }
    // What no kernel multiplies is turned into the nearest type that one does.
    let held = match stored {
        Stored::Blocks(GgmlDType::Q4K) => Dtype::Q4K,
        Stored::Blocks(GgmlDType::Q6K) => Dtype::Q6K,
        Stored::Blocks(_) => Dtype::Q8_0,
        _ => dense(stored),
    };
    // Blocks are never blown up: more bits don't bring back what was lost.
    let chosen = wanted.filter(|wanted| bits(*wanted) < bits(held)).unwrap_or(held);
    fitting(chosen, k, dense(stored))
}

/// The type, or the next one whose blocks divide a row of `k` numbers.
fn fitting(dtype: Dtype, k: usize, dense: Dtype) -> Dtype {
    match dtype {
        Dtype::Q4K | Dtype::Q6K if !k.is_multiple_of(256) => fitting(Dtype::Q8_0, k, dense),
        Dtype::Nf4 if !k.is_multiple_of(64) => fitting(Dtype::Q8_0, k, dense),
        Dtype::Q8_0 if !k.is_multiple_of(32) => dense,
        fits => fits,
    }
}

fn dense(stored: &Stored) -> Dtype {
    match stored {
        Stored::F16 => Dtype::F16,
        Stored::Bf16 => Dtype::Bf16,
        _ => Dtype::F32,
    }
}

/// Bytes of 256 numbers.
pub(crate) fn bits(dtype: Dtype) -> usize {
    match dtype {
        Dtype::F32 => 1024,
        Dtype::F16 | Dtype::Bf16 => 512,
        Dtype::Q8_0 => 8 * 34,
        Dtype::Q4K => 144,
        Dtype::Q6K => 210,
        Dtype::Nf4 => 4 * 33,
    }
}

/// Bytes of a row of `k` numbers.
pub(crate) fn row_bytes(dtype: Dtype, k: usize) -> usize {
    match dtype {
        Dtype::F32 => 4 * k,
        Dtype::F16 | Dtype::Bf16 => 2 * k,
        Dtype::Q8_0 => k / 32 * 34,
        Dtype::Q4K => k / 256 * 144,
        Dtype::Q6K => k / 256 * 210,
        Dtype::Nf4 => k.div_ceil(2) + k.div_ceil(64),
    }
}

/// The block type of ggml; none of [`Dtype::Nf4`], which isn't its.
pub(crate) fn ggml(dtype: Dtype) -> Option<GgmlDType> {
    Some(match dtype {
        Dtype::F32 => GgmlDType::F32,
        Dtype::F16 => GgmlDType::F16,
        Dtype::Bf16 => GgmlDType::BF16,
        Dtype::Q8_0 => GgmlDType::Q8_0,
        Dtype::Q4K => GgmlDType::Q4K,
        Dtype::Q6K => GgmlDType::Q6K,
        Dtype::Nf4 => return None,
    })
}
