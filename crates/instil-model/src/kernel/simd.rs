//! Sixteen lanes, three ways: AVX-512, AVX2 and plain arrays that a compiler vectorises.
//!
//! A kernel is written once over [`Simd`] and run through [`Isa::run`]. The three give the same bits: integer sums are
//! exact, and f32 sums go over the same sixteen lanes with fused multiply-add and one order of reduction.

#[cfg(target_arch = "x86_64")]
mod x86;

/// The instructions that a kernel runs with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Isa {
    /// [`Isa::Avx512`] with BF16.
    #[cfg(target_arch = "x86_64")]
    Avx512Bf16,
    /// AVX-512 F, BW, DQ, VL and VNNI.
    #[cfg(target_arch = "x86_64")]
    Avx512,
    /// AVX2, FMA and F16C.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// What the compiler makes of plain code (on aarch64: NEON with fused multiply-add).
    Portable,
}

/// A computation that is written once over the instruction sets.
pub(crate) trait Work {
    /// What it gives.
    type Out;

    /// Does it. Implementations are `#[inline(always)]`, so that they are compiled with the features of the caller.
    ///
    /// # Safety
    /// The processor has the features of `S`, and what the work holds as raw pointers is valid.
    unsafe fn run<S: Simd>(self) -> Self::Out;
}

impl Isa {
    /// The fastest that this processor has. `std` remembers what it found.
    pub(crate) fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512vl")
                && is_x86_feature_detected!("avx512vnni")
            {
                return if is_x86_feature_detected!("avx512bf16") { Self::Avx512Bf16 } else { Self::Avx512 };
            }
            if is_x86_feature_detected!("avx2")
                && is_x86_feature_detected!("fma")
                && is_x86_feature_detected!("f16c")
            {
                return Self::Avx2;
            }
        }
        Self::Portable
    }

    /// All that this processor has, fastest first.
    #[cfg(test)]
    pub(crate) fn available() -> Vec<Self> {
        match Self::detect() {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Bf16 => vec![Self::Avx512Bf16, Self::Avx512, Self::Avx2, Self::Portable],
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => vec![Self::Avx512, Self::Avx2, Self::Portable],
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => vec![Self::Avx2, Self::Portable],
            Self::Portable => vec![Self::Portable],
        }
    }

    /// Runs the work with these instructions.
    ///
    /// # Safety
    /// This processor has them ([`Isa::detect`] says), and the work's pointers are valid.
    pub(crate) unsafe fn run<W: Work>(self, work: W) -> W::Out {
        // SAFETY: passed on to the caller.
        unsafe {
            match self {
                #[cfg(target_arch = "x86_64")]
                Self::Avx512Bf16 | Self::Avx512 => x86::Avx512::<false>::call(work),
                #[cfg(target_arch = "x86_64")]
                Self::Avx2 => x86::Avx2::call(work),
                Self::Portable => Portable::call(work),
            }
        }
    }

    /// [`Isa::run`] for work that has [`Simd::dot_bf16`] in it: only there do instructions for it make a difference.
    ///
    /// # Safety
    /// As [`Isa::run`].
    pub(crate) unsafe fn run_bf16<W: Work>(self, work: W) -> W::Out {
        // SAFETY: passed on to the caller.
        unsafe {
            match self {
                #[cfg(target_arch = "x86_64")]
                Self::Avx512Bf16 => x86::Avx512::<true>::call(work),
                _ => self.run(work),
            }
        }
    }
}

/// Sixteen lanes of f32 or i32, and 64 bytes: four for each of sixteen columns.
///
/// # Safety
/// Every function wants the processor's features; those that take pointers read or write sixteen elements (64 bytes)
/// there, of any alignment.
pub(crate) trait Simd: Copy {
    /// Sixteen f32.
    type F: Copy;
    /// Sixteen i32.
    type I: Copy;
    /// Sixteen times four bytes, or two bf16.
    type B: Copy;

    /// How many rows of activations the dense kernels keep in registers against four rows of weights.
    const DENSE_ROWS: usize;
    /// How many rows of activations the quantised kernels keep in registers against [`Simd::QUANT_TILES`] tiles.
    const QUANT_ROWS: usize;
    /// How many tiles of sixteen columns at a time: 1 or 2.
    const QUANT_TILES: usize;
    /// What [`Simd::dot_offset`] takes for zero: what it adds is `(w - 128 + OFFSET) * x`.
    const OFFSET: i32;

    /// Runs the work as a function of its own, compiled with the features.
    unsafe fn call<W: Work>(work: W) -> W::Out;

