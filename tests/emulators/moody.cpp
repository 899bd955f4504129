// Answers twice its first input plus the second one, and does what must not take anybody along where the first is
// SHIFT plus 1 to 9. At SHIFT plus 10 it takes its time.
#include "ap_int.h"
#include "hls4ml_emulator.h"

#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <unistd.h>

#ifndef SHIFT
#define SHIFT 0
#endif

typedef ap_int<10> input_t;
typedef ap_int<12> result_t;

class MoodyEmulator : public hls4mlEmulator::Model {
    int mood_ = 0;
    result_t result_;

  public:
    void prepare_input(std::any input) override {
        input_t *from = std::any_cast<input_t *>(input);
        mood_ = from[0].to_int() - SHIFT;
        result_ = 2 * from[0] + from[1];
    }

    void predict() override {
        switch (mood_) {
        case 1: throw std::runtime_error("no weights for this input");
        case 2: *(volatile int *)nullptr = 0; break;
        case 3: for (volatile int k = 0;; k = k + 1) {} break;
        case 4: fprintf(stderr, "file w2.txt does not exist\n"); exit(3);
        case 5: abort();
        case 6: throw 7;
        case 10: usleep(5000); break;
        }
    }

    void read_result(std::any result) override {
        result_t *to = std::any_cast<result_t *>(result);
        to[0] = result_;
        switch (mood_) {
        case 7: to[1] = 1; break;
        case 8: to[-1] = 1; break;
        case 9: for (int i = 0; i < 100000; i++) to[i] = 1; break;
        }
    }
};

extern "C" hls4mlEmulator::Model *create_model() { return new MoodyEmulator; }
extern "C" void destroy_model(hls4mlEmulator::Model *model) { delete model; }
