#include "agent.h"
#include "child.h"
#include "environment.h"
#include "handlers.h"
#include "login.h"
#include "plain_file.h"
#include "readiness.h"
#include "terminal.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SYSTEMD_WAIT_MS 30000

static void login_environment(struct environment *e, const struct passwd *user, bool is_tty) {
  environment_set(e, "PATH", 4, "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
  environment_set(e, "HOME", 4, user->pw_dir);
  environment_set(e, "USER", 4, user->pw_name);
  environment_set(e, "LOGNAME", 7, user->pw_name);
  environment_set(e, "SHELL", 5, user->pw_shell[0] ? user->pw_shell : "/bin/sh");
  if (is_tty) environment_set(e, "TERM", 4, TERMINAL_USUAL);
  login_variables(e);
}

/** The guest's programs refuse to start on a terminal that their terminfo does not know. */
static void settle_terminal(struct environment *e, const struct passwd *user) {
  for (size_t i = 0; i < e->count; i++) {
    if (strncmp(e->entries[i], "TERMINFO", 8) == 0) return;
  }
  for (size_t i = 0; i < e->count; i++) {
    if (strncmp(e->entries[i], "TERM=", 5) != 0 || terminal_is_known(e->entries[i] + 5, user->pw_dir)) continue;
    environment_set(e, "TERM", 4, TERMINAL_USUAL);
    return;
  }
}

static bool add_requested(struct environment *e, const struct json_node *object) {
  if (!object) return true;
  if (object->type != JSON_OBJECT) return false;
  for (const struct json_node *n = object->child; n; n = n->next)
    if (n->type != JSON_STRING || !environment_set(e, n->key, strlen(n->key), n->string)) return false;
  return true;
}

// NULL if it is not a list of words, or there is no memory; the document owns the words.
static char **read_arguments(const struct json_node *array) {
  size_t n = 0;
  if (!array || array->type != JSON_ARRAY || !array->child) return NULL;
  for (const struct json_node *item = array->child; item; item = item->next, n++)
    if (item->type != JSON_STRING) return NULL;
  char **argv = array->child->length > 0 ? calloc(n + 1, sizeof *argv) : NULL;
  if (!argv) return NULL;
  n = 0;
  for (const struct json_node *item = array->child; item; item = item->next) argv[n++] = (char *)item->string;
  return argv;
}

static const char *optional_string(const struct json_node *root, const char *key, const char *otherwise, bool *ok) {
  const struct json_node *node = json_member(root, key);
  if (!node) return otherwise;
  if (node->type != JSON_STRING) *ok = false;
  return node->string ? node->string : otherwise;
}

static unsigned short optional_size(const struct json_node *root, const char *key, int otherwise, bool *ok) {
  const struct json_node *node = json_member(root, key);
  int64_t value = otherwise;
  if (node && !json_whole(node, 1, 65535, &value)) *ok = false;
  return (unsigned short)value;
}

// An image without /etc/passwd still has root.
static struct passwd *find_user(const char *name) {
  static struct passwd root = {.pw_name = "root", .pw_dir = "/root", .pw_shell = "/bin/sh"};
  struct passwd *found = plain_file_user(name);
  return found ? found : strcmp(name, "root") == 0 ? &root : NULL;
}

static void run(struct channel *c, const struct json_node *root) {
  struct environment environment = {0};
  char **argv = read_arguments(json_member(root, "argv"));
  bool ok = argv != NULL;
  const struct json_node *tty = json_member(root, "tty");
  if (tty && tty->type != JSON_BOOL) ok = false;
  const char *user_name = optional_string(root, "user", "root", &ok);
  const char *directory = optional_string(root, "cwd", NULL, &ok);
  struct child_plan plan = {.argv = argv, .has_stderr = true};
  plan.rows = optional_size(root, "rows", 24, &ok);
  plan.columns = optional_size(root, "columns", 80, &ok);
  plan.is_tty = ok && tty && tty->boolean;
  struct passwd *user = find_user(user_name);
  if (user) login_environment(&environment, user, plan.is_tty);
  if (!ok || !add_requested(&environment, json_member(root, "env"))) {
    reply_error(c, 400, "a member of the exec request has the wrong type or an impossible value", 0);
  } else if (!user) {
    if (reply_switch(c, 101)) session_fail(c, 126, "no such user in the guest");
  } else {
    if (plan.is_tty) settle_terminal(&environment, user);
    plan.environment = environment.entries;
    plan.user = getuid() == 0 && (user->pw_uid || user->pw_gid) ? user->pw_name : NULL;
    plan.uid = user->pw_uid;
    plan.gid = user->pw_gid;
    // A missing home is no error; a missing directory from the request is.
    plan.directory = directory ? directory : access(user->pw_dir, X_OK) == 0 ? user->pw_dir : "/";
    struct session session;
    session_init(&session, c);
    bool is_switched = reply_switch(c, 101);
    if (is_switched && readiness_asks_systemd(argv)) readiness_await_systemd(SYSTEMD_WAIT_MS);
    if (is_switched && child_start(&session, &plan)) session_run(&session);
    else if (is_switched) session_fail(c, 126, strerror(errno));
  }
  environment_free(&environment);
  free(argv);
}

void handle_exec(struct channel *c, struct request *request) {
  static const char *const members[] = {"argv", "env", "cwd", "tty", "rows", "columns", "user", NULL};
  struct json_document document;
  if (!request_object(c, request, members, &document)) return;
  if (image_is_running()) run(c, document.root);
  else reply_error(c, 503, "the image's init has not started yet", 0);
  json_free(&document);
}
