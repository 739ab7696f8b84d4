#include "elf.h"

#include <stdbool.h>
#include <stdint.h>

#include "memory.h"

typedef struct {
  uint8_t ident[16];
  uint16_t type, machine;
  uint32_t version, entry, segments_at, sections_at, flags;
  uint16_t header_bytes, segment_bytes, segment_count, section_bytes, section_count, names_index;
} elf_header;

typedef struct {
  uint32_t type, offset, address, physical, file_bytes, memory_bytes, flags, alignment;
} elf_segment;

typedef struct {
  uint32_t tag, value;
} elf_dynamic;

typedef struct {
  uint32_t name, address, size;
  uint8_t info, other;
  uint16_t section;
} elf_symbol;

/* Without and with an addend of its own; where it has none, the addend lies at `address`. */
typedef struct {
  uint32_t address, kind;
} elf_rel;

typedef struct {
  uint32_t address, kind, addend;
} elf_rela;

enum { SHARED_OBJECT = 3, SEGMENT_LOAD = 1, SEGMENT_DYNAMIC = 2, ARM_RELATIVE = 23, RISCV_RELATIVE = 3 };
enum { HASH = 4, STRTAB = 5, SYMTAB = 6, RELA = 7, RELASZ = 8, REL = 17, RELSZ = 18, TAGS = 19 };

static const elf_segment *first_segment(const elf_header *header) {
  return (const elf_segment *)((const uint8_t *)header + header->segments_at);
}

static bool same(const char *one, const char *two) {
  while (*one != '\0' && *one == *two) {
    ++one;
    ++two;
  }
  return *one == *two;
}

size_t lt_elf_bytes(const void *image) {
  static const uint8_t magic[6] = {0x7f, 'E', 'L', 'F', 1 /* 32 bits */, 1 /* little endian */};
  const elf_header *header = image;
  for (size_t i = 0; i < sizeof magic; ++i) {
    if (header->ident[i] != magic[i]) {
      return 0;
    }
  }
  uint32_t bytes = 0;
  const elf_segment *segment = first_segment(header);
  for (int i = 0; i < header->segment_count; ++i, ++segment) {
    const uint32_t end = segment->address + segment->memory_bytes;
    if (segment->type == SEGMENT_LOAD && end > bytes) {
      bytes = end;
    }
  }
  return header->type == SHARED_OBJECT ? bytes : 0;
}

/* Adds the load address to every word that the relocations name. */
static bool relocate(uint8_t *base, const uint32_t *table) {
  const uint32_t bias = (uint32_t)(uintptr_t)base;
  const elf_rel *rel = (const elf_rel *)(base + table[REL]);
  for (uint32_t left = table[RELSZ] / sizeof *rel; left != 0; --left, ++rel) {
    if (rel->kind != ARM_RELATIVE) {
      return false;
    }
    *(uint32_t *)(base + rel->address) += bias;
  }
  const elf_rela *rela = (const elf_rela *)(base + table[RELA]);
  for (uint32_t left = table[RELASZ] / sizeof *rela; left != 0; --left, ++rela) {
    if (rela->kind != RISCV_RELATIVE) {
      return false;
    }
    *(uint32_t *)(base + rela->address) = bias + rela->addend;
  }
  return true;
}

/* What was written as data will be fetched as instructions. */
static void synchronise(void) {
#if defined(__riscv)
  __asm__ volatile(".word 0x0000100f" ::: "memory"); /* fence.i, which assemblers want an extension's name for */
#else
  __asm__ volatile("dsb\n isb" ::: "memory");
#endif
}

static void *find(uint8_t *base, const uint32_t *table, const char *name) {
  const elf_symbol *symbol = (const elf_symbol *)(base + table[SYMTAB]);
  const char *names = (const char *)(base + table[STRTAB]);
  /* The second word of the hash table is the number of symbols; nothing else says it. */
  const uint32_t count = ((const uint32_t *)(base + table[HASH]))[1];
  for (uint32_t i = 1; i < count; ++i) {
    if (symbol[i].section != 0 && same(names + symbol[i].name, name)) {
      return base + symbol[i].address;
    }
  }
  return NULL;
}

void *lt_elf_load(const void *image, void *memory, const char *symbol) {
  const elf_header *header = image;
  uint8_t *base = memory;
  const elf_dynamic *dynamic = NULL;
  const elf_segment *segment = first_segment(header);
  for (int i = 0; i < header->segment_count; ++i, ++segment) {
    if (segment->type == SEGMENT_LOAD) {
      uint8_t *to = base + segment->address;
      memcpy(to, (const uint8_t *)image + segment->offset, segment->file_bytes);
      memset(to + segment->file_bytes, 0, segment->memory_bytes - segment->file_bytes);
    } else if (segment->type == SEGMENT_DYNAMIC) {
      dynamic = (const elf_dynamic *)(base + segment->address);
    }
  }
  if (dynamic == NULL) {
    return NULL;
  }
  uint32_t table[TAGS] = {0};
  for (; dynamic->tag != 0; ++dynamic) {
    if (dynamic->tag < TAGS) {
      table[dynamic->tag] = dynamic->value;
    }
  }
  if (!relocate(base, table)) {
    return NULL;
  }
  synchronise();
  return find(base, table, symbol);
}
