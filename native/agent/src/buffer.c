#include "buffer.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void buffer_init(struct buffer *b, size_t limit_bytes) {
  memset(b, 0, sizeof *b);
  b->limit = limit_bytes;
}

void buffer_free(struct buffer *b) {
  free(b->data);
  b->data = NULL;
  b->start = b->end = b->capacity = 0;
}

void buffer_clear(struct buffer *b) {
  b->start = b->end = 0;
  b->overflow = false;
}

void buffer_consume(struct buffer *b, size_t n) {
  b->start += n;
  if (b->start == b->end) b->start = b->end = 0;
}

uint8_t *buffer_reserve(struct buffer *b, size_t n) {
  if (n > buffer_room(b)) {
    b->overflow = true;
    return NULL;
  }
  if (b->capacity - b->end >= n && b->data) return b->data + b->end;
  if (b->start > 0) {
    memmove(b->data, b->data + b->start, buffer_length(b));
    b->end -= b->start;
    b->start = 0;
  }
  if (!b->data || b->capacity - b->end < n) {
    size_t wanted = b->capacity ? b->capacity : 1024;
    while (wanted < b->end + n) wanted *= 2;
    if (wanted > b->limit) wanted = b->limit;
    uint8_t *grown = realloc(b->data, wanted ? wanted : 1);
    if (!grown) {
      b->overflow = true;
      return NULL;
    }
    b->data = grown;
    b->capacity = wanted;
  }
  return b->data + b->end;
}

bool buffer_append(struct buffer *b, const void *bytes, size_t n) {
  if (n == 0) return true;
  uint8_t *room = buffer_reserve(b, n);
  if (!room) return false;
  memcpy(room, bytes, n);
  buffer_commit(b, n);
  return true;
}

bool buffer_puts(struct buffer *b, const char *text) { return buffer_append(b, text, strlen(text)); }

bool buffer_printf(struct buffer *b, const char *format, ...) {
  char text[1024];
  va_list arguments;
  va_start(arguments, format);
  int length = vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  if (length < 0 || (size_t)length >= sizeof text) {
    b->overflow = true;
    return false;
  }
  return buffer_append(b, text, (size_t)length);
}

char *buffer_text(struct buffer *b) {
  uint8_t *room = buffer_reserve(b, 1);
  if (!room) return NULL;
  *room = 0;
  return (char *)buffer_bytes(b);
}
