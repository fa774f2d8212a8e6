#include "copy.h"
#include "json.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SHOWN_NAME_BYTES 600

void (*copy_undo)(void);

// A name may contain line breaks and bytes that are not text; it is printed on one line, with such bytes as \ooo.
static void put_name(FILE *line, const char *name) {
  const unsigned char *s = (const unsigned char *)name;
  for (size_t shown = 0; *s && shown < SHOWN_NAME_BYTES;) {
    size_t n = utf8_sequence(s, strlen((const char *)s));
    bool is_plain = n > 0 && *s >= 0x20 && *s != 0x7f && *s != '\\';
    if (is_plain) fwrite(s, 1, n, line);
    else fprintf(line, "\\%03o", *s);
    s += is_plain ? n : 1;
    shown += is_plain ? n : 1;
  }
  if (*s) fputs("…", line);
}

static void say(const char *kind, const char *path, const char *reason, int error) {
  char text[4 * SHOWN_NAME_BYTES + 1024];
  FILE *line = fmemopen(text, sizeof text, "w");
  if (!line) return;
  fputs(kind, line);
  fputc(' ', line);
  if (path) put_name(line, path);
  fprintf(line, "%s%s", path ? ": " : "", reason);
  if (error > 0) fprintf(line, "%s%s", *reason ? ": " : "", strerror(error));
  fputc('\n', line);
  long length = ftell(line);
  fclose(line);
  if (length > 0 && write(2, text, (size_t)length) < 0) return;
}

_Noreturn static void fail(const char *path, const char *reason, int error) {
  char kind[32];
  if (copy_undo) copy_undo();
  snprintf(kind, sizeof kind, "error %d", error < 0 ? -error : error);
  say(kind, path, reason, error);
  _exit(1);
}

_Noreturn void copy_fail(const char *path, const char *reason, int error) { fail(path, reason, error); }

_Noreturn void copy_fail_plainly(const char *reason, int error) { fail(NULL, reason, error); }

void copy_note(const char *path, const char *reason) { say("note", path, reason, 0); }

void copy_say_total(uint64_t bytes) {
  char text[32];
  snprintf(text, sizeof text, "%" PRIu64, bytes);
  say("total", NULL, text, 0);
}
