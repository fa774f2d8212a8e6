#include "copy.h"
#include "copy_entry.h"
#include "copy_file.h"
#include "copy_marks.h"
#include "copy_names.h"
#include "copy_stream.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define OPEN_FILE (O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)
#define OPEN_DIRECTORY (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

static struct copy_entry entry;
static char shown[COPY_PATH_MAX_BYTES];  // the user's name for the root, followed by the path in it
static size_t root_length;               // length of the root's part in `shown`

static const char *inner_path(void) { return shown + root_length; }

// Appends "/name". Returns the former length, for leave().
static size_t enter(const char *name) {
  size_t before = strlen(shown), n = strlen(name);
  if (before + n + 8 > sizeof shown) copy_fail(shown, "the path of what is in it is too long", -ENAMETOOLONG);
  shown[before] = '/';
  memcpy(shown + before + 1, name, n + 1);
  return before;
}

static void leave(size_t before) { shown[before] = 0; }

struct names {
  char **list;
  size_t count;
};

static int compare_names(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static struct names read_names(int fd) {
  struct names names = {0};
  size_t capacity = 0;
  int own = dup(fd);
  DIR *directory = own < 0 ? NULL : fdopendir(own);
  if (!directory) copy_fail(shown, "it cannot be read", errno);
  errno = 0;
  for (struct dirent *found; (found = readdir(directory));) {
    if (strcmp(found->d_name, ".") == 0 || strcmp(found->d_name, "..") == 0) continue;
    if (names.count == capacity) names.list = realloc(names.list, (capacity = capacity ? 2 * capacity : 64) * sizeof *names.list);
    if (!names.list || !(names.list[names.count++] = strdup(found->d_name))) copy_fail_plainly("there is not enough memory", ENOMEM);
  }
  if (errno) copy_fail(shown, "it cannot be read", errno);
  closedir(directory);
  if (names.count > 0) qsort(names.list, names.count, sizeof *names.list, compare_names);
  return names;
}

static void free_names(struct names *names) {
  for (size_t i = 0; i < names->count; i++) free(names->list[i]);
  free(names->list);
}

// Files of the kernel are not worth copying, and some are endless.
static bool is_made_up(int fd) {
  static const unsigned long kinds[] = {
    PROC_SUPER_MAGIC, SYSFS_MAGIC, DEBUGFS_MAGIC, TRACEFS_MAGIC, SECURITYFS_MAGIC, CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC,
    DEVPTS_SUPER_MAGIC, BPF_FS_MAGIC, PSTOREFS_MAGIC, EFIVARFS_MAGIC, BINFMTFS_MAGIC, 0x19800202 /* mqueue */, 0x62656570 /* configfs */,
  };
  struct statfs fs;
  if (fstatfs(fd, &fs) != 0) return false;
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
    if ((unsigned long)fs.f_type == kinds[i]) return true;
  return false;
}

static void begin(enum copy_kind kind, const struct stat *st) {
  copy_entry_clear(&entry);
  copy_entry_from(&entry, kind, st);
  snprintf(entry.path, sizeof entry.path, ".%s%s", inner_path(), kind == COPY_DIRECTORY ? "/" : "");
}

static void send_directory(int fd, const struct stat *st);

// Opens a member of a directory; -1 if it has vanished.
static int open_member(int directory, const char *name, int flags) {
  int fd = openat(directory, name, flags);
  if (fd >= 0) return fd;
  if (errno != ENOENT) copy_fail(shown, "it cannot be opened", errno);
  copy_note(shown, "it vanished while the copy went on and was left out");
  return -1;
}

static void send_member_directory(int directory, const char *name, dev_t device) {
  struct stat st;
  int fd = open_member(directory, name, OPEN_DIRECTORY);
  if (fd < 0) return;
  if (fstat(fd, &st) != 0) copy_fail(shown, "it cannot be looked at", errno);
  if (st.st_dev != device && is_made_up(fd)) copy_note(shown, "it is a file system that the kernel makes up and was left out");
  else send_directory(fd, &st);
  close(fd);
}

static void send_link(int directory, const char *name, const struct stat *st) {
  begin(COPY_LINK, st);
  ssize_t n = readlinkat(directory, name, entry.link, sizeof entry.link - 1);
  if (n < 0) copy_fail(shown, "the link cannot be read", errno);
  entry.link[n] = 0;
  copy_entry_write(&entry);
}

static void send_regular(int directory, const char *name) {
  struct stat st;
  int fd = open_member(directory, name, OPEN_FILE);
  if (fd < 0) return;
  if (fstat(fd, &st) != 0) copy_fail(shown, "it cannot be looked at", errno);
  if (!S_ISREG(st.st_mode)) copy_fail(shown, "it changed while it was looked at", -EAGAIN);
  begin(COPY_FILE, &st);
  const char *first = st.st_nlink > 1 ? copy_first_name(&st, entry.path) : NULL;
  if (first) {
    entry.kind = COPY_HARD_LINK;
    snprintf(entry.link, sizeof entry.link, "%s", first);
    copy_entry_write(&entry);
  } else {
    copy_read_xattrs(&entry, fd, shown);
    copy_send_file(&entry, fd, &st, shown);
  }
  close(fd);
}

static void send_member(int directory, const char *name, dev_t device) {
  struct stat st;
  size_t before = enter(name);
  if (fstatat(directory, name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
    if (errno != ENOENT) copy_fail(shown, "it cannot be looked at", errno);
    copy_note(shown, "it vanished while the copy went on and was left out");
  } else if (S_ISDIR(st.st_mode)) send_member_directory(directory, name, device);
  else if (S_ISLNK(st.st_mode)) send_link(directory, name, &st);
  else if (S_ISREG(st.st_mode)) send_regular(directory, name);
  else copy_note(shown, "it is no file, directory or link and was left out");
  leave(before);
}

static void send_directory(int fd, const struct stat *st) {
  begin(COPY_DIRECTORY, st);
  copy_read_xattrs(&entry, fd, shown);
  copy_entry_write(&entry);
  struct names names = read_names(fd);
  for (size_t i = 0; i < names.count; i++) send_member(fd, names.list[i], st->st_dev);
  free_names(&names);
}

static uint64_t weight_of(const struct stat *st) {
  uint64_t data = S_ISREG(st->st_mode) ? (uint64_t)st->st_size : 0, held = (uint64_t)st->st_blocks * 512;
  return 512 + (data > held ? held : data);
}

// Estimates the amount of data; the sender reports unreadable files later.
static uint64_t weigh(int fd) {
  uint64_t sum = 0;
  DIR *directory = fdopendir(fd);
  if (!directory) return 0;
  for (struct dirent *found; (found = readdir(directory));) {
    struct stat st;
    if (strcmp(found->d_name, ".") == 0 || strcmp(found->d_name, "..") == 0) continue;
    if (fstatat(fd, found->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0) continue;
    sum += weight_of(&st);
    int inner = S_ISDIR(st.st_mode) ? openat(fd, found->d_name, OPEN_DIRECTORY) : -1;
    if (inner >= 0 && is_made_up(inner)) close(inner);
    else if (inner >= 0) sum += weigh(inner);
  }
  closedir(directory);
  return sum;
}

// In parallel with the copy, which need not wait for it.
static pid_t weigh_aside(int fd) {
  pid_t parent = getpid(), pid = fork();
  if (pid != 0) return pid;
  // It ends with the copy.
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  int own = openat(fd, ".", OPEN_DIRECTORY);
  uint64_t sum = own < 0 ? 0 : weigh(own);
  if (sum > 0 && getppid() == parent) copy_say_total(sum);
  _exit(0);
}

static void send_root_directory(int fd, const struct stat *st) {
  pid_t weigher = weigh_aside(fd);
  send_directory(fd, st);
  if (weigher > 0 && kill(weigher, SIGKILL) == 0) waitpid(weigher, NULL, 0);
}

static void raise_limit_of_files(void) {
  // One descriptor stays open for every directory on the way down.
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

void copy_send(const char *path, const char *name) {
  struct stat st;
  raise_limit_of_files();
  copy_entry_init(&entry);
  snprintf(shown, sizeof shown, "%s", path);
  copy_refuse_marked_way(path, true);
  // The user named it, so follow a link, and wait for a pipe.
  int fd = open(path, O_RDONLY | O_NOCTTY | O_CLOEXEC);
  if (fd < 0 && errno == ENXIO && stat(path, &st) == 0 && S_ISSOCK(st.st_mode)) copy_fail(path, "it is a socket", -EINVAL);
  if (fd < 0 || fstat(fd, &st) != 0) copy_fail(path, "", errno);
  while (root_length = strlen(shown), root_length > 0 && shown[root_length - 1] == '/') shown[root_length - 1] = 0;
  if (S_ISDIR(st.st_mode)) send_root_directory(fd, &st);
  else {
    copy_entry_from(&entry, COPY_FILE, &st);
    snprintf(entry.path, sizeof entry.path, "%s", *name ? name : "file");
    if (S_ISREG(st.st_mode)) {
      copy_say_total(weight_of(&st));
      copy_read_xattrs(&entry, fd, path);
      copy_send_file(&entry, fd, &st, path);
    } else {
      // A pipe or a device, which is read to its end.
      entry.mode = 0644;
      copy_send_stream(&entry, fd, path);
    }
  }
  close(fd);
  copy_write_end();
}

void copy_send_stdin(void) {
  copy_entry_init(&entry);
  struct stat st = {.st_mode = S_IFREG | 0644, .st_uid = getuid(), .st_gid = getgid()};
  clock_gettime(CLOCK_REALTIME, &st.st_mtim);
  copy_entry_from(&entry, COPY_FILE, &st);
  snprintf(entry.path, sizeof entry.path, "stdin");
  copy_send_stream(&entry, 0, "stdin");
  copy_write_end();
}
