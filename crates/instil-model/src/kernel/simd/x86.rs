//! AVX-512 and AVX2.
// SAFETY of every function here, asked for by the trait: the processor has the features that the type names, and pointers
// are readable or writable for sixteen elements (64 bytes); loads and stores are unaligned ones.
#![allow(clippy::undocumented_unsafe_blocks)]

use std::arch::x86_64::*;

use super::{Simd, Work};

/// AVX-512 F, BW, DQ, VL and VNNI, and BF16 if so: one register is sixteen lanes.
#[derive(Clone, Copy)]
pub(crate) struct Avx512<const BF16: bool>;

impl<const BF16: bool> Simd for Avx512<BF16> {
    type F = __m512;
    type I = __m512i;
    type B = __m512i;

    const DENSE_ROWS: usize = 6;
    const QUANT_ROWS: usize = 6;
    const QUANT_TILES: usize = 2;
    // `vpdpbusd` multiplies the bytes as they are.
    const OFFSET: i32 = 128;

    #[inline]
    unsafe fn call<W: Work>(work: W) -> W::Out {
        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma,f16c")]
        #[inline(never)]
        unsafe fn with_features<W: Work>(work: W) -> W::Out {
            unsafe { work.run::<Avx512<false>>() }
        }
        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512bf16,avx2,fma,f16c")]
        #[inline(never)]
        unsafe fn with_bf16<W: Work>(work: W) -> W::Out {
            unsafe { work.run::<Avx512<true>>() }
        }
        unsafe { if BF16 { with_bf16(work) } else { with_features(work) } }
    }

    #[inline(always)]
    unsafe fn zero() -> Self::F {
        unsafe { _mm512_setzero_ps() }
    }

    #[inline(always)]
    unsafe fn splat(v: f32) -> Self::F {
        unsafe { _mm512_set1_ps(v) }
    }

    #[inline(always)]
    unsafe fn load(p: *const f32) -> Self::F {
        unsafe { _mm512_loadu_ps(p) }
    }

    #[inline(always)]
    unsafe fn store(p: *mut f32, v: Self::F) {
        unsafe { _mm512_storeu_ps(p, v) }
    }

    #[inline(always)]
    unsafe fn load_f16(p: *const u8) -> Self::F {
        unsafe { _mm512_cvtph_ps(_mm256_loadu_si256(p.cast())) }
    }

