// Counting the inputs of events: histograms, eta-phi towers, products of all pairs and the features of each event, in one
// pass over the rows.
// It says what `InputCounter` says in numpy, number for number; `Plan` is laid out as `kernel.py` fills it.

#include <algorithm>
#include <cstdint>

namespace {

struct Plan {
    const uint32_t *table;     // for every kind of input and 16-bit word: its bin, and above it its share of a cell
    const int64_t *table_of;   // [inputs] where the table of an input's kind begins
    const int32_t *first_of;   // [inputs] the input that says whether this one's object is there; -1: it always is
    const int32_t *firsts;     // [objects] the first input of each object
    const int64_t *groups;     // [n_groups, 2] objects from, to
    const int64_t *maps;       // [n_maps, 3] inputs of eta and phi and presence, laid out object by object
    const int64_t *map_cells;  // [n_maps] first cell of the object's grid
    const int32_t *plain;      // [n_plain] inputs that serve as features where there are no objects
    const int32_t *paired;     // [n_paired] inputs of which all products are summed
    const uint8_t *nothing;    // [inputs] bin of an input that is 0
    int64_t bins, bin_bits, steps, sum_last;
    int64_t block;             // events of which products are summed at once: 95 * 95 * 1024 fits 32 bits
    int64_t inputs, n_groups, n_maps, n_plain, n_paired, features;
};

constexpr int64_t kLane = 64;

// 0 -> 0, else `steps` (a power of two) linear steps an octave, as `binning.magnitude_bin` counts them.
int64_t magnitude_bin(uint64_t value, int64_t steps, int64_t last) {
    if (value == 0) return 0;
    const int octave = 63 - __builtin_clzll(value);
    const int fine = __builtin_ctzll(static_cast<uint64_t>(steps));
    const uint64_t shifted = octave >= fine ? value >> (octave - fine) : value << (fine - octave);
    return std::min<int64_t>(1 + steps * octave + static_cast<int64_t>(shifted & (steps - 1)), last);
}

template <typename Raw>
uint16_t word_of(Raw raw) {
    const int64_t wide = raw;
    return static_cast<uint16_t>(std::clamp<int64_t>(wide, INT16_MIN, INT16_MAX));
}

// Adds the bins of `events` events, one input after the other in `columns`, and the products of all pairs of them; what
// is behind the events up to a whole lane must be 0.
void add_pairs(const Plan &plan, const uint8_t *columns, int64_t events, int64_t *paired, int64_t *pairs) {
    const int64_t filled = (events + kLane - 1) / kLane * kLane;
    for (int64_t i = 0; i < plan.n_paired; ++i) {
        const uint8_t *one = columns + i * plan.block;
        int32_t total = 0;
        for (int64_t k = 0; k < filled; ++k) total += one[k];
        paired[i] += total;
        for (int64_t j = 0; j <= i; ++j) {
            // Bins are below 128: read as signed they are the same, and processors multiply unsigned by signed bytes.
            const int8_t *other = reinterpret_cast<const int8_t *>(columns + j * plan.block);
            int32_t sum = 0;
            for (int64_t k = 0; k < filled; ++k) sum += static_cast<int32_t>(one[k]) * static_cast<int32_t>(other[k]);
            *pairs++ += sum;
        }
    }
}

template <typename Raw>
void count(const Plan &plan, const Raw *raw, int64_t events, int64_t *histogram, int64_t *towers, int64_t *paired,
           int64_t *pairs, double *features, uint32_t *found, uint8_t *columns) {
    const uint32_t bin_of = (1u << plan.bin_bits) - 1;
    for (int64_t event = 0; event < events; ++event, raw += plan.inputs, features += plan.features) {
        for (int64_t i = 0; i < plan.inputs; ++i) {
            found[i] = plan.table[plan.table_of[i] + word_of(raw[i])];
            const bool absent = plan.first_of[i] >= 0 && raw[plan.first_of[i]] == 0;
            const int64_t bin = absent ? plan.bins : static_cast<int64_t>(found[i] & bin_of);
            ++histogram[i * (plan.bins + 1) + bin];
            if (absent) found[i] = (found[i] & ~bin_of) | plan.nothing[i];
        }
        const int64_t slot = event % plan.block;
        for (int64_t i = 0; i < plan.n_paired; ++i) columns[i * plan.block + slot] = found[plan.paired[i]] & bin_of;
        for (int64_t i = 0; i < plan.n_maps; ++i) {
            const int64_t *map = plan.maps + 3 * i;
            if (raw[map[2]] != 0) ++towers[plan.map_cells[i] + ((found[map[0]] + found[map[1]]) >> plan.bin_bits)];
        }
        double *feature = features;
        for (int64_t group = 0; group < plan.n_groups; ++group) {
            const int64_t from = plan.groups[2 * group], to = plan.groups[2 * group + 1];
            const double leading = found[plan.firsts[from]] & bin_of;
            if (to - from == 1) {  // how many is nearly constant, and the sum is the object itself
                *feature++ = leading;
                continue;
            }
            int64_t present = 0, total = 0;
            for (int64_t object = from; object < to; ++object) {
                const int64_t value = raw[plan.firsts[object]];
                present += value != 0;
                total += std::max<int64_t>(value, 0);
            }
            *feature++ = static_cast<double>(present);
            *feature++ = leading;
            *feature++ = static_cast<double>(magnitude_bin(static_cast<uint64_t>(total), plan.steps, plan.sum_last));
        }
        for (int64_t i = 0; i < plan.n_plain; ++i) *feature++ = found[plan.plain[i]] & bin_of;
        if (slot + 1 == plan.block || event + 1 == events) {
            add_pairs(plan, columns, slot + 1, paired, pairs);
            if (event + 1 < events) std::fill(columns, columns + plan.n_paired * plan.block, 0);
        }
    }
}

}  // namespace

extern "C" {

void trigwatch_count_int16(const Plan *plan, const int16_t *raw, int64_t events, int64_t *histogram, int64_t *towers,
                           int64_t *paired, int64_t *pairs, double *features, uint32_t *found, uint8_t *columns) {
    count(*plan, raw, events, histogram, towers, paired, pairs, features, found, columns);
}

void trigwatch_count_int32(const Plan *plan, const int32_t *raw, int64_t events, int64_t *histogram, int64_t *towers,
                           int64_t *paired, int64_t *pairs, double *features, uint32_t *found, uint8_t *columns) {
    count(*plan, raw, events, histogram, towers, paired, pairs, features, found, columns);
}

}  // extern "C"
