// Drives any library with the hls4mlEmulator interface, whatever its types: it never sees them.
//
// A std::any that holds a T* is two words: the address of a function of the library that knows T, and the pointer. The
// library exports that function as a weak symbol, so the any can be put together from its name.
#include "hls4ml_emulator.h"

#include <cstdint>
#include <cstring>
#include <cxxabi.h>
#include <dlfcn.h>
#include <exception>
#include <sstream>
#include <stdexcept>
#include <string>
#include <sys/mman.h>
#include <typeinfo>
#include <unistd.h>

namespace {

constexpr unsigned char kFill = 0xA5, kOtherFill = 0x5A;
constexpr size_t kMargin = 64;   // bytes on both sides of a result that must stay as they were
constexpr size_t kReach = 65536; // how far beyond the declared result `trigwatch_measure` looks

// What we have to say ourselves, other than what an emulator throws.
struct Refusal : std::runtime_error {
    using std::runtime_error::runtime_error;
};

// Memory that ends where a page begins that nobody may touch: one element too far is a crash, not a wrong number.
class Fenced {
  public:
    void allocate(size_t bytes) {
        const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
        const size_t usable = (bytes + page - 1) / page * page;
        char *map = static_cast<char *>(
            mmap(nullptr, usable + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
        if (map == MAP_FAILED || mprotect(map + page, usable, PROT_READ | PROT_WRITE) != 0) {
            throw Refusal("no memory for the emulator's buffers");
        }
        start_ = map + page + usable - bytes;
    }
    char *start() const { return start_; }

  private:
    char *start_ = nullptr;
};

size_t padded(size_t bytes) { return (bytes + kMargin - 1) / kMargin * kMargin; }

struct AnyWords {
    void *manager;
    void *pointer;
};

std::any any_of(const AnyWords &words) {
    static_assert(sizeof(std::any) == sizeof(AnyWords), "this standard library's std::any has another layout");
    std::any made;
    std::memcpy(static_cast<void *>(&made), &words, sizeof(words));
    return made;
}

// The layout of std::any is the standard library's own affair: look at one before relying on it.
void check_layout() {
    int here = 0;
    const std::any known = &here;
    AnyWords words;
    std::memcpy(&words, static_cast<const void *>(&known), sizeof(words));
    if (words.pointer != &here || std::any_cast<int *>(any_of(words)) != &here) {
        throw Refusal("this standard library's std::any has another layout than libstdc++'s");
    }
}

struct Side {
    size_t bytes = 0;
    void *manager = nullptr;
    Fenced memory;
};

struct Emulator {
    hls4mlEmulator::Model *model = nullptr;
    Side input, output;
    Fenced wide; // for measuring
    int64_t *done = nullptr;
    const char *step = "";
    std::string complaint;
};

Emulator emulator;

void *symbol(void *library, const std::string &name) {
    void *found = dlsym(library, name.c_str());
    if (found == nullptr) {
        throw Refusal("it does not export " + name);
    }
    return found;
}

void *opened(const std::string &path, int scope) {
    void *library = dlopen(path.c_str(), RTLD_NOW | scope);
    if (library == nullptr) {
        throw Refusal(std::string(dlerror()) + " (if it needs another library, name that one in `preload`)");
    }
    return library;
}

void read_side(std::istringstream &line, void *library, Side &side) {
    std::string manager;
    line >> side.bytes >> manager;
    side.manager = symbol(library, manager);
}

void open_all(const char *setup) {
    check_layout();
    void *library = nullptr;
    std::istringstream lines{std::string(setup)};
    for (std::string text; std::getline(lines, text);) {
        std::istringstream line(text);
        std::string word, path;
        line >> word;
        if (word == "preload" || word == "library") {
            std::getline(line >> std::ws, path);
            // What is preloaded is the interface that models are linked with. A model itself is never global: two of
            // them would overwrite each other's weights.
            void *handle = opened(path, word == "preload" ? RTLD_GLOBAL : RTLD_LOCAL);
            library = word == "library" ? handle : library;
        } else {
            read_side(line, library, word == "input" ? emulator.input : emulator.output);
        }
    }
    emulator.input.memory.allocate(emulator.input.bytes);
    emulator.output.memory.allocate(padded(emulator.output.bytes) + 2 * kMargin);
    emulator.wide.allocate(padded(emulator.output.bytes + kReach) + kMargin);
    auto create = reinterpret_cast<hls4mlEmulator::Model *(*)()>(symbol(library, "create_model"));
    emulator.step = "create_model";
    emulator.model = create();
    if (emulator.model == nullptr) {
        throw Refusal("create_model returned no model");
    }
}

void compute(const char *in) {
    std::memcpy(emulator.input.memory.start(), in, emulator.input.bytes);
    emulator.step = "prepare_input";
    emulator.model->prepare_input(any_of({emulator.input.manager, emulator.input.memory.start()}));
    emulator.step = "predict";
    emulator.model->predict();
    emulator.step = "read_result";
}

void read_into(char *result) { emulator.model->read_result(any_of({emulator.output.manager, result})); }

void check_margin(const char *from, const char *to, const char *where) {
    for (; from != to; from++) {
        if (static_cast<unsigned char>(*from) != kFill) {
            throw Refusal(std::string("it wrote ") + where + " the declared result");
        }
    }
}

void one_event(const char *in, char *out) {
    const size_t bytes = emulator.output.bytes;
    char *before = emulator.output.memory.start(), *result = before + kMargin;
    char *end = result + padded(bytes) + kMargin;
    std::memset(before, kFill, kMargin);
    std::memset(result, 0, bytes);
    std::memset(result + bytes, kFill, end - result - bytes);
    compute(in);
    read_into(result);
    check_margin(before, result, "before the beginning of");
    check_margin(result + bytes, end, "behind the end of");
    std::memcpy(out, result, bytes);
}

// One byte for each byte of a result that may be much larger than declared: 1 where the emulator wrote it. A written
// byte may happen to equal one fill, never both.
void measure_event(const char *in, char *out) {
    const size_t bytes = emulator.output.bytes + kReach;
    char *result = emulator.wide.start() + kMargin;
    compute(in);
    std::memset(out, 0, bytes);
    for (unsigned char fill : {kFill, kOtherFill}) {
        std::memset(result, fill, bytes);
        read_into(result);
        for (size_t i = 0; i < bytes; i++) {
            out[i] |= static_cast<unsigned char>(result[i]) != fill;
        }
    }
}

std::string spelled(const std::type_info &type) {
    int status = 0;
    char *text = abi::__cxa_demangle(type.name(), nullptr, nullptr, &status);
    return text == nullptr ? type.name() : text;
}

// Runs `work`; false and a complaint if anything is thrown.
template <class Work> bool contained(const Work &work) {
    try {
        work();
        return true;
    } catch (const Refusal &refusal) {
        emulator.complaint = std::string(emulator.step) + ": " + refusal.what();
    } catch (const std::exception &error) {
        emulator.complaint = std::string(emulator.step) + " threw " + spelled(typeid(error)) + ": " + error.what();
    } catch (...) {
        emulator.complaint = std::string(emulator.step) + " threw something that is not a std::exception";
    }
    return false;
}

void each_event(int64_t events, const char *in, char *out, size_t stride, void (*work)(const char *, char *)) {
    emulator.complaint.clear();
    for (int64_t i = 0; i < events; i++) {
        __atomic_store_n(emulator.done, i, __ATOMIC_RELAXED);
        if (!contained([&] { work(in + i * emulator.input.bytes, out + i * stride); })) {
            return;
        }
    }
    __atomic_store_n(emulator.done, events, __ATOMIC_RELAXED);
}

} // namespace

extern "C" {

// Null, or why the emulator of this setup cannot be used. Lines: `preload PATH`, `library PATH`, `input BYTES MANAGER`,
// `output BYTES MANAGER`.
const char *trigwatch_open(const char *setup) {
    emulator.step = "loading";
    return contained([&] { open_all(setup); }) ? nullptr : emulator.complaint.c_str();
}

const char *trigwatch_describe() { return ""; }

// Where to count the events that are done.
void trigwatch_progress(int64_t *done) { emulator.done = done; }

// Null, or why the last call stopped early.
const char *trigwatch_complaint() { return emulator.complaint.empty() ? nullptr : emulator.complaint.c_str(); }

void trigwatch_score(int64_t events, const void *in, void *out) {
    each_event(events, static_cast<const char *>(in), static_cast<char *>(out), emulator.output.bytes, one_event);
}

void trigwatch_measure(int64_t events, const void *in, void *out) {
    each_event(events, static_cast<const char *>(in), static_cast<char *>(out), emulator.output.bytes + kReach,
               measure_event);
}
}
