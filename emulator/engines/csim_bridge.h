// Raw integers in and out of hls4ml's generated C++: bits are set and read, never converted through floating point.
#ifndef TRIGWATCH_CSIM_BRIDGE_H_
#define TRIGWATCH_CSIM_BRIDGE_H_

#include "ap_fixed.h"
#include "ap_int.h"
#include "hls_stream.h"
#include "nnet_utils/nnet_types.h"

#include <cstddef>
#include <cstdint>

namespace trigwatch {

template <class T> void put(T &to, int64_t raw) {
    static_assert(T::width <= 64, "a raw value must fit 64 bits");
    to.V = static_cast<long long>(raw);
}

template <class T> int64_t get(const T &from) {
    static_assert(T::width <= 64, "a raw value must fit 64 bits");
    return from.V.to_int64();
}

template <class T> void read(const int64_t *&from, T *to, size_t size) {
    for (size_t i = 0; i < size; i++) {
        put(to[i], *from++);
    }
}

template <class T> void read(const int64_t *&from, hls::stream<T> &to, size_t size) {
    for (size_t i = 0; i < size / T::size; i++) {
        T pack;
        for (size_t j = 0; j < T::size; j++) {
            put(pack[j], *from++);
        }
        to.write(pack);
    }
}

template <class T> void write(T *from, int64_t *&to, size_t size) {
    for (size_t i = 0; i < size; i++) {
        *to++ = get(from[i]);
    }
}

template <class T> void write(hls::stream<T> &from, int64_t *&to, size_t size) {
    for (size_t i = 0; i < size / T::size; i++) {
        T pack = from.read();
        for (size_t j = 0; j < T::size; j++) {
            *to++ = get(pack[j]);
        }
    }
}

// Weights: the same conversion from double as in hls4ml's initialisers, in a loop that compiles at once.
template <class T, size_t N> bool set(T (&weights)[N], const double (&values)[N]) {
    for (size_t i = 0; i < N; i++) {
        weights[i] = T(values[i]);
    }
    return true;
}

// Where the layers of the event at hand write their raw outputs, or null.
static int64_t *trace = nullptr;

} // namespace trigwatch

namespace nnet {

// What hls4ml calls `save_layer_output` goes here instead: it would convert to float or double.
template <class T> void keep_raw_output(T *data, const char *, size_t size) {
    if (trigwatch::trace) {
        trigwatch::write(data, trigwatch::trace, size);
    }
}

template <class T> void keep_raw_output(hls::stream<T> &data, const char *, size_t size) {
    if (trigwatch::trace) {
        for (size_t i = 0; i < size / T::size; i++) {
            T pack = data.read();
            for (size_t j = 0; j < T::size; j++) {
                *trigwatch::trace++ = trigwatch::get(pack[j]);
            }
            data.write(pack);
        }
    }
}

} // namespace nnet

#endif
