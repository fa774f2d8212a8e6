#define _GNU_SOURCE
#include "tap-owner.h"

#include "banger-helper.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

int tap_set_owner(const char *id, uid_t uid) {
  struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
  if (record_find("tap", id) == NULL) return 0;
  int fd = fault("jail") == 0 ? open("/dev/net/tun", O_RDWR | O_CLOEXEC) : -1;
  if (fd < 0) return -1;
  snprintf(request.ifr_name, IFNAMSIZ, "bgr-%s", id);
  int result = ioctl(fd, TUNSETIFF, &request) == 0 ? ioctl(fd, TUNSETOWNER, (unsigned long)uid) : -1;
  KEEPING_ERRNO(close(fd));
  return result;
}
