//! A Llama of random numbers as a GGUF file: something to measure on, where no model is at hand.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use half::f16;
use instil::rng::nth;
use instil::{Error, Result};

use super::write_gguf::{ALIGNMENT, Keys, text};

/// What a random Llama looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RandomLlama {
    /// Tokens; the first 256 are bytes, and the next one begins and ends texts.
    pub vocab: usize,
    /// The width of a row.
    pub hidden: usize,
    /// The width of a feed-forward layer.
    pub intermediate: usize,
    /// Blocks.
    pub layers: usize,
    /// Query heads.
    pub heads: usize,
    /// Key and value heads.
    pub kv_heads: usize,
    /// The window in tokens.
    pub positions: usize,
}

impl RandomLlama {
    /// 125 million weights, the model of instil's own benchmarks.
    pub const M125: Self = Self {
        vocab: 32_000,
        hidden: 768,
        intermediate: 2048,
        layers: 12,
        heads: 12,
        kv_heads: 4,
        positions: 2048,
    };

    /// Writes it with its matrices as Q8_0; every width is a multiple of 32.
    ///
    /// # Errors
    /// When the file can't be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let trouble = |error: std::io::Error| {
            Error::output(format!("failed to write `{}`", path.display())).because(error)
        };
        let keys = self.keys();
        let tensors = self.tensors();
        let mut header = b"GGUF".to_vec();
        header.extend(3_u32.to_le_bytes());
        header.extend((tensors.len() as u64).to_le_bytes());
        keys.write(&mut header);
        let mut offset = 0;
        for (name, shape) in &tensors {
            text(&mut header, name);
            header.extend((shape.len() as u32).to_le_bytes());
            shape.iter().rev().for_each(|size| header.extend((*size as u64).to_le_bytes()));
            // ggml's numbers of f32 and Q8_0.
            header.extend(if shape.len() == 1 { 0_u32 } else { 8_u32 }.to_le_bytes());
            header.extend((offset as u64).to_le_bytes());
            offset += bytes(shape).next_multiple_of(ALIGNMENT);
        }
        header.resize(header.len().next_multiple_of(ALIGNMENT), 0);
        let mut file = BufWriter::new(File::create(path).map_err(trouble)?);
        file.write_all(&header).map_err(trouble)?;
        for (number, (_, shape)) in (0..).zip(&tensors) {
            match shape[..] {
                [len] => (0..len).try_for_each(|_| file.write_all(&1.0_f32.to_le_bytes())),
                _ => matrix(&mut file, number, shape),
            }
            .map_err(trouble)?;
            file.write_all(&vec![0; bytes(shape).next_multiple_of(ALIGNMENT) - bytes(shape)])
                .map_err(trouble)?;
        }
        file.flush().map_err(trouble)
    }

    fn keys(&self) -> Keys {
        let mut keys = Keys::default();
        keys.text("general.architecture", "llama");
        keys.text("general.name", "random");
        for (part, count) in [
            ("block_count", self.layers),
            ("context_length", self.positions),
            ("embedding_length", self.hidden),
            ("feed_forward_length", self.intermediate),
            ("attention.head_count", self.heads),
            ("attention.head_count_kv", self.kv_heads),
            ("rope.dimension_count", self.hidden / self.heads),
            ("vocab_size", self.vocab),
        ] {
            keys.u32(&format!("llama.{part}"), count);
        }
        keys.f32("llama.attention.layer_norm_rms_epsilon", 1e-5);
        keys.u32("general.file_type", 7);
        keys.u32("general.quantization_version", 2);
        // GPT-2's letters for the bytes.
        let mut others = (256..).filter_map(char::from_u32);
        let letter = |byte: u8| match byte {
            b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff => Some(char::from(byte)),
            _ => others.next(),
        };
        let mut tokens: Vec<String> = (0..=u8::MAX).filter_map(letter).map(String::from).collect();
        let end = tokens.len();
        tokens.push("<|end|>".to_owned());
        tokens.extend((tokens.len()..self.vocab).map(|id| format!("[{id}]")));
        let kinds: Vec<i32> = (0..tokens.len()).map(|id| if id == end { 3 } else { 1 }).collect();
        keys.text("tokenizer.ggml.model", "gpt2");
        keys.text("tokenizer.ggml.pre", "gpt-2");
        keys.texts("tokenizer.ggml.tokens", &tokens);
        keys.integers("tokenizer.ggml.token_type", &kinds);
        keys.texts("tokenizer.ggml.merges", &[]);
        keys.u32("tokenizer.ggml.bos_token_id", end);
        keys.u32("tokenizer.ggml.eos_token_id", end);
        keys.flag("tokenizer.ggml.add_bos_token", true);
        keys
    }

    fn tensors(&self) -> Vec<(String, Vec<usize>)> {
        let Self { vocab, hidden, intermediate, .. } = *self;
        let narrow = hidden / self.heads * self.kv_heads;
        let of = |name: &str, shape: &[usize]| (format!("{name}.weight"), shape.to_vec());
        let mut tensors = vec![of("token_embd", &[vocab, hidden])];
        for layer in 0..self.layers {
            for (name, shape) in [
                ("attn_norm", &[hidden][..]),
                ("attn_q", &[hidden, hidden]),
                ("attn_k", &[narrow, hidden]),
                ("attn_v", &[narrow, hidden]),
                ("attn_output", &[hidden, hidden]),
                ("ffn_norm", &[hidden]),
                ("ffn_gate", &[intermediate, hidden]),
                ("ffn_up", &[intermediate, hidden]),
                ("ffn_down", &[hidden, intermediate]),
            ] {
                tensors.push(of(&format!("blk.{layer}.{name}"), shape));
            }
        }
        tensors.extend([of("output_norm", &[hidden]), of("output", &[vocab, hidden])]);
        tensors
    }
}

