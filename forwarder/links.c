// The bridge and the TAPs, by ioctl and one netlink message; always in the caller's network namespace.
#define _GNU_SOURCE
#include "forwarder.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static int control_socket(void) { return socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0); }

static int close_keeping_errno(int fd, int result) {
  int error = errno;
  close(fd);
  errno = error;
  return result;
}

static void set_name(struct ifreq *request, const char *name) {
  memset(request, 0, sizeof *request);
  strncpy(request->ifr_name, name, IFNAMSIZ - 1);
}

static int bring_up(int fd, const char *name) {
  struct ifreq request;
  set_name(&request, name);
  if (ioctl(fd, SIOCGIFFLAGS, &request) != 0) return -1;
  request.ifr_flags |= IFF_UP;
  return ioctl(fd, SIOCSIFFLAGS, &request);
}

static int set_address(int fd, const char *name, struct in_addr address, int prefix_length) {
  struct ifreq request;
  struct sockaddr_in value = {.sin_family = AF_INET, .sin_addr = address};
  set_name(&request, name);
  memcpy(&request.ifr_addr, &value, sizeof value);
  if (ioctl(fd, SIOCSIFADDR, &request) != 0) return -1;
  value.sin_addr.s_addr = htonl(~(uint32_t)0 << (32 - prefix_length));
  memcpy(&request.ifr_netmask, &value, sizeof value);
  return ioctl(fd, SIOCSIFNETMASK, &request);
}

// Else the bridge takes the lowest address of its ports, and guests lose their gateway as VMs come and go.
static int set_bridge_mac(int fd) {
  static const unsigned char mac[6] = {0x02, 0x62, 0x67, 0x00, 0x00, 0x01};
  struct ifreq request;
  set_name(&request, BRIDGE_NAME);
  request.ifr_hwaddr.sa_family = ARPHRD_ETHER;
  memcpy(request.ifr_hwaddr.sa_data, mac, sizeof mac);
  return ioctl(fd, SIOCSIFHWADDR, &request);
}

int write_setting(const char *path, const char *value) {
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return -1;
  ssize_t n = write(fd, value, strlen(value));
  return close_keeping_errno(fd, n < 0 ? -1 : 0);
}

// Both ends of what is tracked are TCP of a kernel that watches its own windows. The setting appears with the first rule
// that tracks, so it is written again with each TAP.
static void relax_tracking(void) { write_setting("/proc/sys/net/netfilter/nf_conntrack_tcp_be_liberal", "1"); }

int links_setup(const struct bridge_settings *bridge) {
  int fd = control_socket();
  if (fd < 0) return -1;
  // A kernel without IPv6 has no such file, which serves as well.
  write_setting("/proc/sys/net/ipv6/conf/all/disable_ipv6", "1");
  write_setting("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1");
  int failed = bring_up(fd, "lo") != 0 || ioctl(fd, SIOCBRADDBR, BRIDGE_NAME) != 0 || set_bridge_mac(fd) != 0 ||
               set_address(fd, BRIDGE_NAME, bridge->address, bridge->prefix_length) != 0 || bring_up(fd, BRIDGE_NAME) != 0 ||
               write_setting("/proc/sys/net/ipv4/ip_forward", "1") != 0;
  return close_keeping_errno(fd, failed ? -1 : 0);
}

bool tap_name_valid(const char *name) {
  size_t length = strlen(name);
  if (strncmp(name, "bgr-", 4) != 0 || length != 12) return false;
  return strspn(name + 4, "0123456789abcdef") == 8;
}

static int make_tap(const char *name) {
  int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
  if (fd < 0) return -1;
  struct ifreq request;
  set_name(&request, name);
  request.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
  if (ioctl(fd, TUNSETIFF, &request) != 0) {
    // Held by a VMM: it is there, and that is what was asked for.
    return close_keeping_errno(fd, errno == EBUSY ? 0 : -1);
  }
  // Without an owner any process of this namespace may open it (tun_not_capable in drivers/net/tun.c): a VMM without any
  // capability, and one in a jail, whose user is none of the namespace's. All of them are VMs of the one user here.
  return close_keeping_errno(fd, ioctl(fd, TUNSETPERSIST, 1) != 0 ? -1 : 0);
}

int tap_add(const char *name) {
  relax_tracking();
  if (make_tap(name) != 0) return -1;
  int fd = control_socket();
  if (fd < 0) return -1;
  struct ifreq request;
  set_name(&request, BRIDGE_NAME);
  request.ifr_ifindex = (int)if_nametoindex(name);
  int failed = (ioctl(fd, SIOCBRADDIF, &request) != 0 && errno != EBUSY) || bring_up(fd, name) != 0;
  close_keeping_errno(fd, 0);
  if (!failed) return 0;
  int error = errno;
  tap_delete(name);
  errno = error;
  return -1;
}

int tap_delete(const char *name) {
  unsigned index = if_nametoindex(name);
  if (index == 0) return 0;
  struct {
    struct nlmsghdr header;
    struct ifinfomsg link;
  } request = {
      .header = {.nlmsg_len = sizeof request, .nlmsg_type = RTM_DELLINK},
      .link = {.ifi_family = AF_UNSPEC, .ifi_index = (int)index},
  };
  return netlink_request(&request.header) == 0 || errno == ENODEV ? 0 : -1;
}
