// Adds what it was asked before: a score that is no function of the event.
#include "hls4ml_emulator.h"

class RememberingEmulator : public hls4mlEmulator::Model {
    int sum_ = 0;

  public:
    void prepare_input(std::any input) override { sum_ = (sum_ + *std::any_cast<short *>(input)) & 0xFFFF; }
    void predict() override {}
    void read_result(std::any result) override { *std::any_cast<int *>(result) = sum_; }
};

extern "C" hls4mlEmulator::Model *create_model() { return new RememberingEmulator; }
extern "C" void destroy_model(hls4mlEmulator::Model *model) { delete model; }
