#include "agent.h"
#include "handlers.h"
#include "keep.h"
#include "login.h"
#include "mounts.h"
#include "personalize.h"
#include "restored.h"
#include "service.h"
#include "standing.h"
#include "terminal.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/random.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEVICE_WAIT_MS 5000

static void apply_seed(const struct personalization *p, struct troubles *t) {
  if (p->seed_length == 0) return;
  struct {
    struct rand_pool_info info;
    uint8_t bytes[sizeof p->seed];
  } pool;
  pool.info.entropy_count = (int)p->seed_length * 8;
  pool.info.buf_size = (int)p->seed_length;
  memcpy((char *)&pool + sizeof pool.info, p->seed, (size_t)p->seed_length);
  int fd = open("/dev/urandom", O_RDWR | O_CLOEXEC);
  int error = fd < 0 || ioctl(fd, RNDADDENTROPY, &pool) != 0 || ioctl(fd, RNDRESEEDCRNG, 0) != 0 ? errno : 0;
  if (fd >= 0) close(fd);
  explicit_bzero(&pool, sizeof pool);
  trouble_add(t, "the random seed", error, NULL);
}

static void apply_clock(const struct personalization *p, struct troubles *t) {
  if (p->unix_ms >= 0 && !set_clock(p->unix_ms)) trouble_add(t, "the clock", errno, NULL);
}

static void note_kept(struct troubles *t, const char *path, struct kept kept) {
  trouble_add(t, path, kept.error, kept.is_held ? "memory" : NULL);
}

static void keep_line(struct troubles *t, const char *path, mode_t mode, const char *text) {
  char line[128];
  int n = snprintf(line, sizeof line, "%s\n", text);
  note_kept(t, path, keep_file(path, mode, line, (size_t)n));
}

static void apply_life(const struct personalization *p, struct troubles *t) {
  if (p->is_restored) trouble_add(t, "the end of sessions of before the snapshot", restored_end_sessions(), NULL);
}

static void apply_machine_id(const struct personalization *p, struct troubles *t) {
  if (!p->machine_id) return;
  bool is_other = p->is_restored && restored_is_other(p->machine_id->string);
  keep_line(t, "/etc/machine-id", 0444, p->machine_id->string);
  if (!is_other) return;
  trouble_add(t, "the boot id", restored_renew_boot_id(), NULL);
  trouble_add(t, "the restart of the journal", restored_restart_journal(), NULL);
}

static void apply_hostname(const struct personalization *p, struct troubles *t) {
  if (!p->hostname) return;
  if (sethostname(p->hostname->string, p->hostname->length) != 0) trouble_add(t, "the host name", errno, NULL);
  keep_line(t, "/etc/hostname", 0644, p->hostname->string);
}

static void put_lines(struct buffer *b, const struct json_node *list) {
  for (const struct json_node *n = list->child; n; n = n->next) {
    buffer_append(b, n->string, n->length);
    buffer_puts(b, "\n");
  }
}

static void apply_hosts(const struct personalization *p, struct troubles *t) {
  if (!p->hosts) return;
  struct buffer lines;
  buffer_init(&lines, 512 * 1024);
  buffer_puts(&lines, "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n");
  put_lines(&lines, p->hosts);
  note_kept(t, "/etc/hosts", keep_marked_block("/etc/hosts", 0644, &lines));
  buffer_free(&lines);
}

static void apply_resolver(const struct personalization *p, struct troubles *t) {
  if (!p->nameservers) return;
  struct buffer content;
  buffer_init(&content, 64 * 1024);
  for (const struct json_node *n = p->nameservers->child; n; n = n->next)
    buffer_printf(&content, "nameserver %s\n", n->string);
  note_kept(t, "/etc/resolv.conf", keep_file("/etc/resolv.conf", 0644, buffer_bytes(&content), buffer_length(&content)));
  buffer_free(&content);
}

