// Device-mapper devices by ioctl. They are identified by uuid, so that no foreign device is ever touched by its name.
#ifndef MAPPER_H
#define MAPPER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct mapper_target {
  // In sectors of 512 bytes.
  uint64_t start, length;
  const char *type;
  const char *parameters;
};

// Fails with the reason why this host has no device-mapper.
int mapper_version(char *text, size_t size);
// Makes the device and activates it, or leaves nothing.
int mapper_make(const char *name, const char *uuid, const struct mapper_target *targets, size_t count, bool read_only, dev_t *device);
// Waits a little while it is open, then fails with EBUSY. A missing device is no error.
int mapper_remove(const char *uuid);
// ENXIO if there is none.
int mapper_find(const char *uuid, dev_t *device);
// The status of the first target.
int mapper_status(const char *uuid, char *text, size_t size);

#endif
