#include "agent.h"
#include "handlers.h"
#include "login.h"
#include "personalize.h"
#include "service.h"
#include "terminal.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/random.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

// fs/ext4/ext4.h; no header of the kernel's user interface has it before 6.6.
#define EXT4_RESIZE_FS _IOW('f', 16, uint64_t)
#define DEVICE_WAIT_MS 5000

static bool wait_for_path(const char *path) {
  for (int waited_ms = 0; access(path, F_OK) != 0; waited_ms += 10) {
    if (waited_ms >= DEVICE_WAIT_MS) return false;
    sleep_ms(10);
  }
  return true;
}

static int make_directories(const char *path, mode_t mode) {
  char partial[256];
  snprintf(partial, sizeof partial, "%s", path);
  for (char *at = partial + 1; (at = strchr(at, '/')); *at++ = '/') {
    *at = 0;
    if (mkdir(partial, 0755) != 0 && errno != EEXIST) return errno;
  }
  return mkdir(partial, mode) == 0 || errno == EEXIST ? 0 : errno;
}

/** Grows the mounted ext4 at `path` to the size of its device. */
static int grow(const char *device, const char *path) {
  uint64_t device_bytes = 0, blocks;
  struct statfs fs;
  int error = 0;
  int device_fd = open(device, O_RDONLY | O_CLOEXEC);
  int fd = device_fd >= 0 ? open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
  if (fd < 0 || ioctl(device_fd, BLKGETSIZE64, &device_bytes) != 0 || fstatfs(fd, &fs) != 0) error = errno;
  if (!error) {
    // The resize refuses to shrink and does nothing at equal size, so the last blocks need no comparison here.
    blocks = device_bytes / (uint64_t)fs.f_bsize;
    if (ioctl(fd, EXT4_RESIZE_FS, &blocks) != 0) error = errno;
  }
  if (fd >= 0) close(fd);
  if (device_fd >= 0) close(device_fd);
  return error;
}

static int mount_one(const struct json_node *entry) {
  const char *device = json_member(entry, "device")->string, *path = json_member(entry, "path")->string;
  struct stat device_stat, path_stat;
  int error;
  if (!wait_for_path(device) || stat(device, &device_stat) != 0) return ENODEV;
  if ((error = make_directories(path, 0755))) return error;
  bool is_mounted = stat(path, &path_stat) == 0 && path_stat.st_dev == device_stat.st_rdev;
  if (!is_mounted && mount(device, path, "ext4", 0, EXT4_OPTIONS) != 0) return errno;
  return grow(device, path);
}

