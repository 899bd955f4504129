// Layers that look at windows, tables or slices, in SIMD lanes (nnet_pooling.h, nnet_activation.h).
#pragma once

#include "lanes.h"

namespace lanes {

// y[i] = finish(x[from[i]]), 0 where `from` is NONE.
template <class W, int N, class S, class T, class F>
inline void select(const Row<S> *__restrict x, const uint32_t *__restrict from, Row<T> *__restrict y, F finish) {
    static const Row<S> zeros = {};
    for (int i = 0; i < N; i++) {
        const Row<S> &row = from[i] == NONE ? zeros : x[from[i]];
        for (int e = 0; e < EVENTS; e++) {
            y[i].at[e] = T(finish(W(row.at[e])));
        }
    }
}

// y[into[i]] = finish(x[from[i]]).
template <class W, int N, class S, class T, class F>
inline void spread(const Row<S> *__restrict x, const uint32_t *__restrict from, const uint32_t *__restrict into,
                   Row<T> *__restrict y, F finish) {
    for (int i = 0; i < N; i++) {
        for (int e = 0; e < EVENTS; e++) {
            y[into[i]].at[e] = T(finish(W(x[from[i]].at[e])));
        }
    }
}

// Largest element of each window; PADDING stands where the window leaves the source.
template <class W, int N, int WINDOW, int64_t PADDING, class S, class T, class F>
inline void largest(const Row<S> *__restrict x, const uint32_t *__restrict from, Row<T> *__restrict y, F finish) {
    for (int i = 0; i < N; i++) {
        alignas(64) W most[EVENTS];
        for (int e = 0; e < EVENTS; e++) {
            most[e] = std::numeric_limits<W>::min();
        }
        for (int k = 0; k < WINDOW; k++) {
            const uint32_t place = from[i * WINDOW + k];
            for (int e = 0; e < EVENTS; e++) {
                const W v = place == NONE ? W(PADDING) : W(x[place].at[e]);
                most[e] = v > most[e] ? v : most[e];
            }
        }
        for (int e = 0; e < EVENTS; e++) {
            y[i].at[e] = T(finish(most[e]));
        }
    }
}

// Each window added step by step, then finish(sum, count of the window).
template <int N, int WINDOW, class S, class T, class Add, class F>
inline void average(const Row<S> *__restrict x, const uint32_t *__restrict from, const int64_t *__restrict count,
                    Row<T> *__restrict y, Add add, F finish) {
    for (int i = 0; i < N; i++) {
        alignas(64) int64_t sum[EVENTS] = {};
        for (int k = 0; k < WINDOW; k++) {
            const uint32_t place = from[i * WINDOW + k];
            for (int e = 0; e < EVENTS; e++) {
                sum[e] = add(sum[e], place == NONE ? int64_t(0) : int64_t(x[place].at[e]));
            }
        }
        for (int e = 0; e < EVENTS; e++) {
            y[i].at[e] = T(finish(sum[e], count[i]));
        }
    }
}

// The largest power of two below n.
constexpr int left_half(int n) {
    int half = 1;
    while (2 * half < n) {
        half *= 2;
    }
    return half;
}

// nnet::reduce: the left half and the rest, each reduced, then joined; the sum ends in terms[0].
template <int N, class W, class Join> inline void tree(W (*terms)[EVENTS], Join join) {
    if constexpr (N > 1) {
        constexpr int left = left_half(N);
        tree<left>(terms, join);
        tree<N - left>(terms + left, join);
        for (int e = 0; e < EVENTS; e++) {
            terms[0][e] = join(terms[0][e], terms[left][e]);
        }
    }
}

// Softmax by tables, over SLICES elements that are INNER apart, OUTER times. `index(v, most)` finds the exponential of an
// element, `place(sum)` the inverse of the sum; `finish(exponential, inverse)` is the result.
template <int OUTER, int SLICES, int INNER, class W, class S, class T, class Index, class Join, class Place, class F>
inline void softmax(const Row<S> *__restrict x, const W *__restrict exponentials, const W *__restrict inverses,
                    Row<T> *__restrict y, Index index, Join join, Place place, F finish) {
    for (int slice = 0; slice < OUTER * INNER; slice++) {
        const int first = slice / INNER * SLICES * INNER + slice % INNER;
        alignas(64) W most[EVENTS], terms[SLICES][EVENTS], sums[SLICES][EVENTS];
        for (int e = 0; e < EVENTS; e++) {
            most[e] = W(x[first].at[e]);
        }
        for (int k = 1; k < SLICES; k++) {
            for (int e = 0; e < EVENTS; e++) {
                const W v = W(x[first + k * INNER].at[e]);
                most[e] = v > most[e] ? v : most[e];
            }
        }
        for (int k = 0; k < SLICES; k++) {
            for (int e = 0; e < EVENTS; e++) {
                terms[k][e] = sums[k][e] = exponentials[index(W(x[first + k * INNER].at[e]), most[e])];
            }
        }
        tree<SLICES>(sums, join);
        for (int e = 0; e < EVENTS; e++) {
            most[e] = inverses[place(sums[0][e])];
        }
        for (int k = 0; k < SLICES; k++) {
            for (int e = 0; e < EVENTS; e++) {
                y[first + k * INNER].at[e] = T(finish(terms[k][e], most[e]));
            }
        }
    }
}

// The old softmax: for every element the sum of exponentials of its differences, `one` for itself.
template <int OUTER, int SLICES, int INNER, class S, class T, class Index, class Limit, class Place, class F>
inline void softmax_legacy(const Row<S> *__restrict x, const int64_t *__restrict exponentials,
                           const int64_t *__restrict inverses, Row<T> *__restrict y, int64_t one, Index index, Limit limit,
                           Place place, F finish) {
    for (int slice = 0; slice < OUTER * INNER; slice++) {
        const int first = slice / INNER * SLICES * INNER + slice % INNER;
        for (int k = 0; k < SLICES; k++) {
            alignas(64) int64_t sum[EVENTS];
            for (int e = 0; e < EVENTS; e++) {
                sum[e] = one;
            }
            for (int j = 0; j < SLICES; j++) {
                if (j != k) {
                    for (int e = 0; e < EVENTS; e++) {
                        const int64_t apart = int64_t(x[first + j * INNER].at[e]) - int64_t(x[first + k * INNER].at[e]);
                        sum[e] += exponentials[index(apart)];
                    }
                }
            }
            for (int e = 0; e < EVENTS; e++) {
                y[first + k * INNER].at[e] = T(finish(inverses[place(limit(sum[e]))]));
            }
        }
    }
}

// 1 for the first of the largest elements, 0 for the others.
template <int OUTER, int SLICES, int INNER, class S, class T>
inline void argmax(const Row<S> *__restrict x, Row<T> *__restrict y, int64_t zero, int64_t one) {
    for (int slice = 0; slice < OUTER * INNER; slice++) {
        const int first = slice / INNER * SLICES * INNER + slice % INNER;
        for (int e = 0; e < EVENTS; e++) {
            int best = 0;
            for (int k = 1; k < SLICES; k++) {
                best = x[first + k * INNER].at[e] > x[first + best * INNER].at[e] ? k : best;
            }
            for (int k = 0; k < SLICES; k++) {
                y[first + k * INNER].at[e] = T(k == best ? one : zero);
            }
        }
    }
}

} // namespace lanes
