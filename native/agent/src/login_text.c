// The parts of login.h that only transform text.
#include "login.h"
#include <errno.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLANKS " \t"
#define OWN_KEYS ".ssh/authorized_keys .ssh/authorized_keys2 "

struct sshd_lines {
  struct buffer *out;
  char *const *variables;
  size_t variable_count;
  bool is_in_match, has_keys, has_environment, is_done;
};

/** The word at `at`, up to `end`; its length. Keywords may end with "=" (sshd_config(5)). */
static size_t word_length(const char *at, const char *end, const char *stops) {
  size_t n = 0;
  while (at + n < end && !strchr(stops, at[n])) n++;
  return n;
}

static bool is_word(const char *at, size_t n, const char *word) { return strlen(word) == n && strncasecmp(at, word, n) == 0; }

/** Whether the words of a SetEnv contain the name; `n` includes its "=". */
static bool has_variable(const char *at, const char *end, const char *variable, size_t n) {
  for (const char *found = at; (found = memmem(found, (size_t)(end - found), variable, n)) != NULL; found++)
    if (found == at || strchr(BLANKS "\"", found[-1])) return true;
  return false;
}

static bool contains(const char *at, const char *end, const char *text) { return memmem(at, (size_t)(end - at), text, strlen(text)); }

/** Whether sshd should set it: sshd can quote the value, and does not set the variable itself. */
static bool is_for_sessions(const char *variable, size_t name_length) {
  static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-";
  static const char *const own[] = {"HOME", "USER", "LOGNAME", "SHELL", "TERM", NULL};
  if (name_length == 0 || strspn(variable, letters) != name_length || strncmp(variable, "SSH_", 4) == 0) return false;
  for (const char *const *name = own; *name; name++)
    if (strlen(*name) == name_length && strncmp(variable, *name, name_length) == 0) return false;
  for (const char *at = variable + name_length; *at; at++)
    if (*at == '"' || *at == '\\' || (unsigned char)*at < ' ' || *at == 0x7f) return false;
  return true;
}

/** Appends to `keyword` the variables that a SetEnv with the words from `at` on does not set. Returns whether there are any. */
static bool put_variables(struct sshd_lines *s, const char *keyword, const char *at, const char *end) {
  bool is_any = false;
  for (size_t i = 0; i < s->variable_count; i++) {
    const char *variable = s->variables[i];
    size_t n = strcspn(variable, "=");
    if (!is_for_sessions(variable, n) || has_variable(at, end, variable, n + 1)) continue;
    const char *quote = strpbrk(variable, " #'") ? "\"" : "";
    buffer_printf(s->out, "%s %s%s%s", is_any ? "" : keyword, quote, variable, quote);
    is_any = true;
  }
  return is_any;
}

/**
 * Settings that the image does not have: the first value of a setting counts, and inside a Match block it would only count for some users.
 */
static void put_rest(struct sshd_lines *s) {
  if (s->is_done) return;
  s->is_done = true;
  if (!s->has_keys) buffer_puts(s->out, "AuthorizedKeysFile " OWN_KEYS LOGIN_KEYS_PATH "\n");
  if (s->has_environment || s->variable_count == 0) return;
  if (put_variables(s, "SetEnv", "", "")) buffer_puts(s->out, "\n");
}

/** The names of AcceptEnv except those of locales. */
static void put_accepted(struct buffer *out, const char *at, const char *end) {
  const char *separator = "AcceptEnv ";
  while (at < end && *at != '#') {
    size_t n = word_length(at, end, BLANKS);
    bool is_locale = n == 0 || strncmp(at, "LANG", n < 4 ? n : 4) == 0 || strncmp(at, "LC_", n < 3 ? n : 3) == 0 || *at == '*';
    if (!is_locale) {
      buffer_puts(out, separator);
      buffer_append(out, at, n);
      separator = " ";
    }
    at += n;
    while (at < end && strchr(BLANKS, *at)) at++;
  }
  if (separator[1] == 0) buffer_puts(out, "\n");
}

