// Prints spelling, size and alignment of types, as the compiler lays them out.
#include "ap_fixed.h"
#include "ap_int.h"

#include <array>
#include <cstdio>
#include <utility>

#define SHOW(...) printf("%zu %zu %s\n", sizeof(__VA_ARGS__), alignof(__VA_ARGS__), #__VA_ARGS__)

int main() {
    SHOW(ap_fixed<1, 1>);
    SHOW(ap_uint<1>);
    SHOW(ap_fixed<8, 3>);
    SHOW(ap_ufixed<9, 3>);
    SHOW(ap_int<16>);
    SHOW(ap_fixed<17, 9>);
    SHOW(ap_uint<24>);
    SHOW(ap_ufixed<25, 30>);
    SHOW(ap_fixed<32, 16>);
    SHOW(ap_int<33>);
    SHOW(ap_ufixed<40, 8>);
    SHOW(ap_fixed<63, 31>);
    SHOW(bool);
    SHOW(unsigned short);
    SHOW(std::array<ap_fixed<10, 7>, 8>);
    SHOW(std::array<std::array<ap_uint<3>, 3>, 5>);
    SHOW(std::pair<std::array<ap_fixed<10, 7>, 8>, ap_ufixed<18, 14>>);
    SHOW(std::pair<ap_uint<3>, ap_int<40>>);
    SHOW(std::array<std::pair<ap_int<40>, ap_uint<3>>, 2>);
}
