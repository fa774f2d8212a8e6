// What an ext4 notes of itself, read before it is mounted.
#ifndef BANGER_EXT4_H
#define BANGER_EXT4_H
#include <stdbool.h>
#include <stdint.h>

struct ext4_notes {
  bool is_ext4;
  bool has_errors;        // the kernel has met damage, and nobody has run e2fsck since
  bool panics_on_errors;  // it is to bring the machine down when it meets any
  uint8_t uuid[16];
  char label[17];
};

/** Nothing is noted by what cannot be read, or is no ext4. */
struct ext4_notes ext4_read_notes(const char *device);

#endif
