// A small anomaly detector as the real ones are: a latent vector and the sum of its squares, as a pair.
#include "ap_fixed.h"
#include "hls4ml_emulator.h"

#include <array>
#include <utility>

typedef ap_fixed<18, 13> input_t;
typedef ap_fixed<10, 7, AP_RND_CONV, AP_SAT> latent_t;
typedef ap_ufixed<18, 14> loss_t;
typedef std::pair<std::array<latent_t, 4>, loss_t> result_t;

namespace {
const int kInputs = 6, kLatent = 4;
const int weights[kLatent][kInputs] = {
    {3, -2, 0, 7, 1, 1}, {-5, 4, 1, 0, 0, 2}, {1, 1, 1, 1, 1, 1}, {0, 0, -3, 2, 6, -1}};
} // namespace

class GoodEmulator : public hls4mlEmulator::Model {
    input_t input_[kInputs];
    result_t result_;

  public:
    void prepare_input(std::any input) override {
        input_t *from = std::any_cast<input_t *>(input);
        for (int i = 0; i < kInputs; i++) {
            input_[i] = std::any_cast<input_t>(from[i]);
        }
    }

    void predict() override {
        ap_fixed<48, 30> loss = 0;
        for (int k = 0; k < kLatent; k++) {
            ap_fixed<48, 30> sum = 0;
            for (int i = 0; i < kInputs; i++) {
                sum += ap_fixed<8, 3>(weights[k][i] / 32.) * input_[i];
            }
            result_.first[k] = sum;
            loss += result_.first[k] * result_.first[k];
        }
        result_.second = loss;
    }

    void read_result(std::any result) override {
        result_t *to = std::any_cast<result_t *>(result);
        to->first = result_.first;
        to->second = result_.second;
    }
};

#define EXPORTED extern "C" __attribute__((visibility("default")))
EXPORTED hls4mlEmulator::Model *create_model() { return new GoodEmulator; }
EXPORTED void destroy_model(hls4mlEmulator::Model *model) { delete model; }