/// Bytes of a tensor: vectors in f32, matrices in blocks of 34 bytes for 32 numbers.
fn bytes(shape: &[usize]) -> usize {
    let numbers: usize = shape.iter().product();
    if shape.len() == 1 { 4 * numbers } else { numbers / 32 * 34 }
}

/// Even numbers with about the deviation of a trained matrix, 0.02.
fn matrix(out: &mut impl Write, number: u64, shape: &[usize]) -> std::io::Result<()> {
    let blocks = shape.iter().product::<usize>() / 32;
    let scale = f16::from_f32(0.02 * 3.0_f32.sqrt() / 127.0).to_le_bytes();
    for block in 0..blocks as u64 {
        out.write_all(&scale)?;
        for word in 0..4 {
            // -128 is no number of Q8_0.
            let bytes = nth(number, block * 4 + word).to_le_bytes();
            out.write_all(&bytes.map(|byte| if byte == 0x80 { 0x81 } else { byte }))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use instil::lm::LanguageModel as _;

    use super::*;
    use crate::bench::{Job, measure};
    use crate::engine::{Engine, Settings};
    use crate::kernel::Dtype;

    #[test]
    fn a_random_model_is_loaded_and_measured() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("random.gguf");
        let shape = RandomLlama {
            vocab: 300,
            hidden: 64,
            intermediate: 96,
            layers: 2,
            heads: 4,
            kv_heads: 2,
            positions: 600,
        };
        shape.write(&path).unwrap();
        let engine = Engine::load(&path, &Settings { threads: 1, ..Settings::default() }).unwrap();
        assert_eq!(engine.tokenizer().encode("a b", false).unwrap(), [97, 32, 98]);
        assert!(engine.capabilities().constrains);
        let cost = engine.cost();
        assert_eq!(cost.row, 2 * (64 * 64 * 2 + 32 * 64 * 2 + 3 * 96 * 64));
        assert_eq!((cost.head, cost.dtype), (300 * 64, Dtype::Q8_0));
        let limits = engine.limits();
        assert!(limits.bytes > 1e8 && limits.f32 > 1e8 && limits.i8 > 1e8, "{limits:?}");
        for job in [Job::Read { prompts: 1 }, Job::Write { texts: 2, tokens: 4 }] {
            let speed = measure(&engine, job, &limits, 1).unwrap();
            assert!(speed.tokens > 0.0 && speed.share > 0.0, "{speed:?}");
        }
        let short = RandomLlama { positions: 100, ..shape };
        short.write(&path).unwrap();
        let engine = Engine::load(&path, &Settings::default()).unwrap();
        assert!(measure(&engine, Job::Read { prompts: 1 }, &limits, 1).is_err());
    }
}
