//! The decoder's operations as tensors see them: shapes are checked here, numbers are made in
//! [`kernel`](crate::kernel).
//!
//! Each is a custom operation of candle's, forward only as yet. All give every row the same bits
//! whatever other rows are computed with it.

use std::sync::Arc;

use candle_core::{CpuStorage, CustomOp1, CustomOp2, Layout, Result, Shape, Storage, Tensor, bail};
use rayon::prelude::*;

use super::attention::Row;
use super::{Activation, Config};
use crate::kernel::{Matrix, rows};

/// Rows that one task takes: enough to be worth waking a thread for.
const ROWS_PER_TASK: usize = 8;

/// The numbers of a contiguous f32 tensor.
pub(super) fn numbers<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    let CpuStorage::F32(data) = storage else { bail!("an f32 tensor is wanted, not {:?}", storage) };
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&data[start..end]),
        None => bail!("a contiguous tensor is wanted, not {:?}", layout),
    }
}

/// The same shape with another width.
fn with_width(shape: &Shape, width: usize) -> Shape {
    let mut dims = shape.dims().to_vec();
    if let Some(last) = dims.last_mut() {
        *last = width;
    }
    Shape::from(dims)
}

/// A projection `x Wᵀ + b`, with what an adapter adds.
pub(crate) struct Linear {
    /// [n, k]
    pub(crate) weight: Arc<Matrix>,
    /// [n]
    pub(crate) bias: Option<Vec<f32>>,
    pub(crate) adapter: Option<LowRank>,
}

/// `scaling * (x Aᵀ) Bᵀ`.
pub(crate) struct LowRank {
    /// [r, k]; parts of one projection share it.
    pub(crate) a: Arc<Matrix>,
    /// [n, r]
    pub(crate) b: Matrix,
    pub(crate) scaling: f32,
}

impl LowRank {
    /// Adds it to `out`: [rows, n].
    fn add(&self, x: &[f32], out: &mut [f32]) {
        let mut inner = vec![0.0; x.len() / self.a.k() * self.a.n()];
        self.a.matmul(x, &mut inner);
        inner.iter_mut().for_each(|number| *number *= self.scaling);
        let mut added = vec![0.0; out.len()];
        self.b.matmul(&inner, &mut added);
        rows::add_in_place(out, &added);
    }
}

impl Linear {
    /// [rows, k] -> [rows, n]
    pub(crate) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        x.apply_op1_no_bwd(self)
    }

    /// [rows, k] -> [rows, n], into memory that is used again.
    pub(crate) fn forward_into(&self, x: &Tensor, out: &mut Vec<f32>) -> Result<()> {
        let (storage, layout) = x.storage_and_layout();
        let Storage::Cpu(storage) = &*storage else { bail!("weights are in the processor's memory") };
        out.resize(x.elem_count() / self.weight.k() * self.weight.n(), 0.0);
        self.multiply(storage, layout, out)
    }

    fn multiply(&self, storage: &CpuStorage, layout: &Layout, out: &mut [f32]) -> Result<()> {
        let x = numbers(storage, layout)?;
        let (n, k) = (self.weight.n(), self.weight.k());
        if layout.dims().last() != Some(&k) {
            bail!("linear: rows of {:?} can't be multiplied with a matrix of [{n}, {k}]", layout.dims());
        }
        self.weight.matmul(x, out);
        if let Some(bias) = &self.bias {
            for row in out.chunks_exact_mut(n) {
                rows::add_in_place(row, bias);
            }
        }
        if let Some(adapter) = &self.adapter {
            adapter.add(x, out);
        }
        Ok(())
    }
}

impl CustomOp1 for Linear {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let n = self.weight.n();
        let mut out = vec![0.0; layout.shape().elem_count() / self.weight.k() * n];
        self.multiply(storage, layout, &mut out)?;
        Ok((CpuStorage::F32(out), with_width(layout.shape(), n)))
    }
}

/// A norm over the last dimension.
pub(crate) struct Norm {
    pub(crate) weight: Vec<f32>,
    /// With a bias it is a layer norm, without one the root mean square.
    pub(crate) bias: Option<Vec<f32>>,
    pub(crate) eps: f32,
}

impl Norm {
    /// [.., width] -> [.., width]; with a narrower weight than the rows, each run of its width is
    /// normalised for itself (heads).
    pub(crate) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        x.apply_op1_no_bwd(self)
    }
}