static void put_line(struct sshd_lines *s, const char *line, const char *end) {
  const char *keyword = line;
  while (keyword < end && strchr(BLANKS, *keyword)) keyword++;
  size_t n = word_length(keyword, end, BLANKS "=");
  const char *value = keyword + n;
  while (value < end && strchr(BLANKS "=", *value)) value++;
  // banger passes its own on the command line; sshd would complain at every login about a broken one on the disk.
  if (is_word(keyword, n, "HostKey")) return;
  if (is_word(keyword, n, "AcceptEnv")) {
    put_accepted(s->out, value, end);
    return;
  }
  if (is_word(keyword, n, "Match")) {
    put_rest(s);
    s->is_in_match = true;
  }
  buffer_append(s->out, line, (size_t)(end - line));
  if (!s->is_in_match && is_word(keyword, n, "AuthorizedKeysFile") && !s->has_keys) {
    s->has_keys = true;
    bool is_none = is_word(value, word_length(value, end, BLANKS), "none");
    if (!is_none && !contains(value, end, LOGIN_KEYS_PATH)) buffer_puts(s->out, " " LOGIN_KEYS_PATH);
  } else if (!s->is_in_match && is_word(keyword, n, "SetEnv") && !s->has_environment) {
    s->has_environment = true;
    put_variables(s, "", value, end);
  }
  buffer_puts(s->out, "\n");
}

void login_sshd_config(struct buffer *out, const char *text, size_t length, char *const *variables, size_t count) {
  struct sshd_lines s = {.out = out, .variables = variables, .variable_count = count};
  const char *end = text + length;
  while (text < end) {
    const char *newline = memchr(text, '\n', (size_t)(end - text));
    const char *line_end = newline ? newline : end;
    const char *content_end = line_end > text && line_end[-1] == '\r' ? line_end - 1 : line_end;
    put_line(&s, text, content_end);
    text = newline ? newline + 1 : end;
  }
  put_rest(&s);
}

int login_shell_obstacle(const char *shell) {
  static const char *const none[] = {"nologin", "false", "true", "sync", "shutdown", "halt", NULL};
  const char *slash = strrchr(shell, '/');
  for (const char *const *name = none; *name; name++)
    if (strcmp(slash ? slash + 1 : shell, *name) == 0) return EACCES;
  return access(shell, X_OK) == 0 ? 0 : errno;
}

bool login_is_root_unsafe(void) {
  struct stat s;
  return stat("/", &s) == 0 && (s.st_uid != 0 || (s.st_mode & (S_IWGRP | S_IWOTH)));
}

bool login_unlock(struct buffer *out, const char *text, size_t length, bool (*may_log_in)(const char *user)) {
  const char *end = text + length;
  bool differs = false;
  while (text < end) {
    const char *newline = memchr(text, '\n', (size_t)(end - text));
    const char *next = newline ? newline + 1 : end;
    const char *password = memchr(text, ':', (size_t)(next - text));
    const char *rest = password ? memchr(password + 1, ':', (size_t)(next - password - 1)) : NULL;
    size_t n = rest ? (size_t)(rest - password - 1) : 0, name_length = password ? (size_t)(password - text) : 0;
    char user[64] = "";
    if (name_length > 0 && name_length < sizeof user) memcpy(user, text, name_length);
    bool is_unset = (n == 1 && password[1] == '!') || (n == 2 && memcmp(password + 1, "!!", 2) == 0);
    if (is_unset && *user && may_log_in(user)) {
      buffer_append(out, text, name_length + 1);
      buffer_puts(out, "*");
      buffer_append(out, rest, (size_t)(next - rest));
      differs = true;
    } else {
      buffer_append(out, text, (size_t)(next - text));
    }
    text = next;
  }
  return differs;
}
