#include "nft.h"
#include "common/errors.h"
#include "common/netlink.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define NFT_PATH "/usr/sbin/nft"
#define NFT_TIMEOUT_MS 15000
#define TABLE_NAME "banger"

// The kernel gives a process's first netlink socket the process's id, and reports it with each change.
static pid_t last_nft;

// --- applying ---

static int text_as_file(const char *text, size_t length) {
  int fd = memfd_create("rules", MFD_CLOEXEC);
  if (fd < 0) return -1;
  if (write(fd, text, length) == (ssize_t)length && lseek(fd, 0, SEEK_SET) == 0) return fd;
  close(fd);
  errno = ENOMEM;
  return -1;
}

static _Noreturn void run_nft(int input) {
  char *argv[] = {(char *)NFT_PATH, (char *)"-f", (char *)"-", NULL}, *environment[] = {NULL};
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  // nft's messages belong in the helper's log.
  if (dup2(input, STDIN_FILENO) >= 0 && dup2(STDERR_FILENO, STDOUT_FILENO) >= 0) execve(NFT_PATH, argv, environment);
  _exit(127);
}

static int wait_for(pid_t child) {
  int status = 0, pidfd = (int)syscall(SYS_pidfd_open, child, 0);
  struct pollfd ended = {.fd = pidfd, .events = POLLIN};
  int ready = pidfd < 0 ? -1 : poll(&ended, 1, NFT_TIMEOUT_MS);
  if (pidfd >= 0) close(pidfd);
  if (ready <= 0) kill(child, SIGKILL);
  while (waitpid(child, &status, 0) < 0 && errno == EINTR);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return 0;
  errno = ready == 0 ? ETIMEDOUT : WIFEXITED(status) && WEXITSTATUS(status) == 127 ? ENOENT : EPROTO;
  return -1;
}

int nft_apply(const char *text, size_t length) {
  int input = text_as_file(text, length);
  if (input < 0) return -1;
  pid_t child = fork();
  if (child == 0) run_nft(input);
  KEEPING_ERRNO(close(input));
  if (child < 0) return -1;
  last_nft = child;
  return wait_for(child);
}

// --- messages ---

// The string or number of attribute `type`, or NULL. Values of nfnetlink are in network byte order.
static const void *attribute(const struct nlattr *first, size_t length, unsigned type, size_t *size) {
  const char *at = (const char *)first;
  while (length >= sizeof *first) {
    const struct nlattr *a = (const struct nlattr *)at;
    if (a->nla_len < sizeof *a || a->nla_len > length) return NULL;
    if ((a->nla_type & NLA_TYPE_MASK) == type) {
      *size = a->nla_len - sizeof *a;
      return a + 1;
    }
    size_t step = NLA_ALIGN(a->nla_len);
    if (step > length) return NULL;
    at += step;
    length -= step;
  }
  return NULL;
}

static const void *message_attribute(const struct nlmsghdr *header, unsigned type, size_t *size) {
  size_t head = NLMSG_LENGTH(NLMSG_ALIGN(sizeof(struct nfgenmsg)));
  if (header->nlmsg_len < head) return NULL;
  return attribute((const struct nlattr *)((const char *)header + head), header->nlmsg_len - head, type, size);
}

static bool is_name(const void *value, size_t size, const char *name) {
  return value != NULL && size == strlen(name) + 1 && memcmp(value, name, size) == 0;
}

// Tables, chains, rules and sets all have their table in attribute 1.
_Static_assert(NFTA_TABLE_NAME == 1 && NFTA_CHAIN_TABLE == 1 && NFTA_RULE_TABLE == 1 && NFTA_SET_TABLE == 1 && NFTA_SET_ELEM_LIST_TABLE == 1,
               "the table's name is attribute 1");

static bool is_foreign_change(const struct nlmsghdr *header) {
  size_t size = 0;
  if ((header->nlmsg_type >> 8) != NFNL_SUBSYS_NFTABLES || (header->nlmsg_type & 255) == NFT_MSG_NEWGEN) return false;
  const void *table = message_attribute(header, NFTA_TABLE_NAME, &size);
  return header->nlmsg_pid != (uint32_t)last_nft && is_name(table, size, TABLE_NAME);
}

int nft_watch(void) { return netlink_listen(NETLINK_NETFILTER, NETLINK_GROUP(NFNLGRP_NFTABLES)); }

static void note_foreign_change(void *changed, const struct nlmsghdr *message) {
  if (is_foreign_change(message)) *(bool *)changed = true;
}

bool nft_changed_by_others(int watch) {
  bool changed = false;
  // The lost events may have been anything.
  return netlink_hear(watch, note_foreign_change, &changed) || changed;
}

// --- what other chains drop ---

static bool has_number(const void *value, size_t size, uint32_t number) {
  uint32_t found;
  if (value == NULL || size != sizeof found) return false;
  memcpy(&found, value, sizeof found);
  return ntohl(found) == number;
}

static bool drops_forwarded(const struct nlmsghdr *header, char *name, size_t name_size) {
  const struct nfgenmsg *message = NLMSG_DATA(header);
  if (message->nfgen_family != NFPROTO_IPV4 && message->nfgen_family != NFPROTO_INET) return false;
  size_t table_size = 0, chain_size = 0, hook_size = 0, number_size = 0, policy_size = 0;
  const char *table = message_attribute(header, NFTA_CHAIN_TABLE, &table_size);
  const char *chain = message_attribute(header, NFTA_CHAIN_NAME, &chain_size);
  const void *hook = message_attribute(header, NFTA_CHAIN_HOOK, &hook_size);
  if (table == NULL || chain == NULL || hook == NULL || is_name(table, table_size, TABLE_NAME)) return false;
  const void *number = attribute(hook, hook_size, NFTA_HOOK_HOOKNUM, &number_size);
  const void *policy = message_attribute(header, NFTA_CHAIN_POLICY, &policy_size);
  if (!has_number(number, number_size, NF_INET_FORWARD) || !has_number(policy, policy_size, NF_DROP)) return false;
  snprintf(name, name_size, "%s/%.*s/%.*s", message->nfgen_family == NFPROTO_IPV4 ? "ip" : "inet", (int)table_size, table, (int)chain_size,
           chain);
  // One word of the reply, whatever the name of the chain.
  for (char *c = name; *c != '\0'; c++)
    if (*c <= ' ' || *c > '~') *c = '?';
  return true;
}

struct search {
  char *name;
  size_t size;
  bool found;
};

static void consider(void *context, const struct nlmsghdr *message) {
  struct search *search = context;
  if (search->found || message->nlmsg_len < NLMSG_LENGTH(sizeof(struct nfgenmsg))) return;
  search->found = drops_forwarded(message, search->name, search->size);
}

bool nft_foreign_drop(char *name, size_t size) {
  struct search search = {.name = name, .size = size};
  struct netlink_request request;
  struct nfgenmsg *question = netlink_begin(&request, NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETCHAIN, 0, sizeof *question);
  *question = (struct nfgenmsg){.nfgen_family = NFPROTO_UNSPEC, .version = NFNETLINK_V0};
  int fd = netlink_open(NETLINK_NETFILTER);
  if (fd < 0) return false;
  netlink_list(fd, &request, consider, &search);
  close(fd);
  return search.found;
}
