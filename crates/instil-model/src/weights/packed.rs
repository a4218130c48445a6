//! Checkpoints of 4-bit integers: AWQ (GEMM layout) and GPTQ, widened by the formulas of AutoAWQ 0.2 and
//! GPTQModel's reference kernels.
//!
//! Both store a linear layer of `k` inputs and `n` outputs as integers `q`, with a scale `s` and a zero `z` for
//! each output and each group of inputs: the weight is `(q - z) * s`.

use std::ops::Range;

use half::{bf16, f16};
use instil::{Error, Result};
use serde_json::Value;

use super::tensor::{Order, Stored};

/// Integers in one 32-bit word.
const PER_WORD: usize = 8;

/// At which of a word's eight 4-bit places AWQ's GEMM layout keeps each of eight neighbouring outputs.
const AWQ_PLACE: [u32; PER_WORD] = [0, 4, 1, 5, 2, 6, 3, 7];

/// What `quantization_config` of a `config.json` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Packing {
    pub(crate) kind: Kind,
    /// Inputs that share a scale; none where all do.
    pub(crate) group: Option<usize>,
}

/// The two layouts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Eight outputs in a word.
    AwqGemm,
    /// Eight inputs in a word.
    Gptq {
        /// Whether zeros are stored less one, as everybody but `gptq_v2` does.
        zeros_less_one: bool,
    },
}

impl Packing {
    /// Reads `quantization_config`; none where the weights aren't packed.
    ///
    /// # Errors
    /// When the method, its bits or its version isn't known.
    pub(crate) fn of_config(config: &Value) -> Result<Option<Self>> {
        let Some(json) = config.get("quantization_config").filter(|json| !json.is_null()) else {
            return Ok(None);
        };
        let text = |key: &str| json.get(key).and_then(Value::as_str).map(str::to_lowercase);
        let number = |keys: [&str; 2]| keys.iter().find_map(|key| json.get(key)).and_then(Value::as_i64);
        let refused = |what: String| {
            Error::input(format!("config.json: the weights are quantised by {what}, which isn't read"))
                .with_hint(
                    "take the original weights with --quantize q4_k or q8_0, or the model's GGUF; \
                 of packed weights AWQ (GEMM), GPTQ and bitsandbytes of 4 bits are read",
                )
        };
        let on = |key: &str| json.get(key).and_then(Value::as_bool).unwrap_or(false);
        let by_bitsandbytes = text("quant_method").as_deref() == Some("bitsandbytes");
        if by_bitsandbytes
            || (json.get("quant_method").is_none() && (on("load_in_4bit") || on("load_in_8bit")))
        {
            if on("load_in_8bit") || on("_load_in_8bit") {
                return Err(refused("bitsandbytes with 8 bits".into()));
            }
            // Which layers are, and how, their tensors say.
            return Ok(None);
        }
        let method = text("quant_method").unwrap_or_else(|| "a method without a name".into());
        if method != "awq" && method != "gptq" {
            return Err(refused(method));
        }
        match number(["bits", "w_bit"]) {
            Some(4) => {}
            Some(bits) => return Err(refused(format!("{method} with {bits} bits"))),
            None => return Err(Error::input("config.json: `bits` of quantization_config is missing")),
        }
        let group = match number(["group_size", "q_group_size"]) {
            Some(-1) => None,
            Some(size) if size > 0 => usize::try_from(size).ok(),
            Some(size) => return Err(Error::input(format!("config.json: group_size is {size}"))),
            None => return Err(Error::input("config.json: `group_size` of quantization_config is missing")),
        };
        let kind = if method == "awq" {
            match text("version").as_deref() {
                None | Some("gemm") => Kind::AwqGemm,
                Some(version) => return Err(refused(format!("awq in the layout {version}"))),
            }
        } else {
            match text("checkpoint_format").as_deref() {
                None | Some("gptq") => Kind::Gptq { zeros_less_one: true },
                Some("gptq_v2") => Kind::Gptq { zeros_less_one: false },
                Some(format) => return Err(refused(format!("gptq in the layout {format}"))),
            }
        };
        Ok(Some(Self { kind, group }))
    }

