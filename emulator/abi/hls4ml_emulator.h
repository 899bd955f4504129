// The interface that compiled CMS emulators implement: the order of the virtual functions is the ABI.
#ifndef TRIGWATCH_HLS4ML_EMULATOR_H_
#define TRIGWATCH_HLS4ML_EMULATOR_H_

#include <any>

namespace hls4mlEmulator {

class Model {
  public:
    virtual void prepare_input(std::any input) = 0;
    virtual void predict() = 0;
    virtual void read_result(std::any result) = 0;
    virtual ~Model() = default;
};

} // namespace hls4mlEmulator

#endif