/** The files of the agent's own logins are in memory, so a disk that refuses them keeps no user out. */
static void note_login(struct troubles *t, const char *path, struct kept kept, int memory_error) {
  trouble_add(t, path, kept.error, kept.is_held || !memory_error ? "memory" : NULL);
}

static void apply_authorized_keys(const struct personalization *p, struct troubles *t) {
  if (!p->authorized_keys) return;
  struct buffer lines;
  buffer_init(&lines, 512 * 1024);
  put_lines(&lines, p->authorized_keys);
  int memory_error = keep_in_memory(LOGIN_KEYS_NAME, 0644, buffer_bytes(&lines), buffer_length(&lines));
  struct kept kept = {.error = make_directories("/root/.ssh", 0700)};
  if (!kept.error) kept = keep_marked_block("/root/.ssh/authorized_keys", 0600, &lines);
  note_login(t, "/root/.ssh/authorized_keys", kept, memory_error);
  // For the guest's own sshd, which reads it as the user who logs in.
  kept = (struct kept){.error = make_directories("/etc/ssh", 0755)};
  if (!kept.error) kept = keep_file(LOGIN_KEYS_ON_DISK, 0644, buffer_bytes(&lines), buffer_length(&lines));
  note_login(t, LOGIN_KEYS_ON_DISK, kept, memory_error);
  buffer_free(&lines);
}

static void keep_key(struct troubles *t, const char *name, mode_t mode, const struct json_node *key) {
  char path[64];
  struct buffer text;
  buffer_init(&text, 20000);
  buffer_append(&text, key->string, key->length);
  // OpenSSH refuses a private key without its last newline.
  if (key->length == 0 || key->string[key->length - 1] != '\n') buffer_puts(&text, "\n");
  snprintf(path, sizeof path, "/etc/ssh/%s", name);
  int memory_error = keep_in_memory(name, mode, buffer_bytes(&text), buffer_length(&text));
  struct kept kept = {.error = make_directories("/etc/ssh", 0755)};
  if (!kept.error) kept = keep_file(path, mode, buffer_bytes(&text), buffer_length(&text));
  note_login(t, path, kept, memory_error);
  buffer_free(&text);
}

static void apply_host_key(const struct personalization *p, struct troubles *t) {
  if (!p->private_key) return;
  keep_key(t, LOGIN_HOST_KEY_NAME, 0600, p->private_key);
  keep_key(t, LOGIN_HOST_KEY_NAME ".pub", 0644, p->public_key);
}

static void apply_network(const struct personalization *p, struct troubles *t) {
  if (!p->has_network) return;
  for (int waited_ms = 0; if_nametoindex(p->link.name) == 0 && waited_ms < DEVICE_WAIT_MS; waited_ms += 10) sleep_ms(10);
  trouble_add(t, "the network at eth0", netlink_configure(&p->link), NULL);
}

static void apply_service(const struct personalization *p, struct troubles *t) {
  if (!p->service || p->service->type == JSON_NULL) return;
  struct buffer record;
  buffer_init(&record, SERVICE_MAX_BYTES);
  service_encode(p->service, &record);
  int error = record.overflow ? E2BIG : write_file(SERVICE_PATH, 0600, buffer_bytes(&record), buffer_length(&record));
  trouble_add(t, "the service of the image", error, NULL);
  buffer_free(&record);
}

void personalization_apply(const struct personalization *p, struct troubles *t) {
  static void (*const steps[])(const struct personalization *, struct troubles *) = {
    // First what is wrong after a snapshot. Growing file systems takes time.
    apply_seed, apply_clock, apply_life, apply_mounts, apply_machine_id, apply_hostname, apply_hosts, apply_resolver, apply_authorized_keys,
    apply_host_key, apply_network, apply_service,
  };
  if (!agent_shared->personalized) troubles_of_boot(t, BOOT_TROUBLES);
  // What a restored machine has beside its identity, it has had since its boot.
  if (!p->is_restored) {
    standing_make_places();
    standing_keep_readable(t);
    terminal_make_known();
  }
  for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) steps[i](p, t);
  if (!p->is_restored) standing_examine(t);
}
