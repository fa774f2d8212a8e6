// Bounded byte buffers: nothing in the agent grows without a limit.
#ifndef BANGER_BUFFER_H
#define BANGER_BUFFER_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buffer {
  uint8_t *data;
  size_t start, end, capacity;
  size_t limit;   // capacity never exceeds this
  bool overflow;  // an append did not fit; the content is incomplete
};

void buffer_init(struct buffer *b, size_t limit_bytes);
void buffer_free(struct buffer *b);
static inline size_t buffer_length(const struct buffer *b) { return b->end - b->start; }
static inline uint8_t *buffer_bytes(const struct buffer *b) { return b->data + b->start; }
/** Bytes that can still be appended. */
static inline size_t buffer_room(const struct buffer *b) { return b->limit - buffer_length(b); }
void buffer_clear(struct buffer *b);
void buffer_consume(struct buffer *b, size_t n);
/** Makes `n` contiguous bytes writable behind the content; NULL (and `overflow`) if they do not fit. */
uint8_t *buffer_reserve(struct buffer *b, size_t n);
/** Declares `n` reserved bytes as written. */
static inline void buffer_commit(struct buffer *b, size_t n) { b->end += n; }
bool buffer_append(struct buffer *b, const void *bytes, size_t n);
bool buffer_puts(struct buffer *b, const char *text);
bool buffer_printf(struct buffer *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
/** The content as a C string (a NUL is kept behind it); NULL if there is no room for the NUL. */
char *buffer_text(struct buffer *b);

#endif
