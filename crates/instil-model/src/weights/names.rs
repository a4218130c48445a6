//! Where a GGUF file keeps what Hugging Face's names mean.

use super::tensor::Order;
use crate::decoder::Config;

/// The architectures of GGUF files that are read, by `general.architecture`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Architecture {
    /// Llama and Mistral; rows of queries and keys lie in pairs.
    Llama,
    /// Qwen2.
    Qwen2,
    /// Qwen3.
    Qwen3,
    /// GPT-NeoX; queries, keys and values of all heads lie one after the other.
    GptNeoX,
    /// Our own copies: Hugging Face's names and order, with config.json inside.
    Own,
}

impl Architecture {
    /// All of them with their names.
    pub(crate) const ALL: [(&'static str, Self); 5] = [
        ("llama", Self::Llama),
        ("qwen2", Self::Qwen2),
        ("qwen3", Self::Qwen3),
        ("gptneox", Self::GptNeoX),
        ("instil", Self::Own),
    ];

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, architecture)| *architecture)
    }
}

/// The parts of a block: Hugging Face's name, llama.cpp's.
const LLAMA: [(&str, &str); 11] = [
    ("input_layernorm", "attn_norm"),
    ("post_attention_layernorm", "ffn_norm"),
    ("self_attn.q_proj", "attn_q"),
    ("self_attn.k_proj", "attn_k"),
    ("self_attn.v_proj", "attn_v"),
    ("self_attn.o_proj", "attn_output"),
    ("self_attn.q_norm", "attn_q_norm"),
    ("self_attn.k_norm", "attn_k_norm"),
    ("mlp.gate_proj", "ffn_gate"),
    ("mlp.up_proj", "ffn_up"),
    ("mlp.down_proj", "ffn_down"),
];

const NEOX: [(&str, &str); 6] = [
    ("input_layernorm", "attn_norm"),
    ("post_attention_layernorm", "ffn_norm"),
    ("attention.query_key_value", "attn_qkv"),
    ("attention.dense", "attn_output"),
    ("mlp.dense_h_to_4h", "ffn_up"),
    ("mlp.dense_4h_to_h", "ffn_down"),
];

/// llama.cpp's name of a Hugging Face tensor, without the file's say; none where it has none.
pub(crate) fn gguf_name(architecture: Architecture, name: &str) -> Option<String> {
    let (stem, kind) = name.rsplit_once('.')?;
    let (parts, block, whole): (&[(&str, &str)], _, _) = match architecture {
        Architecture::Own => return Some(name.to_owned()),
        Architecture::GptNeoX => (
            &NEOX,
            stem.strip_prefix("gpt_neox.layers."),
            match stem {
                "gpt_neox.embed_in" => Some("token_embd"),
                "gpt_neox.final_layer_norm" => Some("output_norm"),
                "embed_out" => Some("output"),
                _ => None,
            },
        ),
        Architecture::Llama | Architecture::Qwen2 | Architecture::Qwen3 => (
            &LLAMA,
            stem.strip_prefix("model.layers."),
            match stem {
                "model.embed_tokens" => Some("token_embd"),
                "model.norm" => Some("output_norm"),
                "lm_head" => Some("output"),
                _ => None,
            },
        ),
    };
    if let Some(whole) = whole {
        return Some(format!("{whole}.{kind}"));
    }
    let (layer, part) = block?.split_once('.')?;
    let part = parts.iter().find(|(ours, _)| *ours == part)?.1;
    Some(format!("blk.{layer}.{part}.{kind}"))
}

/// Hugging Face's name of llama.cpp's tensor.
pub(crate) fn hugging_face_name(architecture: Architecture, name: &str) -> Option<String> {
    let (stem, kind) = name.rsplit_once('.')?;
    let (parts, prefix, whole): (&[(&str, &str)], _, [&str; 3]) = match architecture {
        Architecture::Own => return Some(name.to_owned()),
        Architecture::GptNeoX => {
            (&NEOX, "gpt_neox.layers", ["gpt_neox.embed_in", "gpt_neox.final_layer_norm", "embed_out"])
        }
        _ => (&LLAMA, "model.layers", ["model.embed_tokens", "model.norm", "lm_head"]),
    };
    let whole = match stem {
        "token_embd" => Some(whole[0]),
        "output_norm" => Some(whole[1]),
        "output" => Some(whole[2]),
        _ => None,
    };
    if let Some(whole) = whole {
        return Some(format!("{whole}.{kind}"));
    }
    let (layer, part) = stem.strip_prefix("blk.")?.split_once('.')?;
    let part = parts.iter().find(|(_, theirs)| *theirs == part)?.0;
    Some(format!("{prefix}.{layer}.{part}.{kind}"))
}

/// In which order the file's rows make Hugging Face's tensor of `rows` rows.
pub(crate) fn order(architecture: Architecture, name: &str, config: &Config, rows: usize) -> Order {
    let width = config.head_dim;
    match architecture {
        // llama.cpp rotates neighbours, so its converter lays a head's two halves into each other.
        Architecture::Llama if name.contains(".q_proj.") || name.contains(".k_proj.") => {
            if width == 0 || !rows.is_multiple_of(width) || !width.is_multiple_of(2) {
                return Order::All;
            }
            let from = |row: usize| {
                let (head, within) = (row / width, row % width);
                let (half, pair) = (within / (width / 2), within % (width / 2));
                head * width + 2 * pair + half
            };
            Order::Picked((0..rows).map(from).collect())
        }
        // Hugging Face: by head its query, key and value. llama.cpp: all queries, all keys, all values.
        Architecture::GptNeoX if name.contains(".query_key_value.") => {
            if width == 0 || rows != 3 * config.heads * width {
                return Order::All;
            }
            let from = |row: usize| {
                let (head, within) = (row / (3 * width), row % (3 * width));
                let (part, within) = (within / width, within % width);
                (part * config.heads + head) * width + within
            };
            Order::Picked((0..rows).map(from).collect())
        }
        _ => Order::All,
    }
}
