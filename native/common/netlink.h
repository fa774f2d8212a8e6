// Conversations with the kernel over netlink (netlink(7)). What returns int returns 0 or a descriptor, or -1 with errno.
#ifndef COMMON_NETLINK_H
#define COMMON_NETLINK_H

#include <linux/netlink.h>
#include <stdbool.h>
#include <stddef.h>

// A request under way: its body and attributes follow the header.
struct netlink_request {
  struct nlmsghdr header;
  _Alignas(struct nlmsghdr) char rest[240];
};

// Begins a request and returns its body, all zeros.
void *netlink_begin(struct netlink_request *request, int type, int flags, size_t body_size);
// Adds an attribute. The caller sees to it that all fits.
void netlink_add(struct netlink_request *request, unsigned short type, const void *value, size_t length);

int netlink_open(int protocol);
// Has a command carried out, and waits for the kernel's word. Over a socket of its own when fd is -1 (of NETLINK_ROUTE).
int netlink_apply(int fd, struct netlink_request *request);
// Asks about one thing. Returns the answer, which lies in `answer`; NULL when there is none. The kernel may say no: NLMSG_ERROR.
const struct nlmsghdr *netlink_ask(int fd, struct netlink_request *request, void *answer, size_t size);

typedef void netlink_take(void *context, const struct nlmsghdr *message);
// Asks for all of a kind, and hands over one after the other.
int netlink_list(int fd, struct netlink_request *request, netlink_take *take, void *context);

// A socket that hears what happens, as a set of groups; it does not block.
int netlink_listen(int protocol, unsigned groups);
#define NETLINK_GROUP(number) (1U << ((number) - 1))
// Hands over what was heard. Returns whether something was missed.
bool netlink_hear(int fd, netlink_take *take, void *context);

#endif
