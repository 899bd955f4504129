// Counting the inputs of events: histograms, eta-phi towers, products of all pairs, and the features of each event with
// their products. A block of events is turned first, one input after the other: every loop then runs over events, does
// one thing, and has no branch to guess wrong.
// It says what `InputCounter` says in numpy, number for number; `Plan` and `Counts` are laid out as `kernel.py` fills them.

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

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
    int64_t block;             // events counted at once, whole lanes: 95 * 95 * 1024 fits 32 bits
    int64_t inputs, n_groups, n_maps, n_plain, n_paired, features;
};

struct Counts {
    int64_t *inputs;    // [inputs, bins + 1], the last bin for an object that is not there
    int64_t *towers;    // [cells]
    int64_t *paired;    // [n_paired]
    int64_t *pairs;     // [n_paired * (n_paired + 1) / 2], row by row of the lower triangle
    int64_t *sums;      // [features]
    int64_t *products;  // [features, features]
};

constexpr int64_t kLane = 64;
constexpr int kBins = 256;

constexpr int kMantissa = 52, kExponentBias = 1023;  // of an IEEE 754 double

// As `binning.magnitude_bin`: exponent and the upper bits of the mantissa of the value as a double, which holds it whole.
int64_t magnitude_bin(int64_t value, int64_t steps, int64_t last) {
    const double wide = static_cast<double>(value);
    int64_t bits;
    std::memcpy(&bits, &wide, sizeof bits);
    const int64_t bin = (bits >> (kMantissa - __builtin_ctzll(static_cast<uint64_t>(steps)))) + 1 - steps * kExponentBias;
    return std::clamp<int64_t>(bin, 0, last);
}

template <typename Raw>
uint16_t word_of(Raw raw) {
    const int64_t wide = raw;
    return static_cast<uint16_t>(std::clamp<int64_t>(wide, INT16_MIN, INT16_MAX));
}

template <typename Raw>
class Counter {
  public:
    Counter(const Plan &plan, const Counts &counts)
        : plan_(plan), counts_(counts), bin_of_((1u << plan.bin_bits) - 1), bins_(plan.inputs * plan.block),
          features_(plan.features * plan.block), absent_(plan.block), shown_(plan.block), total_(plan.block) {}

    // Counts at most `block` events: rows of raw inputs, and the bin of each event's score.
    void count(const Raw *raw, const int16_t *score, int64_t events) {
        raw_ = raw;
        events_ = events;
        for (int64_t i = 0; i < plan_.inputs; ++i) count_input(i);
        for (int64_t i = 0; i < plan_.n_maps; ++i) count_map(i);
        add_pairs();
        find_features(score);
        add_products();
    }

  private:
    void count_input(int64_t input) {
        const uint32_t *table = plan_.table + plan_.table_of[input];
        uint8_t *bins = bins_of(input);
        for (int64_t k = 0; k < events_; ++k) bins[k] = table[word_of(at(k, input))] & bin_of_;
        const int32_t first = plan_.first_of[input];
        if (first < 0) return add_histogram(input, bins);
        if (first == input) {  // which comes before the other inputs of its object
            for (int64_t k = 0; k < events_; ++k) absent_[k] = at(k, first) == 0;
        }
        const uint8_t gone = static_cast<uint8_t>(plan_.bins), nothing = plan_.nothing[input];
        for (int64_t k = 0; k < events_; ++k) {
            shown_[k] = absent_[k] ? gone : bins[k];
            bins[k] = absent_[k] ? nothing : bins[k];
        }
        add_histogram(input, shown_.data());
    }

    // Neighbouring events often share a bin, and adding to what was just written waits for it: hence four of them.
    void add_histogram(int64_t input, const uint8_t *bins) {
        uint32_t found[4][kBins] = {};
        int64_t k = 0;
        for (; k + 4 <= events_; k += 4) {
            for (int lane = 0; lane < 4; ++lane) ++found[lane][bins[k + lane]];
        }
        for (; k < events_; ++k) ++found[0][bins[k]];
        int64_t *into = counts_.inputs + input * (plan_.bins + 1);
        for (int64_t b = 0; b <= plan_.bins; ++b) into[b] += found[0][b] + found[1][b] + found[2][b] + found[3][b];
    }

    void count_map(int64_t object) {
        const int64_t *map = plan_.maps + 3 * object;
        const uint32_t *eta = plan_.table + plan_.table_of[map[0]], *phi = plan_.table + plan_.table_of[map[1]];
        int64_t *cells = counts_.towers + plan_.map_cells[object];
        for (int64_t k = 0; k < events_; ++k) {
            const uint32_t cell = (eta[word_of(at(k, map[0]))] + phi[word_of(at(k, map[1]))]) >> plan_.bin_bits;
            cells[cell] += at(k, map[2]) != 0;
        }
    }