impl CustomOp1 for Norm {
    fn name(&self) -> &'static str {
        "norm"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let x = numbers(storage, layout)?;
        let width = self.weight.len();
        if !layout.dims().last().is_some_and(|last| last.is_multiple_of(width)) {
            bail!("norm: rows of {:?} don't fit a weight of [{width}]", layout.dims());
        }
        let mut out = vec![0.0; x.len()];
        match &self.bias {
            Some(bias) => rows::layer_norm(x, &self.weight, bias, self.eps, &mut out),
            None => rows::rms_norm(x, &self.weight, self.eps, &mut out),
        }
        Ok((CpuStorage::F32(out), layout.shape().clone()))
    }
}

/// The nonlinearity of the feed-forward layer where it isn't gated.
pub(crate) struct Gelu(pub(crate) Activation);

impl CustomOp1 for Gelu {
    fn name(&self) -> &'static str {
        "gelu"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let x = numbers(storage, layout)?;
        let mut out = vec![0.0; x.len()];
        match self.0 {
            Activation::Gelu => rows::gelu(x, &mut out),
            Activation::GeluTanh => rows::gelu_tanh(x, &mut out),
            Activation::Silu => bail!("SiLU is gated here"),
        }
        Ok((CpuStorage::F32(out), layout.shape().clone()))
    }
}

/// The sum of two tensors of one shape. candle's own sum runs on threads of its own, which spin beside ours.
pub(crate) struct Add;

impl CustomOp2 for Add {
    fn name(&self) -> &'static str {
        "add"
    }

    fn cpu_fwd(
        &self,
        one: &CpuStorage,
        one_layout: &Layout,
        two: &CpuStorage,
        two_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        if one_layout.shape() != two_layout.shape() {
            bail!("add: {:?} and {:?}", one_layout.dims(), two_layout.dims());
        }
        let mut out = numbers(one, one_layout)?.to_vec();
        rows::add_in_place(&mut out, numbers(two, two_layout)?);
        Ok((CpuStorage::F32(out), one_layout.shape().clone()))
    }
}

/// `silu(gate) * up`, element by element.
pub(crate) struct SwiGlu;

impl CustomOp2 for SwiGlu {
    fn name(&self) -> &'static str {
        "swiglu"
    }

    fn cpu_fwd(
        &self,
        gate: &CpuStorage,
        gate_layout: &Layout,
        up: &CpuStorage,
        up_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (gate, up) = (numbers(gate, gate_layout)?, numbers(up, up_layout)?);
        let mut out = vec![0.0; gate.len()];
        rows::silu_mul(gate, up, &mut out);
        Ok((CpuStorage::F32(out), gate_layout.shape().clone()))
    }
}

/// Turns the leading dimensions of every head by its row's angles.
pub(crate) struct Rotate {
    pub(crate) head_dim: usize,
    pub(crate) interleaved: bool,
    /// [rows, dim / 2] cosines.
    pub(crate) cos: Vec<f32>,
    /// [rows, dim / 2] sines.
    pub(crate) sin: Vec<f32>,
}

impl Rotate {
    /// The angles of these rows.
    pub(crate) fn at(config: &Config, rows: &[Row]) -> Self {
        let frequencies = config.rope.frequencies();
        // Positions are far below 2^24, so they are exact in f32.
        let angles: Vec<f32> = rows
            .iter()
            .flat_map(|row| frequencies.iter().map(|frequency| row.position as f32 * frequency))
            .collect();
        Self {
            head_dim: config.head_dim,
            interleaved: config.rope.interleaved,
            cos: angles.iter().map(|angle| angle.cos()).collect(),
            sin: angles.iter().map(|angle| angle.sin()).collect(),
        }
    }

    /// [rows, heads * head_dim] -> the same
    pub(crate) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        x.apply_op1_no_bwd(self)
    }

    fn head(&self, head: &mut [f32], cos: &[f32], sin: &[f32]) {
        let half = cos.len();
        for (pair, (cos, sin)) in cos.iter().zip(sin).enumerate() {
            let (one, two) = if self.interleaved { (2 * pair, 2 * pair + 1) } else { (pair, pair + half) };
            let (x, y) = (head[one], head[two]);
            head[one] = x * cos - y * sin;
            head[two] = y * cos + x * sin;
        }
    }
}

impl CustomOp1 for Rotate {
    fn name(&self) -> &'static str {
        "rotate"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (rows, width) = layout.shape().dims2()?;
        let mut out = numbers(storage, layout)?.to_vec();
        let half = self.cos.len() / rows.max(1);
        out.par_chunks_mut(width).enumerate().with_min_len(ROWS_PER_TASK).for_each(|(row, x)| {
            let angles = row * half..(row + 1) * half;
            for head in x.chunks_exact_mut(self.head_dim) {
                self.head(head, &self.cos[angles.clone()], &self.sin[angles.clone()]);
            }
        });
        Ok((CpuStorage::F32(out), layout.shape().clone()))
    }
}
