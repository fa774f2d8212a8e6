// Links by ioctl and one netlink message.
#include "common/links.h"
#include "common/constants.h"
#include "common/netlink.h"
#include "common/errors.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static int close_keeping_errno(int fd, int result) {
  KEEPING_ERRNO(close(fd));
  return result;
}

static struct ifreq named(const char *name) {
  struct ifreq request;
  memset(&request, 0, sizeof request);
  snprintf(request.ifr_name, IFNAMSIZ, "%s", name);
  return request;
}

static int link_ioctl(unsigned long what, void *argument) {
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  return close_keeping_errno(fd, ioctl(fd, (int)what, argument));
}

int link_bring_up(const char *name) {
  struct ifreq request = named(name);
  if (link_ioctl(SIOCGIFFLAGS, &request) != 0) return -1;
  request.ifr_flags |= IFF_UP;
  return link_ioctl(SIOCSIFFLAGS, &request);
}

int link_set_mtu(const char *name, int mtu) {
  struct ifreq request = named(name);
  request.ifr_mtu = mtu;
  return link_ioctl(SIOCSIFMTU, &request);
}

int link_rename(const char *name, const char *new_name) {
  struct ifreq request = named(name);
  snprintf(request.ifr_newname, IFNAMSIZ, "%s", new_name);
  return link_ioctl(SIOCSIFNAME, &request);
}

int link_delete(const char *name) {
  unsigned index = if_nametoindex(name);
  if (index == 0) return 0;
  struct netlink_request request;
  struct ifinfomsg *link = netlink_begin(&request, RTM_DELLINK, 0, sizeof *link);
  link->ifi_family = AF_UNSPEC;
  link->ifi_index = (int)index;
  return netlink_apply(-1, &request) == 0 || errno == ENODEV ? 0 : -1;
}

static int set_address(const char *name, struct in_addr address, int prefix_length) {
  struct ifreq request = named(name);
  struct sockaddr_in value = {.sin_family = AF_INET, .sin_addr = address};
  memcpy(&request.ifr_addr, &value, sizeof value);
  if (link_ioctl(SIOCSIFADDR, &request) != 0) return -1;
  value.sin_addr.s_addr = htonl(~(uint32_t)0 << (32 - prefix_length));
  memcpy(&request.ifr_netmask, &value, sizeof value);
  return link_ioctl(SIOCSIFNETMASK, &request);
}

static int set_mac(const char *name, const unsigned char mac[6]) {
  struct ifreq request = named(name);
  request.ifr_hwaddr.sa_family = ARPHRD_ETHER;
  memcpy(request.ifr_hwaddr.sa_data, mac, 6);
  return link_ioctl(SIOCSIFHWADDR, &request);
}

int bridge_make(const struct bridge *bridge) {
  char name[IFNAMSIZ];
  snprintf(name, sizeof name, "%s", bridge->name);
  if (link_ioctl(SIOCBRADDBR, name) != 0 && errno != EEXIST) return -1;
  if (set_mac(name, bridge->mac) != 0 || set_address(name, bridge->address, bridge->prefix_length) != 0) return -1;
  return link_bring_up(name);
}

int bridge_join(const char *bridge, const char *port) {
  struct ifreq request = named(bridge);
  request.ifr_ifindex = (int)if_nametoindex(port);
  return link_ioctl(SIOCBRADDIF, &request) == 0 || errno == EBUSY ? 0 : -1;
}

int bridge_leave(const char *bridge, const char *port) {
  struct ifreq request = named(bridge);
  request.ifr_ifindex = (int)if_nametoindex(port);
  return link_ioctl(SIOCBRDELIF, &request) == 0 || errno == EINVAL ? 0 : -1;
}

int link_take_down(const char *name) {
  struct ifreq request = named(name);
  if (link_ioctl(SIOCGIFFLAGS, &request) != 0) return -1;
  request.ifr_flags &= ~IFF_UP;
  return link_ioctl(SIOCSIFFLAGS, &request);
}

int tap_make(const char *name, uid_t owner) {
  int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
  if (fd < 0) return -1;
  struct ifreq request = named(name);
  request.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
  bool is_owned = owner != TAP_OF_NAMESPACE;
  int failed = ioctl(fd, TUNSETIFF, &request) != 0 || (is_owned && ioctl(fd, TUNSETOWNER, owner) != 0) || ioctl(fd, TUNSETPERSIST, 1) != 0;
  return close_keeping_errno(fd, failed ? -1 : 0);
}

bool tap_name_valid(const char *name) {
  size_t prefix = strlen(HOST_NAME_PREFIX);
  if (strncmp(name, HOST_NAME_PREFIX, prefix) != 0 || strlen(name) != prefix + 8) return false;
  return strspn(name + prefix, "0123456789abcdef") == 8;
}

int write_setting(const char *path, const char *value) {
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return -1;
  ssize_t n = write(fd, value, strlen(value));
  return close_keeping_errno(fd, n == (ssize_t)strlen(value) ? 0 : -1);
}