    #[inline(always)]
    unsafe fn load_u8(p: *const u8) -> Self::F {
        unsafe { _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128(p.cast()))) }
    }

    #[inline(always)]
    unsafe fn load_i8(p: *const u8) -> Self::F {
        unsafe { _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(p.cast()))) }
    }

    #[inline(always)]
    unsafe fn mul(a: Self::F, b: Self::F) -> Self::F {
        unsafe { _mm512_mul_ps(a, b) }
    }

    #[inline(always)]
    unsafe fn fma(a: Self::F, b: Self::F, c: Self::F) -> Self::F {
        unsafe { _mm512_fmadd_ps(a, b, c) }
    }

    #[inline(always)]
    unsafe fn sum4([a, b, c, d]: [Self::F; 4]) -> [f32; 4] {
        unsafe {
            // Halves of two vectors side by side, then quarters of four.
            let ab = _mm512_add_ps(_mm512_shuffle_f32x4::<0x44>(a, b), _mm512_shuffle_f32x4::<0xEE>(a, b));
            let cd = _mm512_add_ps(_mm512_shuffle_f32x4::<0x44>(c, d), _mm512_shuffle_f32x4::<0xEE>(c, d));
            let q = _mm512_add_ps(_mm512_shuffle_f32x4::<0x88>(ab, cd), _mm512_shuffle_f32x4::<0xDD>(ab, cd));
            let q = _mm512_add_ps(q, _mm512_permute_ps::<0x4E>(q));
            let q = _mm512_add_ps(q, _mm512_permute_ps::<0xB1>(q));
            let sums = _mm512_castps512_ps128(_mm512_maskz_compress_ps(0x1111, q));
            let mut out = [0.0; 4];
            _mm_storeu_ps(out.as_mut_ptr(), sums);
            out
        }
    }

    #[inline(always)]
    unsafe fn transpose(v: [Self::F; 16]) -> [Self::F; 16] {
        unsafe {
            let mut pairs = v;
            for i in (0..16).step_by(2) {
                pairs[i] = _mm512_unpacklo_ps(v[i], v[i + 1]);
                pairs[i + 1] = _mm512_unpackhi_ps(v[i], v[i + 1]);
            }
            // Of four vectors four lanes, quarter by quarter: after this `fours[4 * i + j]` has the lanes `j`, `4 + j`,
            // `8 + j` and `12 + j` of the vectors from `4 * i` on.
            let mut fours = pairs;
            for i in (0..16).step_by(4) {
                for j in 0..2 {
                    let one = _mm512_castps_pd(pairs[i + j]);
                    let two = _mm512_castps_pd(pairs[i + j + 2]);
                    fours[i + 2 * j] = _mm512_castpd_ps(_mm512_unpacklo_pd(one, two));
                    fours[i + 2 * j + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(one, two));
                }
            }
            let mut out = fours;
            for j in 0..4 {
                let low = _mm512_shuffle_f32x4::<0x88>(fours[j], fours[4 + j]);
                let high = _mm512_shuffle_f32x4::<0xDD>(fours[j], fours[4 + j]);
                let later_low = _mm512_shuffle_f32x4::<0x88>(fours[8 + j], fours[12 + j]);
                let later_high = _mm512_shuffle_f32x4::<0xDD>(fours[8 + j], fours[12 + j]);
                out[j] = _mm512_shuffle_f32x4::<0x88>(low, later_low);
                out[4 + j] = _mm512_shuffle_f32x4::<0x88>(high, later_high);
                out[8 + j] = _mm512_shuffle_f32x4::<0xDD>(low, later_low);
                out[12 + j] = _mm512_shuffle_f32x4::<0xDD>(high, later_high);
            }
            out
        }
    }

    #[inline(always)]
    unsafe fn splat_i32(v: i32) -> Self::I {
        unsafe { _mm512_set1_epi32(v) }
    }

    #[inline(always)]
    unsafe fn to_f32(v: Self::I) -> Self::F {
        unsafe { _mm512_cvtepi32_ps(v) }
    }

    #[inline(always)]
    unsafe fn bytes(p: *const u8) -> Self::B {
        unsafe { _mm512_loadu_si512(p.cast()) }
    }

    #[inline(always)]
    unsafe fn low_nibbles(v: Self::B) -> Self::B {
        unsafe { _mm512_and_si512(v, _mm512_set1_epi8(15)) }
    }

    #[inline(always)]
    unsafe fn high_nibbles(v: Self::B) -> Self::B {
        unsafe { _mm512_and_si512(_mm512_srli_epi16::<4>(v), _mm512_set1_epi8(15)) }
    }

    #[inline(always)]
    unsafe fn high_pairs<const G: usize>(v: Self::B) -> Self::B {
        unsafe {
            let shifted = match G {
                0 => _mm512_slli_epi16::<4>(v),
                1 => _mm512_slli_epi16::<2>(v),
                2 => v,
                _ => _mm512_srli_epi16::<2>(v),
            };
            _mm512_and_si512(shifted, _mm512_set1_epi8(0x30))
        }
    }

    #[inline(always)]
    unsafe fn or(a: Self::B, b: Self::B) -> Self::B {
        unsafe { _mm512_or_si512(a, b) }
    }

    #[inline(always)]
    unsafe fn dot(acc: Self::I, w: Self::B, x: i32) -> Self::I {
        unsafe { _mm512_dpbusd_epi32(acc, w, _mm512_set1_epi32(x)) }
    }

    #[inline(always)]
    unsafe fn dot_offset(acc: Self::I, w: Self::B, x: i32) -> Self::I {
        unsafe { Self::dot(acc, w, x) }
    }

    #[inline(always)]
    unsafe fn dot_bf16(acc: Self::F, x: Self::B, w: Self::B) -> Self::F {
        unsafe {
            if BF16 {
                // Sixteen pairs of bf16 are the same bits in either type.
                let pairs = |v: __m512i| std::mem::transmute::<__m512i, __m512bh>(v);
                return _mm512_dpbf16_ps(acc, pairs(x), pairs(w));
            }
            let high = _mm512_set1_epi32(0xFFFF_0000_u32.cast_signed());
            let one = _mm512_fmadd_ps(
                _mm512_castsi512_ps(_mm512_and_si512(x, high)),
                _mm512_castsi512_ps(_mm512_and_si512(w, high)),
                acc,
            );
            _mm512_fmadd_ps(
                _mm512_castsi512_ps(_mm512_slli_epi32::<16>(x)),
                _mm512_castsi512_ps(_mm512_slli_epi32::<16>(w)),
                one,
            )
        }
    }

    #[inline(always)]
    unsafe fn prefetch(p: *const u8) {
        unsafe { _mm_prefetch::<_MM_HINT_T1>(p.cast()) }
    }
}

