extern "C" int interface_factor() { return 1000; }
