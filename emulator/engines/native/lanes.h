// Events in SIMD lanes: the arithmetic of ap_[u]fixed on raw integers, and rows of events in and out.
//
// A Row holds one element of EVENTS events. Everything here is exact on integers; overflow of a C++ integer wraps
// (-fwrapv), which is what ap_fixed's modulo arithmetic wants. The generated code that includes this file defines
// TRIGWATCH_EVENTS and proves, value by value, that the integer types it asks for are wide enough.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <type_traits>
#include <utility>

#if defined(__x86_64__) || defined(__i386__)
#include <immintrin.h>
#endif

namespace lanes {

constexpr int EVENTS = TRIGWATCH_EVENTS;
constexpr uint32_t NONE = 0xffffffff; // an element that is not there: padding

#if defined(__AVX512BW__) && defined(__AVX512DQ__)
constexpr int REGISTER = 64;
#elif defined(__AVX2__)
constexpr int REGISTER = 32;
#else
constexpr int REGISTER = 16;
#endif

template <class T> struct Simd {
    typedef T type __attribute__((vector_size(REGISTER)));
    static constexpr int lanes = REGISTER / sizeof(T);
};
template <class T> using simd = typename Simd<T>::type;

template <class T> struct alignas(64) Row {
    T at[EVENTS];
};

// f(0), f(1), … f(N - 1) with constant arguments: what f indexes may stay in registers.
template <class F, int... I> inline __attribute__((always_inline)) void unrolled(F f, std::integer_sequence<int, I...>) {
    (f(std::integral_constant<int, I>{}), ...);
}
template <int N, class F> inline __attribute__((always_inline)) void unrolled(F f) {
    unrolled(f, std::make_integer_sequence<int, N>{});
}

// Scalars and vectors in one spelling: a comparison of vectors gives -1 where it holds, one of scalars gives 1.
template <class T, class = void> struct Element {
    using type = T;
    template <class M> static T one_where(M holds) { return T(holds); }
};
template <class T> struct Element<T, std::enable_if_t<!std::is_arithmetic_v<T>>> {
    using type = std::remove_reference_t<decltype(std::declval<T &>()[0])>;
    template <class M> static T one_where(M holds) { return -(T)holds; }
};

enum Rounding { TRN, TRN_ZERO, RND, RND_ZERO, RND_INF, RND_MIN_INF, RND_CONV };
enum Overflow { WRAP, SAT, SAT_ZERO, SAT_SYM, FITS }; // FITS: proven never to overflow

// Drop the last DROP bits.
template <int DROP, Rounding MODE, class T> inline T rounded(T v) {
    using E = Element<T>;
    using S = typename E::type;
    using U = std::make_unsigned_t<S>;
    if constexpr (DROP == 0) {
        return v;
    } else if constexpr (DROP >= int(8 * sizeof(S))) { // only the sign is left, as a value well below one half
        return rounded<2, MODE>(T(E::one_where(v > S(0)) - E::one_where(v < S(0))));
    } else {
        const T floor = v >> DROP;
        if constexpr (MODE == TRN) {
            return floor;
        } else if constexpr (MODE == RND) {
            return floor + ((v >> (DROP - 1)) & S(1));
        } else {
            const T rest = v & S((U(1) << DROP) - 1);
            constexpr S half = S(U(1) << (DROP - 1));
            const T tie = E::one_where(rest == half);
            if constexpr (MODE == TRN_ZERO) {
                return floor + (E::one_where(v < S(0)) & E::one_where(rest != S(0)));
            } else if constexpr (MODE == RND_ZERO) {
                return floor + (E::one_where(rest > half) | (tie & E::one_where(v < S(0))));
            } else if constexpr (MODE == RND_INF) {
                return floor + (E::one_where(rest > half) | (tie & E::one_where(v >= S(0))));
            } else if constexpr (MODE == RND_CONV) {
                return floor + (E::one_where(rest > half) | (tie & floor & S(1)));
            } else {
                return floor + E::one_where(rest > half);
            }
        }
    }
}

// Bring a value into the range of WIDTH bits.
template <Overflow MODE, int WIDTH, bool SIGNED, class T> inline T limited(T v) {
    using S = typename Element<T>::type;
    using U = std::make_unsigned_t<S>;
    constexpr int bits = 8 * sizeof(S);
    if constexpr (MODE == FITS) {
        return v;
    } else if constexpr (MODE == WRAP && SIGNED) {
        return T(v << (bits - WIDTH)) >> (bits - WIDTH);
    } else if constexpr (MODE == WRAP) {
        return v & S((U(1) << WIDTH) - 1);
    } else {
        constexpr S high = S((U(1) << (WIDTH - SIGNED)) - 1);
        constexpr S low = SIGNED ? S(-high - (MODE != SAT_SYM)) : S(0);
        if constexpr (MODE == SAT_ZERO) {
            return (v > high) | (v < low) ? v & S(0) : v;
        } else {
            const T most = v & S(0), capped = v > high ? most + high : v;
            return capped < low ? most + low : capped;
        }
    }
}

// ap_fixed's assignment: DROP fraction bits fewer (more if negative), into WIDTH bits.
template <int DROP, Rounding MODE, Overflow OVER, int WIDTH, bool SIGNED, class T> inline T cast(T v) {
    if constexpr (DROP >= 0) {
        return limited<OVER, WIDTH, SIGNED>(rounded<DROP, MODE>(v));
    } else {
        constexpr int bits = 8 * sizeof(T), left = -DROP < bits ? -DROP : bits - 1;
        using U = std::make_unsigned_t<T>;
        const T wide = -DROP < bits ? T(U(v) << left) : T(0);
        if constexpr (OVER == FITS || OVER == WRAP) {
            return limited<OVER, WIDTH, SIGNED>(wide);
        } else {
            constexpr T high = T((U(1) << (WIDTH - SIGNED)) - 1), low = SIGNED ? T(-high - (OVER != SAT_SYM)) : T(0);
            const bool above = v > (high >> left), below = v < -((-low) >> left);
            if constexpr (OVER == SAT_ZERO) {
                return above || below ? T(0) : wide;
            } else {
                return above ? high : below ? low : wide;
            }
        }
    }
}

// y[i] = f(x[i], i) in type W.
template <class W, int N, class S, class T, class F> inline void map(const Row<S> *__restrict x, Row<T> *__restrict y, F f) {
    for (int i = 0; i < N; i++) {
        for (int e = 0; e < EVENTS; e++) {
            y[i].at[e] = T(f(W(x[i].at[e]), i));
        }
    }
}

// y[i] = f(a[i % NA], b[i % NB], i) in type W.
template <class W, int N, int NA, int NB, class A, class B, class T, class F>
inline void join(const Row<A> *__restrict a, const Row<B> *__restrict b, Row<T> *__restrict y, F f) {
    for (int i = 0; i < N; i++) {
        for (int e = 0; e < EVENTS; e++) {
            y[i].at[e] = T(f(W(a[i % NA].at[e]), W(b[i % NB].at[e]), i));
        }
    }
}

// Rows of int32: lane e of vector i becomes lane i of vector e.
template <int L> inline __attribute__((always_inline)) void transpose(simd<int32_t> (&r)[L]) {
    unrolled<5>([&](auto stage) {
        constexpr int s = 1 << stage;
        if constexpr (s < L) {
            simd<int32_t> left, right;
            for (int l = 0; l < L; l++) {
                left[l] = l & s ? l - s + L : l;
                right[l] = l & s ? l + L : l + s;
            }
            unrolled<L>([&](auto i) {
                if constexpr (!(i & s)) {
                    const simd<int32_t> a = r[i], b = r[i + s];
#if defined(__clang__)
                    for (int l = 0; l < L; l++) {
                        r[i][l] = left[l] < L ? a[left[l]] : b[left[l] - L];
                        r[i + s][l] = right[l] < L ? a[right[l]] : b[right[l] - L];
                    }
#else
                    r[i] = __builtin_shuffle(a, b, left);
                    r[i + s] = __builtin_shuffle(a, b, right);
#endif
                }
            });
        }
    });
}

template <class S> inline __attribute__((always_inline)) simd<int32_t> widened(const S *from) {
    constexpr int L = Simd<int32_t>::lanes;
    typedef S narrow __attribute__((vector_size(L * sizeof(S))));
    narrow v;
    std::memcpy(&v, from, sizeof v);
    return __builtin_convertvector(v, simd<int32_t>);
}

template <class T> inline __attribute__((always_inline)) void keep(simd<int32_t> v, T *to) {
    constexpr int L = Simd<int32_t>::lanes;
    typedef T narrow __attribute__((vector_size(L * sizeof(T))));
    const narrow kept = __builtin_convertvector(v, narrow);
    std::memcpy(to, &kept, sizeof kept);
}

// EVENTS rows of a C-order matrix with STRIDE columns, N of them, become N Rows. True if all lie in LOW..HIGH.
template <int N, int STRIDE, int64_t LOW, int64_t HIGH, class S, class T>
inline bool load(const S *__restrict raw, Row<T> *__restrict x) {
    constexpr int L = Simd<int32_t>::lanes;
    constexpr bool narrow = sizeof(S) <= 4 && sizeof(T) <= 4;
    constexpr bool all_fit = sizeof(S) < 8 && LOW <= int64_t(std::numeric_limits<S>::min()) &&
                             HIGH >= int64_t(std::numeric_limits<S>::max());
    if constexpr (narrow && N >= L && EVENTS % L == 0) {
        simd<int32_t> misfit = {};
        for (int e = 0; e < EVENTS; e += L) {
            for (int block = 0; block < N; block += L) {
                const int column = block + L <= N ? block : N - L; // the last block overlaps the one before
                simd<int32_t> r[L];
                unrolled<L>([&](auto i) { r[i] = widened(raw + int64_t(e + i) * STRIDE + column); });
                transpose<L>(r);
                unrolled<L>([&](auto i) {
                    if constexpr (!all_fit) {
                        constexpr int32_t least = LOW < INT32_MIN ? INT32_MIN : int32_t(LOW);
                        constexpr int32_t most = HIGH > INT32_MAX ? INT32_MAX : int32_t(HIGH);
                        misfit |= (r[i] < least) | (r[i] > most);
                    }
                    keep(r[i], &x[column + i].at[e]);
                });
            }
        }
        int32_t any = 0;
        for (int l = 0; l < L; l++) {
            any |= misfit[l];
        }
        return any == 0;
    } else {
        bool fit = true;
        for (int i = 0; i < N; i++) {
            for (int e = 0; e < EVENTS; e++) {
                const int64_t v = int64_t(raw[int64_t(e) * STRIDE + i]);
                fit &= v >= LOW && v <= HIGH;
                x[i].at[e] = T(v);
            }
        }
        return fit;
    }
}

// Rows become columns of a C-order matrix of `width` columns; `events` of them. The sizes are no constants here: every
// traced layer would be unrolled by itself, and that takes a compiler longer than all that is computed.
template <class T>
__attribute__((noinline)) void store(const Row<T> *x, int64_t rows, int64_t width, int64_t *out, int64_t events) {
    for (int64_t e = 0; e < events; e++) {
        for (int64_t i = 0; i < rows; i++) {
            out[e * width + i] = x[i].at[e];
        }
    }
}

// Run a Program over `events` rows of INPUTS raw values. Returns -1, or the first event of a block in which a value does
// not fit its format: nothing is computed from there on.
template <class Program, bool TRACE, class S> int64_t run(const S *raw, int64_t events, int64_t *out) {
    static thread_local std::unique_ptr<typename Program::Tensors> tensors;
    if (!tensors) {
        tensors = std::make_unique<typename Program::Tensors>();
    }
    constexpr int width = TRACE ? Program::TRACED : Program::OUTPUTS;
    for (int64_t first = 0; first < events; first += EVENTS) {
        const int64_t count = std::min<int64_t>(EVENTS, events - first);
        const S *rows = raw + first * Program::INPUTS;
        std::unique_ptr<S[]> filled;
        if (count < EVENTS) { // the last events, and the first of them again and again
            filled = std::make_unique<S[]>(size_t(EVENTS) * Program::INPUTS);
            std::copy_n(rows, count * Program::INPUTS, filled.get());
            for (int64_t e = count; e < EVENTS; e++) {
                std::copy_n(rows, Program::INPUTS, filled.get() + e * Program::INPUTS);
            }
            rows = filled.get();
        }
        if (!Program::load(rows, *tensors)) {
            return first;
        }
        Program::compute(*tensors);
        if constexpr (TRACE) {
            Program::trace(*tensors, out + first * width, count);
        } else {
            Program::store(*tensors, out + first * width, count);
        }
    }
    return -1;
}

} // namespace lanes
