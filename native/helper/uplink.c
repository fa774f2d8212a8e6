#include "uplink.h"

#include "common/links.h"
#include "banger-helper.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define NOTHING "uplink=-"

struct uplink {
  char name[IFNAMSIZ];
  // Whether it forwarded before.
  char forwarding;
};

static bool recorded(struct uplink *uplink) {
  const struct object *network = record_find("network", "-");
  return network != NULL && sscanf(network->values, "uplink=%15s forwarding=%c", uplink->name, &uplink->forwarding) == 2;
}

static int setting_path(char *path, size_t size, const char *name) {
  return snprintf(path, size, "/proc/sys/net/ipv4/conf/%s/forwarding", name);
}

static char read_setting(const char *path) {
  char value = '\0';
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return '\0';
  if (read(fd, &value, 1) != 1) value = '\0';
  close(fd);
  return value;
}

// If an administrator has made the whole host a router since, this link must keep forwarding.
static int give_back(const struct uplink *uplink) {
  char path[96];
  setting_path(path, sizeof path, uplink->name);
  if (uplink->forwarding != '0' || read_setting("/proc/sys/net/ipv4/ip_forward") != '0') return 0;
  // A link that is gone needs nothing.
  return write_setting(path, "0") == 0 || errno == ENOENT ? 0 : -1;
}

int uplink_release(void) {
  struct uplink before;
  if (!recorded(&before)) return 0;
  return give_back(&before) == 0 ? record_put("network", 0, "-", NOTHING) : -1;
}

int uplink_use(const char *name) {
  struct uplink before;
  char path[96], values[64];
  if (recorded(&before)) {
    if (strcmp(before.name, name) == 0) return 0;
    if (uplink_release() != 0) return -1;
  }
  if (name[0] == '\0') return 0;
  setting_path(path, sizeof path, name);
  char forwarding = read_setting(path);
  if (forwarding != '0' && forwarding != '1') {
    errno = ENODEV;
    return -1;
  }
  snprintf(values, sizeof values, "uplink=%s forwarding=%c", name, forwarding);
  return record_put("network", 0, "-", values) == 0 ? write_setting(path, "1") : -1;
}