/// AVX2, FMA and F16C: two registers are sixteen lanes.
#[derive(Clone, Copy)]
pub(crate) struct Avx2;

/// The two halves of sixteen lanes, each by an expression of its number. No closure: that would not have the features.
macro_rules! halves {
    ($h:ident => $of:expr) => {
        [
            {
                let $h = 0_usize;
                $of
            },
            {
                let $h = 1_usize;
                $of
            },
        ]
    };
}

impl Simd for Avx2 {
    type F = [__m256; 2];
    type I = [__m256i; 2];
    type B = [__m256i; 2];

    const DENSE_ROWS: usize = 2;
    const QUANT_ROWS: usize = 4;
    const QUANT_TILES: usize = 1;
    const OFFSET: i32 = 0;

    #[inline]
    unsafe fn call<W: Work>(work: W) -> W::Out {
        #[target_feature(enable = "avx2,fma,f16c")]
        #[inline(never)]
        unsafe fn with_features<W: Work>(work: W) -> W::Out {
            unsafe { work.run::<Avx2>() }
        }
        unsafe { with_features(work) }
    }

    #[inline(always)]
    unsafe fn zero() -> Self::F {
        unsafe { [_mm256_setzero_ps(), _mm256_setzero_ps()] }
    }

    #[inline(always)]
    unsafe fn splat(v: f32) -> Self::F {
        unsafe { [_mm256_set1_ps(v), _mm256_set1_ps(v)] }
    }

    #[inline(always)]
    unsafe fn load(p: *const f32) -> Self::F {
        unsafe { [_mm256_loadu_ps(p), _mm256_loadu_ps(p.add(8))] }
    }

    #[inline(always)]
    unsafe fn store(p: *mut f32, v: Self::F) {
        unsafe {
            _mm256_storeu_ps(p, v[0]);
            _mm256_storeu_ps(p.add(8), v[1]);
        }
    }

    #[inline(always)]
    unsafe fn load_f16(p: *const u8) -> Self::F {
        unsafe { halves!(h => _mm256_cvtph_ps(_mm_loadu_si128(p.add(16 * h).cast()))) }
    }