    void add_pairs() {
        const int64_t whole = (events_ + kLane - 1) / kLane * kLane;
        int64_t *pairs = counts_.pairs;
        for (int64_t i = 0; i < plan_.n_paired; ++i) {
            uint8_t *one = bins_of(plan_.paired[i]);
            std::fill(one + events_, one + whole, 0);
            int32_t total = 0;
            for (int64_t k = 0; k < whole; ++k) total += one[k];
            counts_.paired[i] += total;
            for (int64_t j = 0; j <= i; ++j) {
                // Bins are below 128: read as signed they are the same, and processors multiply unsigned by signed bytes.
                const int8_t *other = reinterpret_cast<const int8_t *>(bins_of(plan_.paired[j]));
                int32_t sum = 0;
                for (int64_t k = 0; k < whole; ++k) sum += static_cast<int32_t>(one[k]) * static_cast<int32_t>(other[k]);
                *pairs++ += sum;
            }
        }
    }

    void find_features(const int16_t *score) {
        int16_t *feature = features_.data();
        for (int64_t g = 0; g < plan_.n_groups; ++g) {
            const int64_t from = plan_.groups[2 * g], to = plan_.groups[2 * g + 1];
            const bool several = to - from > 1;  // of one, how many is nearly constant, and the sum is the object itself
            int16_t *multiplicity = feature, *leading = feature + (several ? plan_.block : 0);
            if (several) find_sum(from, to, multiplicity, leading + plan_.block);
            const uint8_t *bins = bins_of(plan_.firsts[from]);
            std::copy(bins, bins + events_, leading);
            feature += (several ? 3 : 1) * plan_.block;
        }
        for (int64_t i = 0; i < plan_.n_plain; ++i, feature += plan_.block) {
            const uint8_t *bins = bins_of(plan_.plain[i]);
            std::copy(bins, bins + events_, feature);
        }
        std::copy(score, score + events_, feature);
    }

    void find_sum(int64_t from, int64_t to, int16_t *multiplicity, int16_t *sum) {
        std::fill(multiplicity, multiplicity + events_, 0);
        std::fill(total_.begin(), total_.end(), 0);
        for (int64_t object = from; object < to; ++object) {
            const int32_t first = plan_.firsts[object];
            for (int64_t k = 0; k < events_; ++k) {
                multiplicity[k] += at(k, first) != 0;
                total_[k] += std::max<int64_t>(at(k, first), 0);
            }
        }
        for (int64_t k = 0; k < events_; ++k) {
            sum[k] = static_cast<int16_t>(magnitude_bin(total_[k], plan_.steps, plan_.sum_last));
        }
    }

    void add_products() {
        for (int64_t a = 0; a < plan_.features; ++a) {
            const int16_t *one = features_.data() + a * plan_.block;
            for (int64_t k = 0; k < events_; ++k) counts_.sums[a] += one[k];
            for (int64_t b = 0; b <= a; ++b) {
                const int16_t *other = features_.data() + b * plan_.block;
                int64_t sum = 0;
                for (int64_t k = 0; k < events_; ++k) sum += static_cast<int32_t>(one[k]) * static_cast<int32_t>(other[k]);
                counts_.products[a * plan_.features + b] += sum;
                if (a != b) counts_.products[b * plan_.features + a] += sum;
            }
        }
    }

    Raw at(int64_t event, int64_t input) const { return raw_[event * plan_.inputs + input]; }
    uint8_t *bins_of(int64_t input) { return bins_.data() + input * plan_.block; }

    const Plan &plan_;
    const Counts &counts_;
    const uint32_t bin_of_;
    const Raw *raw_ = nullptr;
    int64_t events_ = 0;
    std::vector<uint8_t> bins_;      // [inputs, block]; of an object that is not there, the bin of 0
    std::vector<int16_t> features_;  // [features, block]
    std::vector<uint8_t> absent_, shown_;
    std::vector<int64_t> total_;
};

template <typename Raw>
void count(const Plan &plan, const Counts &counts, const Raw *raw, const int16_t *score, int64_t events) {
    Counter<Raw> counter(plan, counts);
    for (int64_t start = 0; start < events; start += plan.block) {
        counter.count(raw + start * plan.inputs, score + start, std::min(plan.block, events - start));
    }
}

}  // namespace

extern "C" {

void trigwatch_count_int16(const Plan *plan, const Counts *counts, const int16_t *raw, const int16_t *score,
                           int64_t events) {
    count(*plan, *counts, raw, score, events);
}

void trigwatch_count_int32(const Plan *plan, const Counts *counts, const int32_t *raw, const int16_t *score,
                           int64_t events) {
    count(*plan, *counts, raw, score, events);
}

}  // extern "C"
