#include "peer.h"
#include "common/netlink.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define TCP_LISTENING 10
// Connections in TIME_WAIT, or closed with data in transit, have no inode, and before Linux 6.17 no owner: the table shows root's number.
#define IS_HELD(uid, inode) ((inode) != 0 || (uid) != 0)

static bool for_everyone;
// By number of the type: whether the kernel has ever answered.
static bool kernel_answers[16];

void peer_share(bool with_everyone) { for_everyone = with_everyone; }

// Asks for one socket by its endpoints. Returns whether there is an answer.
static bool ask_kernel(int type, const struct sockaddr_in *theirs, const struct sockaddr_in *ours, struct inet_diag_msg *out) {
  static int fd = -1;
  struct netlink_request request;
  _Alignas(struct nlmsghdr) char answer[8192];
  if (fd < 0) fd = netlink_open(NETLINK_SOCK_DIAG);
  struct inet_diag_req_v2 *question = netlink_begin(&request, SOCK_DIAG_BY_FAMILY, 0, sizeof *question);
  question->sdiag_family = AF_INET;
  question->sdiag_protocol = type == SOCK_STREAM ? IPPROTO_TCP : IPPROTO_UDP;
  question->idiag_states = ~0U;
  struct inet_diag_sockid *id = &question->id;
  // A UDP socket is looked up by what it receives, the other way round (udp_dump_one in net/ipv4/udp_diag.c).
  const struct sockaddr_in *source = type == SOCK_STREAM ? theirs : ours, *target = type == SOCK_STREAM ? ours : theirs;
  id->idiag_sport = source->sin_port;
  id->idiag_dport = target->sin_port;
  id->idiag_src[0] = source->sin_addr.s_addr;
  id->idiag_dst[0] = target->sin_addr.s_addr;
  id->idiag_cookie[0] = id->idiag_cookie[1] = INET_DIAG_NOCOOKIE;
  const struct nlmsghdr *message = netlink_ask(fd, &request, answer, sizeof answer);
  if (message == NULL || message->nlmsg_type != SOCK_DIAG_BY_FAMILY || message->nlmsg_len < NLMSG_LENGTH(sizeof *out)) return false;
  memcpy(out, NLMSG_DATA(message), sizeof *out);
  return true;
}

// The same from the text table, for kernels without the other interface. A program that opened an IPv6 socket and connected to an IPv4
// address appears as IPv4 in IPv6; a UDP socket need not be bound to an address or connected.
static uid_t uid_in_list(const char *path, const struct sockaddr_in *theirs, const struct sockaddr_in *ours) {
  char line[512], local[40], remote[40];
  unsigned local_port, remote_port, state, uid;
  unsigned long inode;
  uid_t found = UID_UNKNOWN;
  char here[9], there[9];
  snprintf(here, sizeof here, "%08X", theirs->sin_addr.s_addr);
  snprintf(there, sizeof there, "%08X", ours->sin_addr.s_addr);
  bool datagrams = strstr(path, "udp") != NULL;
  FILE *list = fopen(path, "re");
  while (list != NULL && found == UID_UNKNOWN && fgets(line, sizeof line, list) != NULL) {
    if (sscanf(line, " %*u: %32[0-9A-F]:%x %32[0-9A-F]:%x %x %*s %*s %*s %u %*d %lu", local, &local_port, remote, &remote_port, &state, &uid, &inode) != 7)
      continue;
    size_t length = strlen(local);
    bool any = datagrams && strspn(local, "0") == length, free = datagrams && remote_port == 0;
    if (local_port != ntohs(theirs->sin_port) || (!any && strcmp(local + length - 8, here) != 0)) continue;
    if (!free && (remote_port != ntohs(ours->sin_port) || strcmp(remote + length - 8, there) != 0)) continue;
    if (state != TCP_LISTENING && IS_HELD(uid, inode)) found = uid;
  }
  if (list != NULL) fclose(list);
  return found;
}

uid_t peer_uid(int type, const struct sockaddr_in *theirs, const struct sockaddr_in *ours) {
  struct inet_diag_msg answer;
  if (ask_kernel(type, theirs, ours, &answer)) {
    kernel_answers[type & 15] = true;
    // For a closed connection, the kernel would return a listener with the same address.
    if (answer.idiag_state == TCP_LISTENING || !IS_HELD(answer.idiag_uid, answer.idiag_inode)) return UID_UNKNOWN;
    return answer.idiag_uid;
  }
  if (kernel_answers[type & 15]) return UID_UNKNOWN;
  uid_t uid = uid_in_list(type == SOCK_STREAM ? "/proc/net/tcp" : "/proc/net/udp", theirs, ours);
  return uid != UID_UNKNOWN ? uid : uid_in_list(type == SOCK_STREAM ? "/proc/net/tcp6" : "/proc/net/udp6", theirs, ours);
}

bool peer_admit(int type, const struct sockaddr_in *theirs, const struct sockaddr_in *ours, party_id *party) {
  uid_t uid = peer_uid(type, theirs, ours);
  bool is_own = uid == 0 || uid == geteuid();
  *party = is_own ? NOBODY : uid == UID_UNKNOWN ? party_of_address(theirs->sin_addr) : party_of_user(uid);
  return is_own || for_everyone || ntohl(ours->sin_addr.s_addr) >> 24 != 127;
}
