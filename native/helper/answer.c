#include "answer.h"
#include "common/errors.h"
#include "common/lines.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define MAX_ANSWER (512 * 1024)

static char answer[MAX_ANSWER];
static size_t answer_length;
static char reason[128];

void answer_begin(void) {
  answer_length = 0;
  reason[0] = '\0';
}

void say(const char *format, ...) {
  char line[LINE_BYTES];
  va_list values;
  va_start(values, format);
  vsnprintf(line, sizeof line, format, values);
  va_end(values);
  size_t length = strlen(line);
  if (answer_length + length + 1 > sizeof answer) return;
  memcpy(answer + answer_length, line, length);
  answer[answer_length + length] = '\n';
  answer_length += length + 1;
}

int refuse(int error, const char *format, ...) {
  va_list values;
  va_start(values, format);
  vsnprintf(reason, sizeof reason, format, values);
  va_end(values);
  errno = error;
  return -1;
}

const char *answer_reason(void) { return reason; }

const char *answer_end(int error, size_t *length) {
  if (error != 0) answer_length = 0;
  if (error == 0) say("ok");
  else say("error %s %s", errno_name(error), reason[0] == '\0' ? strerror(error) : reason);
  *length = answer_length;
  return answer;
}
