// Requests of the line protocol (common/lines.h). No path ever comes in.
//
//   hello    `hello version=1 uid=U directory=PATH`, and a line of each part with what this host can do of it
//   list     the peer's objects, one a line
//   …        the verbs of the parts: heads of overlay.c and its siblings
#include "answer.h"
#include "banger-helper.h"
#include "common/clock.h"
#include "common/errors.h"
#include "common/lines.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define MAX_WORDS 16

static int hello_verb(const struct peer *peer, char **arguments, int count);
static int list_verb(const struct peer *peer, char **arguments, int count);

static const struct verb own_verbs[] = {
    {.words = "hello", .run = hello_verb},
    {.words = "list", .run = list_verb},
    {0},
};
static const struct part own_part = {.verbs = own_verbs};

static const struct part *const parts[] = {
    &own_part,
    &overlay_part,
    &network_part,
    &jail_part,
};

size_t dispatch_parts(const struct part *const **all) {
  *all = parts;
  return sizeof parts / sizeof *parts;
}

bool id_valid(const char *text) { return strlen(text) == ID_LENGTH && strspn(text, "0123456789abcdef") == ID_LENGTH; }

static int hello_verb(const struct peer *peer, char **arguments, int count) {
  (void)arguments, (void)count;
  char directory[128];
  if (claims_directory(peer, directory, sizeof directory) != 0) return -1;
  say("hello version=%d uid=%u directory=%s", HELPER_VERSION, peer->uid, directory);
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
    if (parts[i]->hello != NULL) parts[i]->hello(peer);
  return 0;
}

static int list_verb(const struct peer *peer, char **arguments, int count) {
  (void)arguments, (void)count;
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
    if (parts[i]->list != NULL) parts[i]->list(peer);
  return 0;
}

// How many words of the request name the verb; 0 if it is another verb.
static int match(const struct verb *verb, char **words, int count) {
  const char *rest = verb->words;
  for (int i = 0; i < count; i++) {
    size_t length = strcspn(rest, " ");
    if (strlen(words[i]) != length || strncmp(words[i], rest, length) != 0) return 0;
    if (rest[length] == '\0') return i + 1;
    rest += length + 1;
  }
  return 0;
}

static const struct verb *find_verb(char **words, int count, int *used) {
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
    for (const struct verb *verb = parts[i]->verbs; verb->words != NULL; verb++)
      if ((*used = match(verb, words, count)) > 0) return verb;
  return NULL;
}

static int run_words(const struct peer *peer, const struct verb *verb, char **arguments, int count) {
  if (verb == NULL) return refuse(EINVAL, "there is no such request");
  int given = count - (verb->takes_id ? 1 : 0);
  if (given < verb->minimum || given > verb->maximum) return refuse(EINVAL, "%s takes other arguments", verb->words);
  if (verb->takes_id && !id_valid(arguments[0])) return refuse(EINVAL, "an id is 8 hex digits");
  return verb->run(peer, arguments, count);
}

static void log_request(const struct peer *peer, char *asked, int error, int64_t begin) {
  // It goes to a log that terminals show.
  for (char *c = asked; *c != '\0'; c++)
    if (!isprint((unsigned char)*c)) *c = '?';
  fprintf(stderr, "uid=%u %s: %s%s%s, %lld ms\n", peer->uid, asked, error == 0 ? "ok" : errno_name(error), error == 0 ? "" : " ",
          error == 0 ? "" : answer_reason(), (long long)(monotonic_ms() - begin));
}

const char *dispatch(const struct peer *peer, char *line, size_t *length) {
  char asked[LINE_BYTES], *words[MAX_WORDS];
  int64_t begin = monotonic_ms();
  snprintf(asked, sizeof asked, "%s", line);
  answer_begin();
  faults_begin();
  int used = 0, count = words_of(line, words, MAX_WORDS);
  const struct verb *verb = find_verb(words, count, &used);
  errno = EIO;
  int error = run_words(peer, verb, words + used, count - used) == 0 ? 0 : errno;
  const char *answer = answer_end(error, length);
  if (error != 0 || !verb->quiet) log_request(peer, asked, error, begin);
  return answer;
}
