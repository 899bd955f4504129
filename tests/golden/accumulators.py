"""Accumulators of every kind, as hls4ml spells them."""

ACCUMULATORS = {
    "wraps": "fixed<14,5>",
    "cuts": "fixed<18,12>",
    "cuts_and_wraps": "fixed<9,5>",
    "cuts_to_zero": "fixed<17,12,TRN_ZERO,WRAP>",
    "rounds_to_even": "fixed<17,12,RND_CONV,WRAP>",
    "rounds_away": "fixed<17,12,RND_INF,WRAP>",
    "saturates": "fixed<12,6,TRN,SAT>",
    "saturates_never": "fixed<30,16,TRN,SAT>",
    "saturates_evenly": "fixed<13,6,RND,SAT_SYM>",
    "falls_to_zero": "fixed<13,6,RND_MIN_INF,SAT_ZERO>",
    "is_an_integer": "int<8>",
    "is_unsigned": "ufixed<15,6>",
}
