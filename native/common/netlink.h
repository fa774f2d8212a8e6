// Conversations with the kernel over netlink (netlink(7)). Functions that return int return 0 or a descriptor, or -1 with errno.
#ifndef COMMON_NETLINK_H
#define COMMON_NETLINK_H

#include <linux/netlink.h>
#include <stdbool.h>
#include <stddef.h>

// A request that is being built: its body and attributes follow the header.
struct netlink_request {
  struct nlmsghdr header;
  _Alignas(struct nlmsghdr) char rest[240];
};

// Begins a request and returns its body, all zeros.
void *netlink_begin(struct netlink_request *request, int type, int flags, size_t body_size);
// Adds an attribute. The caller ensures that everything fits.
void netlink_add(struct netlink_request *request, unsigned short type, const void *value, size_t length);

int netlink_open(int protocol);
// Sends a command and waits for the kernel's reply. Uses a socket of its own if fd is -1 (of NETLINK_ROUTE).
int netlink_apply(int fd, struct netlink_request *request);
// Asks about one object. Returns the reply, which is in `answer`; NULL if there is none. The reply may be an error: NLMSG_ERROR.
const struct nlmsghdr *netlink_ask(int fd, struct netlink_request *request, void *answer, size_t size);

typedef void netlink_take(void *context, const struct nlmsghdr *message);
// Asks for all objects of a kind, and passes them on one by one.
int netlink_list(int fd, struct netlink_request *request, netlink_take *take, void *context);

// A non-blocking socket for events of a set of groups.
int netlink_listen(int protocol, unsigned groups);
#define NETLINK_GROUP(number) (1U << ((number) - 1))
// Passes on the received events. Returns whether events were lost.
bool netlink_hear(int fd, netlink_take *take, void *context);

#endif