    unsafe fn zero() -> Self::F;
    unsafe fn splat(v: f32) -> Self::F;
    unsafe fn load(p: *const f32) -> Self::F;
    unsafe fn store(p: *mut f32, v: Self::F);
    /// Widens sixteen f16.
    unsafe fn load_f16(p: *const u8) -> Self::F;
    /// Sixteen unsigned bytes as f32.
    unsafe fn load_u8(p: *const u8) -> Self::F;
    /// Sixteen signed bytes as f32.
    unsafe fn load_i8(p: *const u8) -> Self::F;
    unsafe fn mul(a: Self::F, b: Self::F) -> Self::F;
    /// `a * b + c`, rounded once.
    unsafe fn fma(a: Self::F, b: Self::F, c: Self::F) -> Self::F;
    /// The sums of four vectors. Lanes `l` and `l + 8` are added first, then `l` and `l + 4`, `l + 2`, `l + 1`.
    unsafe fn sum4(v: [Self::F; 4]) -> [f32; 4];
    /// Lane `j` of vector `i` becomes lane `i` of vector `j`.
    unsafe fn transpose(v: [Self::F; 16]) -> [Self::F; 16];

    unsafe fn splat_i32(v: i32) -> Self::I;
    unsafe fn to_f32(v: Self::I) -> Self::F;

    unsafe fn bytes(p: *const u8) -> Self::B;
    /// The low four bits of each byte.
    unsafe fn low_nibbles(v: Self::B) -> Self::B;
    /// The high four bits of each byte.
    unsafe fn high_nibbles(v: Self::B) -> Self::B;
    /// Bits `2g` and `2g + 1` of each byte, times 16.
    unsafe fn high_pairs<const G: usize>(v: Self::B) -> Self::B;
    unsafe fn or(a: Self::B, b: Self::B) -> Self::B;
    /// Adds to each column the products of its four unsigned bytes, none above 64, and the four signed bytes of `x`.
    unsafe fn dot(acc: Self::I, w: Self::B, x: i32) -> Self::I;
    /// The same for bytes that stand for `byte - 128`, of any size, and `x` from -127 to 127; see [`Simd::OFFSET`].
    unsafe fn dot_offset(acc: Self::I, w: Self::B, x: i32) -> Self::I;
    /// `x0 * w0 + (x1 * w1 + acc)` of each lane's two bf16, rounded after each sum, which is AVX512-BF16's order.
    /// That instruction flushes what is below the normal numbers to zero, the other ways don't.
    unsafe fn dot_bf16(acc: Self::F, x: Self::B, w: Self::B) -> Self::F;
    /// Fetches the cache line at any address, if that is possible here.
    unsafe fn prefetch(p: *const u8);
}

/// Plain arrays.
#[derive(Clone, Copy)]
pub(crate) struct Portable;

/// `f` of every lane's index.
#[inline(always)]
fn lanes<T: Copy + Default, const L: usize>(mut f: impl FnMut(usize) -> T) -> [T; L] {
    let mut out = [T::default(); L];
    for (l, v) in out.iter_mut().enumerate() {
        *v = f(l);
    }
    out
}

// SAFETY of this block: the trait asks only that pointers are readable or writable for sixteen elements, and all accesses
// are unaligned ones of exactly that.
impl Simd for Portable {
    type F = [f32; 16];
    type I = [i32; 16];
    type B = [u8; 64];

    const DENSE_ROWS: usize = 1;
    const QUANT_ROWS: usize = 2;
    const QUANT_TILES: usize = 1;
    const OFFSET: i32 = 0;

    #[inline(never)]
    unsafe fn call<W: Work>(work: W) -> W::Out {
        // SAFETY: passed on to the caller.
        unsafe { work.run::<Self>() }
    }

    #[inline(always)]
    unsafe fn zero() -> Self::F {
        [0.0; 16]
    }

    #[inline(always)]
    unsafe fn splat(v: f32) -> Self::F {
        [v; 16]
    }

    #[inline(always)]
    unsafe fn load(p: *const f32) -> Self::F {
        // SAFETY: sixteen elements are readable.
        let bytes = unsafe { p.cast::<[[u8; 4]; 16]>().read_unaligned() };
        lanes(|l| f32::from_le_bytes(bytes[l]))
    }

    #[inline(always)]
    unsafe fn store(p: *mut f32, v: Self::F) {
        // SAFETY: sixteen elements are writable.
        unsafe { p.cast::<Self::F>().write_unaligned(v) }
    }

    #[inline(always)]
    unsafe fn load_f16(p: *const u8) -> Self::F {
        // SAFETY: sixteen elements are readable.
        let bytes = unsafe { p.cast::<[[u8; 2]; 16]>().read_unaligned() };
        lanes(|l| half::f16::from_le_bytes(bytes[l]).to_f32())
    }

    #[inline(always)]
    unsafe fn load_u8(p: *const u8) -> Self::F {
        // SAFETY: sixteen bytes are readable.
        let bytes = unsafe { p.cast::<[u8; 16]>().read_unaligned() };
        lanes(|l| f32::from(bytes[l]))
    }