static bool is_home(int directory) {
  return faccessat(directory, ".bashrc", F_OK, AT_SYMLINK_NOFOLLOW) == 0 ||
         faccessat(directory, ".profile", F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/**
 * A work disk that was filled with a copy of the whole of /root has the home one level too deep. Its entries move up; what both
 * levels have stays where it is, so nothing is lost. A `root` that the user made inside a home is left alone.
 */
static void flatten_home(const char *path) {
  int home = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  int nested = home < 0 ? -1 : openat(home, "root", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  DIR *entries = nested < 0 || is_home(home) || !is_home(nested) ? NULL : fdopendir(dup(nested));
  for (struct dirent *entry; entries && (entry = readdir(entries));) {
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
    syscall(SYS_renameat2, nested, entry->d_name, home, entry->d_name, RENAME_NOREPLACE);
  }
  if (entries && closedir(entries) == 0) unlinkat(home, "root", AT_REMOVEDIR);
  if (nested >= 0) close(nested);
  if (home >= 0) close(home);
}

static int apply_mounts(const struct personalization *p) {
  for (const struct json_node *n = p->mounts ? p->mounts->child : NULL; n; n = n->next) {
    int error = mount_one(n);
    if (error) return error;
    const char *path = json_member(n, "path")->string;
    if (strcmp(path, "/root") == 0) flatten_home(path);
  }
  return p->grows_root && agent_shared->root_device[0] ? grow(agent_shared->root_device, "/") : 0;
}

static int apply_seed(const struct personalization *p) {
  if (p->seed_length == 0) return 0;
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
  return error;
}

static int apply_clock(const struct personalization *p) { return p->unix_ms < 0 || set_clock(p->unix_ms) ? 0 : errno; }

static int write_line(const char *path, mode_t mode, const char *text) {
  char line[128];
  int n = snprintf(line, sizeof line, "%s\n", text);
  return write_file(path, mode, line, (size_t)n);
}

static int apply_machine_id(const struct personalization *p) {
  return p->machine_id ? write_line("/etc/machine-id", 0444, p->machine_id->string) : 0;
}

static int apply_hostname(const struct personalization *p) {
  if (!p->hostname) return 0;
  if (sethostname(p->hostname->string, p->hostname->length) != 0) return errno;
  return write_line("/etc/hostname", 0644, p->hostname->string);
}

static void put_lines(struct buffer *b, const struct json_node *list) {
  for (const struct json_node *n = list->child; n; n = n->next) {
    buffer_append(b, n->string, n->length);
    buffer_puts(b, "\n");
  }
}

static int apply_hosts(const struct personalization *p) {
  if (!p->hosts) return 0;
  struct buffer lines;
  buffer_init(&lines, 512 * 1024);
  buffer_puts(&lines, "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n");
  put_lines(&lines, p->hosts);
  int error = write_marked_block("/etc/hosts", 0644, &lines);
  buffer_free(&lines);
  return error;
}

static int apply_resolver(const struct personalization *p) {
  if (!p->nameservers) return 0;
  struct buffer content;
  buffer_init(&content, 64 * 1024);
  for (const struct json_node *n = p->nameservers->child; n; n = n->next)
    buffer_printf(&content, "nameserver %s\n", n->string);
  int error = write_file("/etc/resolv.conf", 0644, buffer_bytes(&content), buffer_length(&content));
  buffer_free(&content);
  return error;
}

static int apply_authorized_keys(const struct personalization *p) {
  if (!p->authorized_keys) return 0;
  struct buffer lines;
  int error = make_directories("/root/.ssh", 0700);
  if (error) return error;
  buffer_init(&lines, 512 * 1024);
  put_lines(&lines, p->authorized_keys);
  error = write_marked_block("/root/.ssh/authorized_keys", 0600, &lines);
  // sshd reads it as whoever logs in.
  if (!error) error = make_directories("/etc/ssh", 0755);
  if (!error) error = write_file(LOGIN_KEYS_PATH, 0644, buffer_bytes(&lines), buffer_length(&lines));
  buffer_free(&lines);
  return error;
}

static int write_key(const char *path, mode_t mode, const struct json_node *key) {
  struct buffer text;
  buffer_init(&text, 20000);
  buffer_append(&text, key->string, key->length);
  // OpenSSH refuses a private key without its last newline.
  if (key->length == 0 || key->string[key->length - 1] != '\n') buffer_puts(&text, "\n");
  int error = write_file(path, mode, buffer_bytes(&text), buffer_length(&text));
  buffer_free(&text);
  return error;
}

static int apply_host_key(const struct personalization *p) {
  if (!p->private_key) return 0;
  int error = make_directories("/etc/ssh", 0755);
  if (!error) error = write_key("/etc/ssh/ssh_host_ed25519_key", 0600, p->private_key);
  return error ? error : write_key("/etc/ssh/ssh_host_ed25519_key.pub", 0644, p->public_key);
}

static int apply_network(const struct personalization *p) {
  if (!p->has_network) return 0;
  for (int waited_ms = 0; if_nametoindex(p->link.name) == 0 && waited_ms < DEVICE_WAIT_MS; waited_ms += 10) sleep_ms(10);
  return netlink_configure(&p->link);
}

static int apply_service(const struct personalization *p) {
  if (!p->service || p->service->type == JSON_NULL) return 0;
  struct buffer record;
  buffer_init(&record, SERVICE_MAX_BYTES);
  service_encode(p->service, &record);
  int error = record.overflow ? E2BIG : write_file(SERVICE_PATH, 0600, buffer_bytes(&record), buffer_length(&record));
  buffer_free(&record);
  return error;
}

// Images made for containers leave these to whoever runs them.
static void make_places(void) {
  mkdir("/etc", 0755);
  if (mkdir("/tmp", 01777) == 0) chmod("/tmp", 01777);
}

int personalization_apply(const struct personalization *p, char *failed, size_t capacity) {
  static const struct {
    const char *name;
    int (*apply)(const struct personalization *);
  } steps[] = {
    // First, as growing file systems takes its time.
    {"clock", apply_clock},
    {"mounts", apply_mounts},
    {"random seed", apply_seed},
    {"machine-id", apply_machine_id},
    {"hostname", apply_hostname},
    {"/etc/hosts", apply_hosts},
    {"/etc/resolv.conf", apply_resolver},
    {"/root/.ssh/authorized_keys", apply_authorized_keys},
    {"ssh host key", apply_host_key},
    {"network", apply_network},
    {"service", apply_service},
  };
  make_places();
  terminal_make_known();
  for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
    int error = steps[i].apply(p);
    if (!error) continue;
    snprintf(failed, capacity, "%s cannot be set", steps[i].name);
    return error;
  }
  return 0;
}