    /// Inputs in a group of a layer with `k` inputs.
    pub(crate) fn group_of(&self, k: usize) -> usize {
        self.group.unwrap_or(k)
    }
}

/// One packed linear layer.
pub(crate) struct Packed<'a> {
    pub(crate) kind: Kind,
    /// Inputs.
    pub(crate) k: usize,
    /// Outputs.
    pub(crate) n: usize,
    /// AWQ: `[k, n / 8]`; GPTQ: `[k / 8, n]`.
    pub(crate) weights: &'a [u8],
    /// `[groups, n / 8]`.
    pub(crate) zeros: &'a [u8],
    /// `[groups, n]`.
    pub(crate) scales: &'a [u8],
    /// How the scales are stored.
    pub(crate) scale_type: &'a Stored,
    /// By input, its group.
    pub(crate) groups: Vec<usize>,
}

impl Packed<'_> {
    /// Widens rows, that is outputs.
    pub(crate) fn widen(&self, order: &Order, band: Range<usize>, out: &mut [f32]) {
        let outputs: Vec<usize> = band.map(|row| order.at(row)).collect();
        // The group changes seldom, so its scales and zeros are kept beside.
        let mut scales = vec![0.0f32; outputs.len()];
        let mut zeros = vec![0i32; outputs.len()];
        let mut current = None;
        for (input, &group) in self.groups.iter().enumerate() {
            if current != Some(group) {
                current = Some(group);
                for ((scale, zero), &output) in scales.iter_mut().zip(&mut zeros).zip(&outputs) {
                    *scale = self.scale(group, output);
                    *zero = self.zero(group, output);
                }
            }
            for (row, &output) in outputs.iter().enumerate() {
                let weight = self.weight(input, output) - zeros[row];
                out[row * self.k + input] = weight as f32 * scales[row];
            }
        }
    }

    fn weight(&self, input: usize, output: usize) -> i32 {
        match self.kind {
            Kind::AwqGemm => {
                let word = word(self.weights, input * (self.n / PER_WORD) + output / PER_WORD);
                nibble(word, AWQ_PLACE[output % PER_WORD])
            }
            Kind::Gptq { .. } => {
                let word = word(self.weights, input / PER_WORD * self.n + output);
                nibble(word, (input % PER_WORD) as u32)
            }
        }
    }

    fn zero(&self, group: usize, output: usize) -> i32 {
        let word = word(self.zeros, group * (self.n / PER_WORD) + output / PER_WORD);
        match self.kind {
            Kind::AwqGemm => nibble(word, AWQ_PLACE[output % PER_WORD]),
            Kind::Gptq { zeros_less_one } => {
                let zero = nibble(word, (output % PER_WORD) as u32);
                // Four bits wrap: a zero of 0 is stored as 15.
                if zeros_less_one { (zero + 1) & 15 } else { zero }
            }
        }
    }

    fn scale(&self, group: usize, output: usize) -> f32 {
        let at = group * self.n + output;
        match self.scale_type {
            Stored::F32 => f32::from_bits(word(self.scales, at)),
            Stored::Bf16 => bf16::from_bits(half_word(self.scales, at)).to_f32(),
            _ => f16::from_bits(half_word(self.scales, at)).to_f32(),
        }
    }
}

fn word(bytes: &[u8], index: usize) -> u32 {
    let (words, _) = bytes.as_chunks();
    u32::from_le_bytes(words[index])
}

fn half_word(bytes: &[u8], index: usize) -> u16 {
    let (words, _) = bytes.as_chunks();
    u16::from_le_bytes(words[index])
}

fn nibble(word: u32, place: u32) -> i32 {
    (word >> (4 * place) & 15) as i32
}
