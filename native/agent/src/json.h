// A small strict JSON reader (RFC 8259) with limits, and a string writer.
#ifndef BANGER_JSON_H
#define BANGER_JSON_H
#include "buffer.h"
#include "common/constants.h"

#define JSON_MAX_DEPTH 8

enum json_type { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

struct json_node {
  enum json_type type;
  const char *key;     // inside an object
  const char *string;  // NUL-terminated, valid UTF-8 without NUL
  size_t length;
  double number;
  bool boolean;
  struct json_node *child, *next;
};

struct json_document {
  struct json_node *root;
  struct json_node *nodes;
  size_t count, capacity;
};

/**
 * Parses text[0..length) in place (strings are decoded inside it; text[length] must be writable).
 * Refuses anything but one value, depth > 8, more than LIMIT_JSON_VALUES values, NUL in strings, bad UTF-8.
 * Returns false if it refuses the text. The caller frees the document in both cases.
 */
bool json_parse(char *text, size_t length, struct json_document *document);
void json_free(struct json_document *document);
/** The member `key` of an object, NULL if it is missing. */
struct json_node *json_member(const struct json_node *object, const char *key);
/** True if each member's key is one of the NULL-terminated `allowed` and none appears twice. */
bool json_only_members(const struct json_node *object, const char *const *allowed);
/** True if `node` is a whole number within [minimum, maximum]; stores it. */
bool json_whole(const struct json_node *node, int64_t minimum, int64_t maximum, int64_t *value);
/** Appends `text` as a JSON string of at most `limit_bytes` content bytes; invalid UTF-8 becomes U+FFFD. */
void json_put_string(struct buffer *b, const char *text, size_t length, size_t limit_bytes);
/** Length of the valid UTF-8 sequence at s (1..4), 0 if there is none. */
size_t utf8_sequence(const uint8_t *s, size_t available);

#endif