    #[inline(always)]
    unsafe fn load_i8(p: *const u8) -> Self::F {
        // SAFETY: sixteen bytes are readable.
        let bytes = unsafe { p.cast::<[i8; 16]>().read_unaligned() };
        lanes(|l| f32::from(bytes[l]))
    }

    #[inline(always)]
    unsafe fn mul(a: Self::F, b: Self::F) -> Self::F {
        lanes(|l| a[l] * b[l])
    }

    #[inline(always)]
    unsafe fn fma(a: Self::F, b: Self::F, c: Self::F) -> Self::F {
        lanes(|l| a[l].mul_add(b[l], c[l]))
    }

    #[inline(always)]
    unsafe fn sum4(v: [Self::F; 4]) -> [f32; 4] {
        lanes(|i| super::rows::sum_lanes(v[i]))
    }

    #[inline(always)]
    unsafe fn transpose(v: [Self::F; 16]) -> [Self::F; 16] {
        let mut out = [[0.0; 16]; 16];
        for (i, v) in v.iter().enumerate() {
            for (out, v) in out.iter_mut().zip(v) {
                out[i] = *v;
            }
        }
        out
    }

    #[inline(always)]
    unsafe fn splat_i32(v: i32) -> Self::I {
        [v; 16]
    }

    #[inline(always)]
    unsafe fn to_f32(v: Self::I) -> Self::F {
        lanes(|l| v[l] as f32)
    }

    #[inline(always)]
    unsafe fn bytes(p: *const u8) -> Self::B {
        // SAFETY: 64 bytes are readable.
        unsafe { p.cast::<Self::B>().read_unaligned() }
    }

    #[inline(always)]
    unsafe fn low_nibbles(v: Self::B) -> Self::B {
        lanes(|l| v[l] & 15)
    }

    #[inline(always)]
    unsafe fn high_nibbles(v: Self::B) -> Self::B {
        lanes(|l| v[l] >> 4)
    }

    #[inline(always)]
    unsafe fn high_pairs<const G: usize>(v: Self::B) -> Self::B {
        lanes(|l| ((v[l] >> (2 * G)) & 3) << 4)
    }

    #[inline(always)]
    unsafe fn or(a: Self::B, b: Self::B) -> Self::B {
        lanes(|l| a[l] | b[l])
    }

    #[inline(always)]
    unsafe fn dot(acc: Self::I, w: Self::B, x: i32) -> Self::I {
        let x = x.to_le_bytes().map(|b| i32::from(b as i8));
        lanes(|c| {
            let w = |j: usize| i32::from(w[4 * c + j]);
            acc[c] + w(0) * x[0] + w(1) * x[1] + w(2) * x[2] + w(3) * x[3]
        })
    }

    #[inline(always)]
    unsafe fn dot_offset(acc: Self::I, w: Self::B, x: i32) -> Self::I {
        let x = x.to_le_bytes().map(|b| i32::from(b as i8));
        lanes(|c| {
            let w = |j: usize| i32::from(w[4 * c + j]) - 128;
            acc[c] + w(0) * x[0] + w(1) * x[1] + w(2) * x[2] + w(3) * x[3]
        })
    }

    #[inline(always)]
    unsafe fn dot_bf16(acc: Self::F, x: Self::B, w: Self::B) -> Self::F {
        let pair =
            |v: &[u8; 64], l: usize| u32::from_le_bytes([v[4 * l], v[4 * l + 1], v[4 * l + 2], v[4 * l + 3]]);
        let high = |pair: u32| f32::from_bits(pair & 0xFFFF_0000);
        lanes(|l| {
            let (x, w) = (pair(&x, l), pair(&w, l));
            high(x << 16).mul_add(high(w << 16), high(x).mul_add(high(w), acc[l]))
        })
    }

    #[inline(always)]
    unsafe fn prefetch(_: *const u8) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Transpose<'a>(&'a [f32; 256], &'a mut [f32; 256]);

    impl Work for Transpose<'_> {
        type Out = ();

        #[inline(always)]
        unsafe fn run<S: Simd>(self) {
            // SAFETY: there are sixteen vectors on either side.
            unsafe {
                let mut v = [S::zero(); 16];
                for (i, v) in v.iter_mut().enumerate() {
                    *v = S::load(self.0.as_ptr().add(16 * i));
                }
                for (i, v) in S::transpose(v).into_iter().enumerate() {
                    S::store(self.1.as_mut_ptr().add(16 * i), v);
                }
            }
        }
    }

    #[test]
    fn a_transposed_vector_has_a_lane_of_each() {
        let from: [f32; 256] = std::array::from_fn(|number| number as f32);
        let wanted: [f32; 256] = std::array::from_fn(|number| (number % 16 * 16 + number / 16) as f32);
        for isa in Isa::available() {
            let mut found = [0.0; 256];
            // SAFETY: this processor has what `available` says.
            unsafe { isa.run(Transpose(&from, &mut found)) };
            assert_eq!(found, wanted, "{isa:?}");
        }
    }
}
