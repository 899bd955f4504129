// As large and as slow as an anomaly trigger of today: 57 inputs, layers of 32, 16 and 8, and the sum of squares.
#include "ap_fixed.h"
#include "hls4ml_emulator.h"

typedef ap_fixed<18, 13> input_t;
typedef ap_fixed<16, 7> hidden_t;
typedef ap_fixed<8, 2> weight_t;
typedef ap_ufixed<18, 14, AP_TRN, AP_SAT> loss_t;

namespace {

// The same weights everywhere and always.
weight_t weight(unsigned layer, unsigned from, unsigned to) {
    const unsigned mixed = (layer * 7919u + from * 104729u + to * 1299709u) * 2654435761u;
    return weight_t(static_cast<int>(mixed >> 25) / 64. - 1);
}

template <unsigned kFrom, unsigned kTo> struct Layer {
    weight_t weights[kFrom][kTo];

    explicit Layer(unsigned number) {
        for (unsigned i = 0; i < kFrom; i++) {
            for (unsigned j = 0; j < kTo; j++) {
                weights[i][j] = weight(number, i, j);
            }
        }
    }

    template <class T> void operator()(const T *from, hidden_t *to, bool relu) const {
        for (unsigned j = 0; j < kTo; j++) {
            ap_fixed<32, 20> sum = 0;
            for (unsigned i = 0; i < kFrom; i++) {
                sum += weights[i][j] * from[i];
            }
            to[j] = relu && sum < 0 ? ap_fixed<32, 20>(0) : ap_fixed<32, 20>(sum >> 4);
        }
    }
};

} // namespace

class Encoder : public hls4mlEmulator::Model {
    const Layer<57, 32> first_{1};
    const Layer<32, 16> second_{2};
    const Layer<16, 8> third_{3};
    input_t input_[57];
    hidden_t wide_[32], narrow_[16], latent_[8];
    loss_t loss_;

  public:
    void prepare_input(std::any input) override {
        input_t *from = std::any_cast<input_t *>(input);
        for (int i = 0; i < 57; i++) {
            input_[i] = std::any_cast<input_t>(from[i]);
        }
    }

    void predict() override {
        first_(input_, wide_, true);
        second_(wide_, narrow_, true);
        third_(narrow_, latent_, false);
        loss_ = 0;
        for (const hidden_t &each : latent_) {
            loss_ += each * each;
        }
    }

    void read_result(std::any result) override { *std::any_cast<loss_t *>(result) = loss_; }
};

extern "C" hls4mlEmulator::Model *create_model() { return new Encoder; }
extern "C" void destroy_model(hls4mlEmulator::Model *model) { delete model; }
