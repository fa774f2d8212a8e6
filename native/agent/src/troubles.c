#include "troubles.h"
#include "json.h"
#include <stdio.h>
#include <string.h>

static const char *known(const char *word) {
  static const char *const words[] = {"memory", "read-only", NULL};
  for (const char *const *at = words; *at; at++)
    if (strcmp(word, *at) == 0) return *at;
  return NULL;
}

void trouble_add(struct troubles *t, const char *what, int error, const char *held) {
  if (!error || t->count == TROUBLES_MAX) return;
  struct trouble *added = &t->list[t->count++];
  snprintf(added->what, sizeof added->what, "%s", what);
  added->error = error;
  added->held = held;
}

void troubles_of_boot(struct troubles *t, const char *path) {
  FILE *file = fopen(path, "re");
  char line[256], held[16], what[160];
  int error;
  while (file && fgets(line, sizeof line, file))
    if (sscanf(line, "%d %15s %159[^\n]", &error, held, what) == 3) trouble_add(t, what, error, known(held));
  if (file) fclose(file);
}

void troubles_encode(const struct troubles *t, struct buffer *out) {
  buffer_puts(out, "[");
  for (size_t i = 0; i < t->count; i++) {
    const struct trouble *one = &t->list[i];
    buffer_puts(out, i ? ",{\"what\":" : "{\"what\":");
    json_put_string(out, one->what, strlen(one->what), sizeof one->what);
    buffer_printf(out, ",\"errno\":%d,\"held\":", one->error);
    buffer_puts(out, one->held ? "\"" : "null");
    buffer_puts(out, one->held ? one->held : "");
    buffer_puts(out, one->held ? "\"}" : "}");
  }
  buffer_puts(out, "]");
}
