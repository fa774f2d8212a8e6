#include "mapper.h"

#include "banger-helper.h"
#include "common/clock.h"
#include "common/errors.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/dm-ioctl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define CONTROL_PATH "/dev/mapper/control"
#define REMOVE_TRIES 100
#define REMOVE_PAUSE_MS 20

// A request and its reply: the header, and behind it targets, each with its text.
static union {
  struct dm_ioctl header;
  char bytes[16384];
} message;

static void begin(const char *name, const char *uuid, uint32_t flags) {
  memset(&message, 0, sizeof message);
  // The first version of the interface with these calls; every later kernel accepts it.
  message.header.version[0] = 4;
  message.header.data_size = sizeof message;
  message.header.data_start = sizeof message.header;
  message.header.flags = flags;
  if (name != NULL) snprintf(message.header.name, sizeof message.header.name, "%s", name);
  if (uuid != NULL) snprintf(message.header.uuid, sizeof message.header.uuid, "%s", uuid);
}

// The C libraries differ in the type of a request; the kernel takes 32 bits of it.
static int call(unsigned request) {
  int control = open(CONTROL_PATH, O_RDWR | O_CLOEXEC);
  if (control < 0) return -1;
  int result = ioctl(control, (int)request, &message);
  KEEPING_ERRNO(close(control));
  return result;
}

// The kernel's encoding of numbers, which is older than the C library's.
static dev_t device_of_answer(void) {
  uint64_t device = message.header.dev;
  return makedev((unsigned)(device >> 8 & 0xfff), (unsigned)((device & 0xff) | (device >> 12 & 0xfff00)));
}

int mapper_version(char *text, size_t size) {
  begin(NULL, NULL, 0);
  if (call(DM_VERSION) != 0) return -1;
  snprintf(text, size, "%u.%u.%u", message.header.version[0], message.header.version[1], message.header.version[2]);
  return 0;
}

static int add_target(size_t *at, const struct mapper_target *target) {
  struct dm_target_spec spec = {.sector_start = target->start, .length = target->length};
  size_t text = strlen(target->parameters) + 1;
  // Each begins at a multiple of 8.
  size_t next = *at + ((sizeof spec + text + 7) & ~(size_t)7);
  if (next > sizeof message || strlen(target->type) >= sizeof spec.target_type) {
    errno = E2BIG;
    return -1;
  }
  memcpy(spec.target_type, target->type, strlen(target->type) + 1);
  spec.next = (uint32_t)(next - *at);
  memcpy(message.bytes + *at, &spec, sizeof spec);
  memcpy(message.bytes + *at + sizeof spec, target->parameters, text);
  *at = next;
  return 0;
}

static int load(const char *uuid, const struct mapper_target *targets, size_t count, bool read_only) {
  begin(NULL, uuid, read_only ? DM_READONLY_FLAG : 0);
  size_t at = sizeof message.header;
  for (size_t i = 0; i < count; i++)
    if (add_target(&at, &targets[i]) != 0) return -1;
  message.header.target_count = (uint32_t)count;
  return call(DM_TABLE_LOAD);
}

// The ioctl is named "suspend"; without that flag it activates the loaded table.
static int let_run(const char *uuid, dev_t *device) {
  begin(NULL, uuid, 0);
  if (call(DM_DEV_SUSPEND) != 0) return -1;
  *device = device_of_answer();
  return 0;
}

int mapper_make(const char *name, const char *uuid, const struct mapper_target *targets, size_t count, bool read_only, dev_t *device) {
  begin(name, uuid, 0);
  if (call(DM_DEV_CREATE) != 0) return -1;
  if (load(uuid, targets, count, read_only) == 0 && let_run(uuid, device) == 0) return 0;
  KEEPING_ERRNO(mapper_remove(uuid));
  return -1;
}

int mapper_remove(const char *uuid) {
  for (int attempt = 0; attempt < REMOVE_TRIES; attempt++) {
    begin(NULL, uuid, 0);
    if (call(DM_DEV_REMOVE) == 0) return 0;
    // Without device-mapper, as after a change of the kernel, there are no devices either.
    if (errno == ENXIO || errno == ENOENT || errno == ENODEV) return 0;
    if (errno != EBUSY) return -1;
    sleep_ms(REMOVE_PAUSE_MS);
  }
  errno = EBUSY;
  return -1;
}

int mapper_find(const char *uuid, dev_t *device) {
  begin(NULL, uuid, 0);
  if (call(DM_DEV_STATUS) != 0) return -1;
  if ((message.header.flags & DM_ACTIVE_PRESENT_FLAG) == 0) {
    errno = ENXIO;
    return -1;
  }
  *device = device_of_answer();
  return 0;
}

int mapper_status(const char *uuid, char *text, size_t size) {
  begin(NULL, uuid, DM_NOFLUSH_FLAG);
  if (call(DM_TABLE_STATUS) != 0) return -1;
  if (message.header.target_count == 0) {
    errno = ENXIO;
    return -1;
  }
  size_t at = message.header.data_start + sizeof(struct dm_target_spec);
  if (at >= sizeof message) {
    errno = EPROTO;
    return -1;
  }
  snprintf(text, size, "%.*s", (int)(sizeof message - at), message.bytes + at);
  return 0;
}
