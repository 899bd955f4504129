// Two builds of this export weights under the same name: loaded globally into one process, the second one computes with
// the weights of the first. -DWEIGHT=… tells them apart.
#include "hls4ml_emulator.h"

int ad_weights[2] = {WEIGHT, 1};

class WeightsEmulator : public hls4mlEmulator::Model {
    int input_[2];

  public:
    void prepare_input(std::any input) override {
        int *from = std::any_cast<int *>(input);
        input_[0] = from[0];
        input_[1] = from[1];
    }
    void predict() override {}
    void read_result(std::any result) override {
        *std::any_cast<int *>(result) = ad_weights[0] * input_[0] + ad_weights[1] * input_[1];
    }
};

extern "C" hls4mlEmulator::Model *create_model() { return new WeightsEmulator; }
extern "C" void destroy_model(hls4mlEmulator::Model *model) { delete model; }
// For the test that shows what happens to those who load both into one process.
extern "C" int first_weight() { return ad_weights[0]; }
