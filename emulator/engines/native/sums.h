// Σ x·w + b in SIMD lanes: one kernel, and the steps that it may take.
//
// A step says what one input adds to one accumulator. Which step is exact for a layer, and how its inputs and weights are
// arranged, is decided and proven where the code is generated (emulator/engines/native/dense.py).
#pragma once

#include "lanes.h"

namespace lanes {

// Outputs worked on at once: their accumulators stay in registers, two vectors each.
constexpr int TOGETHER = TRIGWATCH_TOGETHER;

// Two products of 16 bits in each lane of 32, modulo 2^32.
struct Pairs {
    using X = int32_t;
    using Sum = int32_t;
    static simd<int32_t> add(simd<int32_t> sum, simd<int32_t> x, int32_t w) {
#if defined(__AVX512VNNI__) && defined(__AVX512BW__)
        return (simd<int32_t>)_mm512_dpwssd_epi32((__m512i)sum, (__m512i)x, _mm512_set1_epi32(w));
#elif defined(__AVX512BW__) && defined(__AVX512DQ__)
        return sum + (simd<int32_t>)_mm512_madd_epi16((__m512i)x, _mm512_set1_epi32(w));
#elif defined(__AVXVNNI__)
        return (simd<int32_t>)_mm256_dpwssd_avx_epi32((__m256i)sum, (__m256i)x, _mm256_set1_epi32(w));
#elif defined(__AVX2__)
        return sum + (simd<int32_t>)_mm256_madd_epi16((__m256i)x, _mm256_set1_epi32(w));
#elif defined(__SSE2__)
        return sum + (simd<int32_t>)_mm_madd_epi16((__m128i)x, _mm_set1_epi32(w));
#else
        return sum + ((x << 16) >> 16) * int32_t(int16_t(w)) + (x >> 16) * (w >> 16);
#endif
    }
};

// Four products of unsigned by signed bytes in each lane of 32, modulo 2^32.
struct Quads {
    using X = int32_t;
    using Sum = int32_t;
    static simd<int32_t> add(simd<int32_t> sum, simd<int32_t> x, int32_t w) {
#if defined(__AVX512VNNI__) && defined(__AVX512BW__)
        return (simd<int32_t>)_mm512_dpbusd_epi32((__m512i)sum, (__m512i)x, _mm512_set1_epi32(w));
#elif defined(__AVXVNNI__)
        return (simd<int32_t>)_mm256_dpbusd_avx_epi32((__m256i)sum, (__m256i)x, _mm256_set1_epi32(w));
#else
        for (int byte = 0; byte < 4; byte++) {
            sum += ((x >> (8 * byte)) & 0xff) * int32_t(int8_t(w >> (8 * byte)));
        }
        return sum;
#endif
    }
};

// Whole products, modulo 2^32 or 2^64; or in double, where every partial sum is a whole number that it holds.
template <class T> struct Whole {
    using X = T;
    using Sum = T;
    static simd<T> add(simd<T> sum, simd<T> x, T w) { return sum + x * w; }
};

// Products cut by DROP = 16 - (bits that the weights were shifted left), modulo 2^16: the high half of a product of 16 bits.
struct High {
    using X = int16_t;
    using Sum = int16_t;
    static simd<int16_t> add(simd<int16_t> sum, simd<int16_t> x, int16_t w) {
#if defined(__AVX512BW__) && defined(__AVX512DQ__)
        return sum + (simd<int16_t>)_mm512_mulhi_epi16((__m512i)x, _mm512_set1_epi16(w));
#elif defined(__AVX2__)
        return sum + (simd<int16_t>)_mm256_mulhi_epi16((__m256i)x, _mm256_set1_epi16(w));
#elif defined(__SSE2__)
        return sum + (simd<int16_t>)_mm_mulhi_epi16((__m128i)x, _mm_set1_epi16(w));
#else
        for (int l = 0; l < Simd<int16_t>::lanes; l++) {
            sum[l] += int16_t((int32_t(x[l]) * w) >> 16);
        }
        return sum;
#endif
    }
};

// Every product rounded by itself, the sum modulo the type.
template <class T, int DROP, Rounding MODE> struct Cut {
    using X = T;
    using Sum = T;
    static simd<T> add(simd<T> sum, simd<T> x, T w) { return sum + rounded<DROP, MODE>(simd<T>(x * w)); }
};

// Every product and every partial sum limited: the order of the inputs matters.
template <class T, int DROP, Rounding MODE, Overflow OVER, int WIDTH, bool SIGNED> struct Limited {
    using X = T;
    using Sum = T;
    static simd<T> add(simd<T> sum, simd<T> x, T w) {
        const simd<T> product = DROP < 0 ? x * w << (DROP < 0 ? -DROP : 0) : rounded<(DROP < 0 ? 0 : DROP), MODE>(simd<T>(x * w));
        return limited<OVER, WIDTH, SIGNED>(simd<T>(sum + limited<OVER, WIDTH, SIGNED>(product)));
    }
};

template <class T> inline simd<T> held(const Row<T> &row, int place) {
    simd<T> v;
    std::memcpy(&v, row.at + place, sizeof v);
    return v;
}

// B outputs of one position, all events: K inputs, then the sums are shifted left and the rest of the inputs added.
template <class Step, int K, int HEAD, int SHIFT, int B, class Y, class Extra, class Finish>
inline void block(const Row<typename Step::X> *__restrict x, const uint32_t *__restrict reads,
                  const typename Step::X *__restrict w, const typename Step::Sum *__restrict bias, Row<Y> *__restrict y,
                  Extra extra, Finish finish) {
    using Sum = typename Step::Sum;
    constexpr int L = Simd<Sum>::lanes, ABREAST = EVENTS >= 2 * L ? 2 : 1;
    static_assert(EVENTS % (ABREAST * L) == 0, "EVENTS fills whole registers");
    Row<Sum> sums[B];
    for (int e = 0; e < EVENTS; e += ABREAST * L) {
        simd<Sum> sum[B][ABREAST];
        unrolled<B>([&](auto b) {
            unrolled<ABREAST>([&](auto a) { sum[b][a] = simd<Sum>{} + (HEAD ? Sum(0) : bias[b]); });
        });
        const auto add = [&](int k) __attribute__((always_inline)) {
            const Row<typename Step::X> &row = x[reads ? reads[k] : k];
            simd<typename Step::X> in[ABREAST];
            unrolled<ABREAST>([&](auto a) { in[a] = held(row, e + a * L); });
            unrolled<B>([&](auto b) {
                unrolled<ABREAST>([&](auto a) { sum[b][a] = Step::add(sum[b][a], in[a], w[k * B + b]); });
            });
        };
        for (int k = 0; k < HEAD; k++) {
            add(k);
        }
        if constexpr (HEAD > 0) {
            unrolled<B>([&](auto b) {
                unrolled<ABREAST>([&](auto a) { sum[b][a] = (sum[b][a] << SHIFT) + bias[b]; });
            });
        }
        for (int k = HEAD; k < K; k++) {
            add(k);
        }
        unrolled<B>([&](auto b) {
            unrolled<ABREAST>([&](auto a) {
                const simd<Sum> whole = extra(sum[b][a], x, reads, b, e + a * L);
                std::memcpy(sums[b].at + e + a * L, &whole, sizeof whole);
            });
        });
    }
    // One long loop, which the compiler vectorises; over a register's few lanes it would go one by one.
    for (int b = 0; b < B; b++) {
        for (int e = 0; e < EVENTS; e++) {
            y[b].at[e] = Y(finish(sums[b].at[e]));
        }
    }
}

struct Nothing {
    template <class V, class X> V operator()(V sum, const X *, const uint32_t *, int, int) const { return sum; }
};

// Terms of few inputs that come on top: output o has those from start[o] to start[o + 1].
struct Sparse {
    const uint32_t *start;
    const uint32_t *from;
    const int16_t *factor;
    int first;
    template <class V, class X> V operator()(V sum, const X *x, const uint32_t *reads, int b, int e) const {
        for (int t = start[first + b]; t < start[first + b + 1]; t++) {
            sum += held(x[reads ? reads[from[t]] : from[t]], e) * factor[t];
        }
        return sum;
    }
};

// N outputs at each of POSITIONS; weights lie as [block of TOGETHER outputs][K][output of the block].
template <class Step, int POSITIONS, int K, int HEAD, int SHIFT, int N, class Y, class Finish, class Terms = Nothing>
inline void dense(const Row<typename Step::X> *x, const uint32_t *reads, const typename Step::X *w,
                  const typename Step::Sum *bias, Row<Y> *y, Finish finish, Terms terms = {}) {
    constexpr int whole = N / TOGETHER * TOGETHER, rest = N - whole;
    for (int p = 0; p < POSITIONS; p++) {
        const uint32_t *here = reads ? reads + p * K : nullptr;
        for (int o = 0; o < whole; o += TOGETHER) {
            if constexpr (!std::is_same_v<Terms, Nothing>) {
                terms.first = o;
            }
            block<Step, K, HEAD, SHIFT, TOGETHER>(x, here, w + o * K, bias + o, y + p * N + o, terms, finish);
        }
        if constexpr (rest > 0) {
            if constexpr (!std::is_same_v<Terms, Nothing>) {
                terms.first = whole;
            }
            block<Step, K, HEAD, SHIFT, rest>(x, here, w + whole * K, bias + whole, y + p * N + whole, terms, finish);
        }
    }
}

// N packed rows; row i is made of PARTS elements named in `from` (NONE: a zero), less OFFSET, right-shifted by DROP and
// masked, PARTS to a lane of 32 bits.
template <int N, int PARTS, int64_t OFFSET, int DROP, bool LOW_BITS, class S>
inline void pack(const Row<S> *__restrict x, const uint32_t *__restrict from, Row<int32_t> *__restrict packed) {
    constexpr int bits = 32 / PARTS;
    constexpr int32_t mask = LOW_BITS ? (1 << DROP) - 1 : bits == 8 ? 0xff : 0xffff;
    static const Row<S> nothing = {};
    for (int i = 0; i < N; i++) {
        for (int part = 0; part < PARTS; part++) {
            const Row<S> &row = from[i * PARTS + part] == NONE ? nothing : x[from[i * PARTS + part]];
            for (int e = 0; e < EVENTS; e++) {
                const int32_t v = int32_t(row.at[e] - S(OFFSET));
                const int32_t cut = ((LOW_BITS ? v : v >> DROP) & mask) << (bits * part);
                packed[i].at[e] = part ? packed[i].at[e] | cut : cut;
            }
        }
    }
}

// The same elements in another type, less OFFSET; row N is a zero to be read where there is padding.
template <int N, int64_t OFFSET, class S, class T> inline void convert(const Row<S> *__restrict x, Row<T> *__restrict y) {
    for (int i = 0; i < N; i++) {
        for (int e = 0; e < EVENTS; e++) {
            y[i].at[e] = T(x[i].at[e] - OFFSET);
        }
    }
    for (int e = 0; e < EVENTS; e++) {
        y[N].at[e] = T(-OFFSET);
    }
}

// Σ a·b of N pairs at each of P positions, in type W: add(sum, product). `left` and `right` name the pairs' elements;
// nullptr: all in order.
template <class W, int P, int N, class A, class B, class Y, class Add, class Finish>
inline void dot(const Row<A> *__restrict a, const uint32_t *__restrict left, const Row<B> *__restrict b,
                const uint32_t *__restrict right, Row<Y> *__restrict y, Add add, Finish finish) {
    for (int p = 0; p < P; p++) {
        alignas(64) W sum[EVENTS] = {};
        for (int i = 0; i < N; i++) {
            const Row<A> &first = a[left ? left[p * N + i] : i];
            const Row<B> &second = b[right ? right[p * N + i] : i];
            for (int e = 0; e < EVENTS; e++) {
                sum[e] = W(add(sum[e], W(W(first.at[e]) * W(second.at[e]))));
            }
        }
        for (int e = 0; e < EVENTS; e++) {
            y[p].at[e] = Y(finish(sum[e]));
        }
    }
}

} // namespace lanes
