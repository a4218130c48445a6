//! What each family calls its tensors (transformers 5, `modeling_*.py`).

use std::collections::BTreeMap;

use super::config::Activation;
use super::{Config, Family};

/// Names of tensors, without `.weight` and `.bias`; those of a block come after its prefix.
pub(crate) struct Names {
    pub(crate) embed: &'static str,
    pub(crate) norm: &'static str,
    pub(crate) head: &'static str,
    /// What stands before a block's number.
    pub(crate) layers: &'static str,
    pub(crate) norm1: &'static str,
    pub(crate) norm2: &'static str,
    pub(crate) attention: Attention,
    pub(crate) attention_out: &'static str,
    pub(crate) q_norm: &'static str,
    pub(crate) k_norm: &'static str,
    pub(crate) gate: &'static str,
    pub(crate) up: &'static str,
    pub(crate) down: &'static str,
}

/// How queries, keys and values are stored.
pub(crate) enum Attention {
    /// A tensor each.
    Apart { q: &'static str, k: &'static str, v: &'static str },
    /// One tensor; each head's query rows, then its key rows, then its value rows (GPT-NeoX).
    ByHead(&'static str),
}

impl Names {
    pub(crate) fn of(family: Family) -> Self {
        match family {
            Family::Llama | Family::Mistral | Family::Qwen2 | Family::Qwen3 => Self {
                embed: "model.embed_tokens",
                norm: "model.norm",
                head: "lm_head",
                layers: "model.layers",
                norm1: "input_layernorm",
                norm2: "post_attention_layernorm",
                attention: Attention::Apart {
                    q: "self_attn.q_proj",
                    k: "self_attn.k_proj",
                    v: "self_attn.v_proj",
                },
                attention_out: "self_attn.o_proj",
                q_norm: "self_attn.q_norm",
                k_norm: "self_attn.k_norm",
                gate: "mlp.gate_proj",
                up: "mlp.up_proj",
                down: "mlp.down_proj",
            },
            Family::GptNeoX => Self {
                embed: "gpt_neox.embed_in",
                norm: "gpt_neox.final_layer_norm",
                head: "embed_out",
                layers: "gpt_neox.layers",
                norm1: "input_layernorm",
                norm2: "post_attention_layernorm",
                attention: Attention::ByHead("attention.query_key_value"),
                attention_out: "attention.dense",
                q_norm: "",
                k_norm: "",
                gate: "",
                up: "mlp.dense_h_to_4h",
                down: "mlp.dense_4h_to_h",
            },
            Family::GptJ => Self {
                embed: "transformer.wte",
                norm: "transformer.ln_f",
                head: "lm_head",
                layers: "transformer.h",
                norm1: "ln_1",
                norm2: "",
                attention: Attention::Apart { q: "attn.q_proj", k: "attn.k_proj", v: "attn.v_proj" },
                attention_out: "attn.out_proj",
                q_norm: "",
                k_norm: "",
                gate: "",
                up: "mlp.fc_in",
                down: "mlp.fc_out",
            },
        }
    }
}

impl Config {
    /// The linear layers by name, without `.weight`, with outputs and inputs: what an adapter can change.
    pub fn linears(&self) -> BTreeMap<String, (usize, usize)> {
        let names = Names::of(self.family);
        let (hidden, width) = (self.hidden, self.heads * self.head_dim);
        let mut parts = match names.attention {
            Attention::Apart { q, k, v } => {
                let narrow = self.kv_heads * self.head_dim;
                vec![(q, (width, hidden)), (k, (narrow, hidden)), (v, (narrow, hidden))]
            }
            Attention::ByHead(qkv) => vec![(qkv, (3 * width, hidden))],
        };
        parts.push((names.attention_out, (hidden, width)));
        if self.activation == Activation::Silu {
            parts.push((names.gate, (self.intermediate, hidden)));
        }
        parts.push((names.up, (self.intermediate, hidden)));
        parts.push((names.down, (hidden, self.intermediate)));
        let blocks = (0..self.layers).flat_map(|layer| {
            let name = move |part: &str| format!("{}.{layer}.{part}", names.layers);
            parts.iter().map(move |(part, shape)| (name(part), *shape))
        });
        blocks.chain([(names.head.to_owned(), (self.vocab, hidden))]).collect()
    }

    /// The name, without `.weight`, of the embedding.
    pub(crate) fn embedding(&self) -> &'static str {
        Names::of(self.family).embed
    }

    /// The name, without `.weight`, of the linear layer that makes the logits.
    pub fn head(&self) -> &'static str {
        Names::of(self.family).head
    }
}