    #[inline(always)]
    unsafe fn load_u8(p: *const u8) -> Self::F {
        unsafe {
            halves!(h => _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64(p.add(8 * h).cast()))))
        }
    }

    #[inline(always)]
    unsafe fn load_i8(p: *const u8) -> Self::F {
        unsafe {
            halves!(h => _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(p.add(8 * h).cast()))))
        }
    }

    #[inline(always)]
    unsafe fn mul(a: Self::F, b: Self::F) -> Self::F {
        unsafe { [_mm256_mul_ps(a[0], b[0]), _mm256_mul_ps(a[1], b[1])] }
    }

    #[inline(always)]
    unsafe fn fma(a: Self::F, b: Self::F, c: Self::F) -> Self::F {
        unsafe { [_mm256_fmadd_ps(a[0], b[0], c[0]), _mm256_fmadd_ps(a[1], b[1], c[1])] }
    }

    #[inline(always)]
    unsafe fn sum4(v: [Self::F; 4]) -> [f32; 4] {
        unsafe {
            let mut q = [_mm_setzero_ps(); 4];
            for (q, v) in q.iter_mut().zip(v) {
                let eight = _mm256_add_ps(v[0], v[1]);
                *q = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps::<1>(eight));
            }
            let ab = _mm_add_ps(_mm_unpacklo_ps(q[0], q[1]), _mm_unpackhi_ps(q[0], q[1]));
            let cd = _mm_add_ps(_mm_unpacklo_ps(q[2], q[3]), _mm_unpackhi_ps(q[2], q[3]));
            let sums = _mm_add_ps(_mm_movelh_ps(ab, cd), _mm_movehl_ps(cd, ab));
            let mut out = [0.0; 4];
            _mm_storeu_ps(out.as_mut_ptr(), sums);
            out
        }
    }

    #[inline(always)]
    unsafe fn transpose(v: [Self::F; 16]) -> [Self::F; 16] {
        unsafe {
            let mut out = v;
            // Eight vectors' halves at a time.
            for (vectors, lanes) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
                let at = 8 * vectors;
                let mut fours = [_mm256_setzero_ps(); 8];
                for i in (0..8).step_by(4) {
                    let [a, b] = [v[at + i][lanes], v[at + i + 1][lanes]];
                    let [c, d] = [v[at + i + 2][lanes], v[at + i + 3][lanes]];
                    let (one, two) = (_mm256_unpacklo_ps(a, b), _mm256_unpacklo_ps(c, d));
                    fours[i] = _mm256_shuffle_ps::<0x44>(one, two);
                    fours[i + 1] = _mm256_shuffle_ps::<0xEE>(one, two);
                    let (one, two) = (_mm256_unpackhi_ps(a, b), _mm256_unpackhi_ps(c, d));
                    fours[i + 2] = _mm256_shuffle_ps::<0x44>(one, two);
                    fours[i + 3] = _mm256_shuffle_ps::<0xEE>(one, two);
                }
                for j in 0..4 {
                    let (one, two) = (fours[j], fours[4 + j]);
                    out[8 * lanes + j][vectors] = _mm256_permute2f128_ps::<0x20>(one, two);
                    out[8 * lanes + 4 + j][vectors] = _mm256_permute2f128_ps::<0x31>(one, two);
                }
            }
            out
        }
    }

    #[inline(always)]
    unsafe fn splat_i32(v: i32) -> Self::I {
        unsafe { [_mm256_set1_epi32(v), _mm256_set1_epi32(v)] }
    }

    #[inline(always)]
    unsafe fn to_f32(v: Self::I) -> Self::F {
        unsafe { [_mm256_cvtepi32_ps(v[0]), _mm256_cvtepi32_ps(v[1])] }
    }

    #[inline(always)]
    unsafe fn bytes(p: *const u8) -> Self::B {
        unsafe { [_mm256_loadu_si256(p.cast()), _mm256_loadu_si256(p.add(32).cast())] }
    }

    #[inline(always)]
    unsafe fn low_nibbles(v: Self::B) -> Self::B {
        unsafe { halves!(h => _mm256_and_si256(v[h], _mm256_set1_epi8(15))) }
    }

    #[inline(always)]
    unsafe fn high_nibbles(v: Self::B) -> Self::B {
        unsafe { halves!(h => _mm256_and_si256(_mm256_srli_epi16::<4>(v[h]), _mm256_set1_epi8(15))) }
    }

    #[inline(always)]
    unsafe fn high_pairs<const G: usize>(v: Self::B) -> Self::B {
        unsafe {
            halves!(h => {
                let shifted = match G {
                    0 => _mm256_slli_epi16::<4>(v[h]),
                    1 => _mm256_slli_epi16::<2>(v[h]),
                    2 => v[h],
                    _ => _mm256_srli_epi16::<2>(v[h]),
                };
                _mm256_and_si256(shifted, _mm256_set1_epi8(0x30))
            })
        }
    }

    #[inline(always)]
    unsafe fn or(a: Self::B, b: Self::B) -> Self::B {
        unsafe { [_mm256_or_si256(a[0], b[0]), _mm256_or_si256(a[1], b[1])] }
    }

    #[inline(always)]
    unsafe fn dot(acc: Self::I, w: Self::B, x: i32) -> Self::I {
        unsafe {
            let x = _mm256_set1_epi32(x);
            halves!(h => {
                // Two products of at most 64 * 128 fit 16 bits.
                let pairs = _mm256_maddubs_epi16(w[h], x);
                _mm256_add_epi32(acc[h], _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)))
            })
        }
    }

    #[inline(always)]
    unsafe fn dot_offset(acc: Self::I, w: Self::B, x: i32) -> Self::I {
        unsafe {
            let x = _mm256_set1_epi32(x);
            halves!(h => {
                // The sign goes to x, which is never -128, so that neither it nor a pair of products of at most
                // 128 * 127 overflows.
                let signed = _mm256_xor_si256(w[h], _mm256_set1_epi8(-128));
                let pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(signed), _mm256_sign_epi8(x, signed));
                _mm256_add_epi32(acc[h], _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)))
            })
        }
    }

    #[inline(always)]
    unsafe fn dot_bf16(acc: Self::F, x: Self::B, w: Self::B) -> Self::F {
        unsafe {
            halves!(h => {
                let high = _mm256_set1_epi32(0xFFFF_0000_u32.cast_signed());
                let one = _mm256_fmadd_ps(
                    _mm256_castsi256_ps(_mm256_and_si256(x[h], high)),
                    _mm256_castsi256_ps(_mm256_and_si256(w[h], high)),
                    acc[h],
                );
                _mm256_fmadd_ps(
                    _mm256_castsi256_ps(_mm256_slli_epi32::<16>(x[h])),
                    _mm256_castsi256_ps(_mm256_slli_epi32::<16>(w[h])),
                    one,
                )
            })
        }
    }

    #[inline(always)]
    unsafe fn prefetch(p: *const u8) {
        unsafe { _mm_prefetch::<_MM_HINT_T1>(p.cast()) }
    }
}
