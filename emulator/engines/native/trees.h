// Ensembles of decision trees in SIMD lanes: no branches, the same work for every event.
#pragma once

#include "elements.h"
#include "sums.h"

namespace lanes {

// The leaf of one complete tree for the events from `place` on: the leaves are chosen in pairs, level by level upwards.
template <class W, int DEPTH>
inline simd<W> leaf(const Row<W> *__restrict x, const uint32_t *__restrict feature, const W *__restrict limit,
                    const W *__restrict value, int place) {
    if constexpr (DEPTH == 0) {
        return simd<W>{} + value[0];
    } else {
        constexpr int pairs = 1 << (DEPTH - 1);
        simd<W> kept[pairs];
        for (int i = 0; i < pairs; i++) {
            const auto right = held(x[feature[pairs - 1 + i]], place) > limit[pairs - 1 + i];
            kept[i] = right ? simd<W>{} + value[2 * i + 1] : simd<W>{} + value[2 * i];
        }
        for (int level = pairs / 2; level > 0; level /= 2) {
            for (int i = 0; i < level; i++) {
                const auto right = held(x[feature[level - 1 + i]], place) > limit[level - 1 + i];
                kept[i] = right ? kept[2 * i + 1] : kept[2 * i];
            }
        }
        return kept[0];
    }
}

// start + Σ leaves of TREES trees; FREE says that the order of the sums does not matter, then they are joined once.
template <class W, int DEPTH, int TREES, bool FREE, class Y, class Join>
inline void trees(const Row<W> *__restrict x, const uint32_t *__restrict feature, const W *__restrict limit,
                  const W *__restrict value, int64_t start, Row<Y> *__restrict y, Join join) {
    constexpr int L = Simd<W>::lanes, NODES = (1 << DEPTH) - 1;
    if constexpr (FREE) {
        Row<W> sums;
        for (int e = 0; e < EVENTS; e += L) {
            simd<W> sum = simd<W>{} + W(start);
            for (int t = 0; t < TREES; t++) {
                sum += leaf<W, DEPTH>(x, feature + t * NODES, limit + t * NODES, value + t * (NODES + 1), e);
            }
            std::memcpy(sums.at + e, &sum, sizeof sum);
        }
        for (int e = 0; e < EVENTS; e++) {
            y[0].at[e] = Y(join(sums.at[e]));
        }
    } else {
        alignas(64) static thread_local W terms[TREES][EVENTS];
        for (int t = 0; t < TREES; t++) {
            for (int e = 0; e < EVENTS; e += L) {
                const simd<W> v = leaf<W, DEPTH>(x, feature + t * NODES, limit + t * NODES, value + t * (NODES + 1), e);
                std::memcpy(terms[t] + e, &v, sizeof v);
            }
        }
        tree<TREES>(terms, [&](W a, W b) { return W(join(W(a + b))); });
        for (int e = 0; e < EVENTS; e++) {
            y[0].at[e] = Y(join(W(W(start) + terms[0][e])));
        }
    }
}

} // namespace lanes
