// What an ext4 file system records about itself, read before it is mounted.
#ifndef BANGER_EXT4_H
#define BANGER_EXT4_H
#include <stdbool.h>
#include <stdint.h>

struct ext4_notes {
  bool is_ext4;
  bool has_errors;        // the kernel has met damage, and e2fsck has not run since
  bool panics_on_errors;  // it makes the kernel panic when it meets damage
  uint8_t uuid[16];
  char label[17];
};

/** Zeros for an unreadable device, or one without ext4. */
struct ext4_notes ext4_read_notes(const char *device);

#endif
