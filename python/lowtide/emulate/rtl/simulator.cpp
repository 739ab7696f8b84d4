// Clocks a core whose memory answers in the cycle after each request, from reset to its last store, and says how many
// cycles passed between two stores that mark the network's call.
//
// simulator MEMORY RESULT: both files as emulate/rtl/simulation.py writes and reads them, little-endian words.

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "Vcore.h"
#include "verilated.h"

namespace {

// Stores to these addresses are the program's words to the simulator.
constexpr uint32_t kBegin = 0xFFFF0000, kEnd = 0xFFFF0004, kBefore = 0xFFFF0008, kAfter = 0xFFFF000C;

enum Status : uint32_t { kEnded = 0, kStray = 1, kEndless = 2 };

struct Region {
  uint32_t start, size, writable;
  std::vector<uint8_t> bytes;
};

struct Result {
  uint64_t cycles;
  uint32_t instructions, returned, status, address;
};

class Memory {
 public:
  bool load(const char* path) {
    FILE* file = std::fopen(path, "rb");
    if (!file) return false;
    uint32_t header[3], boot;
    bool good = std::fread(&boot, sizeof boot, 1, file) == 1;
    boot_ = boot;
    while (good && std::fread(header, sizeof header, 1, file) == 1) {
      Region region{header[0], header[1], header[2], std::vector<uint8_t>(header[1])};
      good = std::fread(region.bytes.data(), 1, region.size, file) == region.size;
      regions_.push_back(std::move(region));
    }
    std::fclose(file);
    return good;
  }

  bool save(const char* path, const Result& result) const {
    FILE* file = std::fopen(path, "wb");
    if (!file) return false;
    bool good = std::fwrite(&result, sizeof result, 1, file) == 1;
    for (const Region& region : regions_)
      if (region.writable) good = good && std::fwrite(region.bytes.data(), 1, region.size, file) == region.size;
    return std::fclose(file) == 0 && good;
  }

  uint32_t boot() const { return boot_; }

  // The word at a multiple of four; a core fetches past the end of its code, so that absent bytes are no error here.
  uint32_t word(uint32_t address) {
    Region* region = find(address);
    if (region && address - region->start + 4 <= region->size && address >= region->start) {
      uint32_t value;
      std::memcpy(&value, &region->bytes[address - region->start], 4);
      return value;
    }
    uint32_t value = 0;
    for (uint32_t lane = 0; lane < 4; ++lane)
      if (uint8_t* byte = at(address + lane)) value |= uint32_t{*byte} << 8 * lane;
    return value;
  }

  // Whether all the bytes that an access enables exist, and may be written where it writes.
  bool has(uint32_t address, uint32_t enabled, bool written) {
    for (uint32_t lane = 0; lane < 4; ++lane) {
      if (!(enabled >> lane & 1)) continue;
      if (!at(address + lane) || (written && !found_->writable)) return false;
    }
    return true;
  }

  void store(uint32_t address, uint32_t enabled, uint32_t value) {
    for (uint32_t lane = 0; lane < 4; ++lane)
      if (enabled >> lane & 1) *at(address + lane) = value >> 8 * lane & 0xFF;
  }

 private:
  Region* find(uint32_t address) {
    for (Region& region : regions_)
      if (address - region.start < region.size) return &region;
    return nullptr;
  }

  uint8_t* at(uint32_t address) {
    found_ = find(address);
    return found_ ? &found_->bytes[address - found_->start] : nullptr;
  }

  std::vector<Region> regions_;
  Region* found_ = nullptr;
  uint32_t boot_ = 0;
};

class Simulation {
 public:
  explicit Simulation(Memory& memory) : memory_(memory) {}

  Result run(uint64_t most_cycles) {
    reset();
    for (uint64_t cycle = 0; cycle < most_cycles; ++cycle) {
      core_.eval();
      answer();
      if (done_) return result_;
      clock();
      if (begun_) ++result_.cycles;
    }
    result_.status = kEndless;
    return result_;
  }

 private:
  void reset() {
    core_.boot_addr_i = memory_.boot();
    core_.rst_ni = 0;
    for (int i = 0; i < 4; ++i) {
      core_.eval();
      core_.clk_i = 1;
      core_.eval();
      core_.clk_i = 0;
    }
    core_.rst_ni = 1;
  }

  // Take the requests that stand before the clock's edge; what they read comes behind it.
  void answer() {
    fetching_ = core_.instr_req_o;
    if (fetching_) fetched_ = memory_.word(core_.instr_addr_o & ~3u);
    accessing_ = core_.data_req_o;
    if (!accessing_) return;
    const uint32_t address = core_.data_addr_o & ~3u, enabled = core_.data_be_o;
    const bool writes = core_.data_we_o;
    if (writes && address >= kBegin) return command(address, core_.data_wdata_o);
    if (!memory_.has(address, enabled, writes)) {
      result_.status = kStray;
      result_.address = core_.data_addr_o;
      done_ = true;
    } else if (writes) {
      memory_.store(address, enabled, core_.data_wdata_o);
    } else {
      loaded_ = memory_.word(address);
    }
  }

  void command(uint32_t address, uint32_t value) {
    if (address == kBegin) begun_ = true;
    if (address == kEnd) {
      result_.returned = value;
      begun_ = false;
    }
    if (address == kBefore) retired_ = value;
    if (address == kAfter) {
      result_.instructions = value - retired_;
      done_ = true;
    }
  }

  void clock() {
    core_.clk_i = 1;
    core_.eval();
    core_.instr_rvalid_i = fetching_;
    core_.instr_rdata_i = fetched_;
    core_.data_rvalid_i = accessing_;
    core_.data_rdata_i = loaded_;
    core_.clk_i = 0;
  }

  Vcore core_;
  Memory& memory_;
  Result result_{};
  bool begun_ = false, done_ = false, fetching_ = false, accessing_ = false;
  uint32_t fetched_ = 0, loaded_ = 0, retired_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  Memory memory;
  if (!memory.load(argv[1])) return 3;
  Simulation simulation(memory);
  const Result result = simulation.run(std::stoull(argv[3]));
  return memory.save(argv[2], result) ? 0 : 4;
}
