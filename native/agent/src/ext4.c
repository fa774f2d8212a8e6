#include "ext4.h"
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

// The kernel's Documentation/filesystems/ext4/super.rst: little-endian, 1024 bytes into the device.
#define SUPERBLOCK_OFFSET 1024
#define MAGIC_AT 0x38
#define STATE_AT 0x3a
#define ERRORS_AT 0x3c
#define UUID_AT 0x68
#define LABEL_AT 0x78
#define MAGIC 0xef53
#define STATE_HAS_ERRORS 2
#define ERRORS_PANIC 3

static unsigned u16(const uint8_t *at) { return at[0] | (unsigned)at[1] << 8; }

struct ext4_notes ext4_read_notes(const char *device) {
  struct ext4_notes notes = {0};
  uint8_t block[LABEL_AT + 16];
  int fd = open(device, O_RDONLY | O_CLOEXEC);
  if (fd >= 0 && pread(fd, block, sizeof block, SUPERBLOCK_OFFSET) == sizeof block && u16(block + MAGIC_AT) == MAGIC) {
    notes.is_ext4 = true;
    memcpy(notes.uuid, block + UUID_AT, sizeof notes.uuid);
    memcpy(notes.label, block + LABEL_AT, sizeof notes.label - 1);
    notes.has_errors = u16(block + STATE_AT) & STATE_HAS_ERRORS;
    notes.panics_on_errors = u16(block + ERRORS_AT) == ERRORS_PANIC;
  }
  if (fd >= 0) close(fd);
  return notes;
}
