// A result of a type of its own, an array as input, a byte that is padding, and a factor from a library that must have
// been loaded before.
#include "ap_int.h"
#include "hls4ml_emulator.h"

#include <array>

extern "C" int interface_factor();

namespace demo {
struct Result {
    ap_uint<5> flags;
    ap_int<16> sums[1];
    ap_ufixed<40, 30> product;
};
} // namespace demo

class StructuredEmulator : public hls4mlEmulator::Model {
    std::array<short, 3> input_;

  public:
    void prepare_input(std::any input) override { input_ = *std::any_cast<std::array<short, 3> *>(input); }
    void predict() override {}
    void read_result(std::any result) override {
        demo::Result *to = std::any_cast<demo::Result *>(result);
        to->flags = (input_[0] > 0) + 2 * (input_[1] > 0) + 16 * (input_[2] > 0);
        to->sums[0] = input_[0] + input_[1];
        to->product = ap_uint<30>(interface_factor() * (input_[2] & 0x7FFF));
    }
};

extern "C" hls4mlEmulator::Model *create_model() { return new StructuredEmulator; }
extern "C" void destroy_model(hls4mlEmulator::Model *model) { delete model; }
