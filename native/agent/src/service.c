#include "service.h"
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define LAST_SIGNAL 64

// A record is a list of words, each with a letter in front and a zero behind: a argument, e NAME=value, u user, d directory, s signal
// number.

static bool is_word(const struct json_node *n) { return n->type == JSON_STRING && strlen(n->string) == n->length; }

static bool is_word_list(const struct json_node *list, int least) {
  if (!list || list->type != JSON_ARRAY) return false;
  int count = 0;
  for (const struct json_node *n = list->child; n; n = n->next, count++)
    if (!is_word(n)) return false;
  return count >= least && count <= SERVICE_MAX_WORDS;
}

static bool is_environment(const struct json_node *object) {
  if (!object || object->type != JSON_OBJECT) return false;
  int count = 0;
  for (const struct json_node *n = object->child; n; n = n->next, count++)
    if (!is_word(n) || !n->key[0] || strchr(n->key, '=')) return false;
  return count <= SERVICE_MAX_WORDS;
}

static bool is_word_or_null(const struct json_node *n) {
  return n && (n->type == JSON_NULL || (is_word(n) && n->length > 0 && n->length < 4096));
}

bool service_check(const struct json_node *node) {
  static const char *const members[] = {"argv", "env", "user", "directory", "stopSignal", NULL};
  if (node->type == JSON_NULL) return true;
  if (node->type != JSON_OBJECT || !json_only_members(node, members)) return false;
  const struct json_node *directory = json_member(node, "directory"), *stop_signal = json_member(node, "stopSignal");
  int64_t number;
  if (stop_signal && !json_whole(stop_signal, 1, LAST_SIGNAL, &number)) return false;
  return is_word_list(json_member(node, "argv"), 1) && is_environment(json_member(node, "env")) &&
         is_word_or_null(json_member(node, "user")) && is_word_or_null(directory) &&
         (directory->type == JSON_NULL || directory->string[0] == '/');
}

static void put(struct buffer *record, const char *letter, const char *text) {
  buffer_puts(record, letter);
  buffer_append(record, text, strlen(text) + 1);
}

void service_encode(const struct json_node *node, struct buffer *record) {
  const struct json_node *user = json_member(node, "user"), *directory = json_member(node, "directory");
  for (const struct json_node *n = json_member(node, "argv")->child; n; n = n->next) put(record, "a", n->string);
  for (const struct json_node *n = json_member(node, "env")->child; n; n = n->next) {
    buffer_puts(record, "e");
    buffer_puts(record, n->key);
    put(record, "=", n->string);
  }
  if (user->type == JSON_STRING) put(record, "u", user->string);
  if (directory->type == JSON_STRING) put(record, "d", directory->string);
  int64_t number;
  const struct json_node *stop_signal = json_member(node, "stopSignal");
  if (!stop_signal || !json_whole(stop_signal, 1, LAST_SIGNAL, &number)) return;
  buffer_printf(record, "s%d", (int)number);
  buffer_append(record, "", 1);
}

bool service_decode(char *record, size_t length, struct service *service) {
  size_t arguments = 0, variables = 0;
  memset(service, 0, sizeof *service);
  service->stop_signal = SIGTERM;
  if (length == 0 || record[length - 1] != 0) return false;
  for (char *at = record; at < record + length; at += strlen(at) + 1) {
    char *word = at + 1;
    if (*at == 'a' && arguments < SERVICE_MAX_WORDS) service->argv[arguments++] = word;
    else if (*at == 'e' && variables < SERVICE_MAX_WORDS) service->environment[variables++] = word;
    else if (*at == 'u') service->user = word;
    else if (*at == 'd') service->directory = word;
    else if (*at == 's') service->stop_signal = atoi(word);
    else return false;
  }
  return arguments > 0;
}
