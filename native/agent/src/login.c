#include "agent.h"
#include "identity.h"
#include "keep.h"
#include "login.h"
#include "plain_file.h"
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define SSHD_CONFIG "/etc/ssh/sshd_config"
#define ADAPTED_CONFIG "/run/banger-sshd-config"
#define PLAIN_CONFIG "/run/banger-sshd-config-plain"
#define LOCK "/run/banger-login.lock"
#define MAX_BYTES (256 * 1024)
#define SHADOW_WAIT_MS 2000

static bool read_whole(const char *path, struct buffer *content, struct stat *s) {
  int fd = plain_file_open(path, s);
  bool ok = fd >= 0 && s->st_size < MAX_BYTES;
  while (ok) {
    uint8_t *room = buffer_reserve(content, 4096);
    ssize_t n = room ? read(fd, room, 4096) : -1;
    if (n < 0) ok = false;
    if (n <= 0) break;
    buffer_commit(content, (size_t)n);
  }
  if (fd >= 0) close(fd);
  return ok;
}

/** Reads `LANG=` of a file of assignments, with or without quotes. */
static bool locale_in(const char *path, char *locale, size_t capacity) {
  FILE *file = plain_file_stream(path);
  char line[512];
  bool is_found = false;
  if (!file) return false;
  while (!is_found && fgets(line, sizeof line, file)) {
    const char *at = line + strspn(line, " \t");
    if (strncmp(at, "export ", 7) == 0) at += 7;
    if (strncmp(at, "LANG=", 5) != 0) continue;
    at += 5 + strspn(at + 5, "\"'");
    size_t n = strspn(at, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.@-");
    if (n == 0 || n >= capacity) continue;
    memcpy(locale, at, n);
    locale[n] = 0;
    is_found = true;
  }
  fclose(file);
  return is_found;
}

static void find_locale(char *locale, size_t capacity) {
  static const char *const files[] = {"/etc/default/locale", "/etc/locale.conf", "/etc/environment", NULL};
  // The locales of glibc, and of musl, which has no others.
  static const char *const utf8[] = {"/usr/lib/locale/C.utf8", "/usr/lib/locale/C.UTF-8", "/lib/ld-musl-x86_64.so.1",
                                     "/lib/ld-musl-aarch64.so.1", NULL};
  for (const char *const *file = files; *file; file++)
    if (locale_in(*file, locale, capacity)) return;
  locale[0] = 0;
  for (const char *const *path = utf8; *path && !*locale; path++)
    if (access(*path, F_OK) == 0) snprintf(locale, capacity, "C.UTF-8");
}

// The syntax of pam_env: NAME=value, optional `export`, optional quotes, # comments.
static void read_etc_environment(struct environment *e) {
  FILE *file = plain_file_stream("/etc/environment");
  char line[4096];
  if (!file) return;
  while (fgets(line, sizeof line, file)) {
    char *name = line + strspn(line, " \t");
    if (strncmp(name, "export ", 7) == 0) name += 7;
    char *equals = strchr(name, '=');
    if (*name == '#' || !equals) continue;
    char *value = equals + 1;
    size_t n = strcspn(value, "\r\n");
    while (n > 0 && (value[n - 1] == ' ' || value[n - 1] == '\t')) n--;
    if (n >= 2 && (*value == '"' || *value == '\'') && value[n - 1] == *value) {
      value++;
      n -= 2;
    }
    value[n] = 0;
    environment_set(e, name, (size_t)(equals - name), value);
  }
  fclose(file);
}

void login_variables(struct environment *e) {
  char locale[64];
  find_locale(locale, sizeof locale);
  if (*locale) environment_set(e, "LANG", 4, locale);
  read_etc_environment(e);
}

static bool may_log_in(const char *user) {
  const struct passwd *p = plain_file_user(user);
  return p && login_shell_obstacle(p->pw_shell[0] ? p->pw_shell : "/bin/sh") == 0;
}

/** The lock of all programs that change users (lckpwdf(3), which does nothing in musl). */
static int lock_users(void) {
  struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
  int fd = open("/etc/.pwd.lock", O_WRONLY | O_CREAT | O_NONBLOCK | O_CLOEXEC, 0600);
  for (int waited_ms = 0; fd >= 0 && fcntl(fd, F_SETLK, &whole) != 0; waited_ms += 10) {
    if (waited_ms < SHADOW_WAIT_MS) {
      sleep_ms(10);
      continue;
    }
    close(fd);
    fd = -1;
  }
  return fd;
}

static void unlock_users(void) {
  struct buffer before, after;
  struct stat s;
  int lock = lock_users();
  if (lock < 0) return;
  buffer_init(&before, MAX_BYTES);
  buffer_init(&after, MAX_BYTES);
  if (read_whole("/etc/shadow", &before, &s) &&
      login_unlock(&after, (char *)buffer_bytes(&before), buffer_length(&before), may_log_in) && !after.overflow) {
    keep_on_disk("/etc/shadow", s.st_mode & 0777, buffer_bytes(&after), buffer_length(&after));
  }
  buffer_free(&before);
  buffer_free(&after);
  close(lock);
}

/** Only root may read it: the image's own configuration may say who has which rights. */
static bool write_config(const char *path, const char *image_config) {
  struct buffer before, after;
  struct stat s;
  struct environment variables = {0};
  buffer_init(&before, MAX_BYTES);
  buffer_init(&after, 2 * MAX_BYTES);
  // If it is missing or unreadable, users must still be able to log in to repair it.
  if (!image_config || !read_whole(image_config, &before, &s)) buffer_clear(&before);
  login_variables(&variables);
  // Of a setting the first value counts.
  if (login_is_root_unsafe()) buffer_puts(&after, "StrictModes no\n");
  login_sshd_config(&after, (char *)buffer_bytes(&before), buffer_length(&before), variables.entries, variables.count);
  environment_free(&variables);
  bool ok = !after.overflow && write_file(path, 0600, buffer_bytes(&after), buffer_length(&after)) == 0;
  buffer_free(&before);
  buffer_free(&after);
  return ok;
}

const char *login_prepare(void) {
  // Several logins may begin at once.
  int lock = open(LOCK, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (lock < 0 || flock(lock, LOCK_EX) != 0) {
    if (lock >= 0) close(lock);
    return NULL;
  }
  unlock_users();
  bool is_adapted = write_config(ADAPTED_CONFIG, SSHD_CONFIG);
  close(lock);
  return is_adapted ? ADAPTED_CONFIG : NULL;
}

const char *login_plain_config(void) { return write_config(PLAIN_CONFIG, NULL) ? PLAIN_CONFIG : NULL; }
