// The part of HTTP/1.1 that docs/agent-protocol.md allows.
#ifndef BANGER_HTTP_H
#define BANGER_HTTP_H
#include "common/constants.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SYNC_LINE_BYTES 29  // "BANGER-SYNC " + 16 hex digits + "\n"

struct http_request {
  const char *method, *target;  // target without the query
  const char *query;            // "" if there is none
  uint64_t content_length;      // bytes
};

/** Index behind the blank line that ends a head, 0 if the head is incomplete. */
size_t http_head_length(const uint8_t *bytes, size_t length);
/** Parses a complete head in place (head[length] is not touched). False: not a request of this protocol. */
bool http_parse_head(char *head, size_t length, struct http_request *request);
/**
 * Decodes the query value `name` into out. Returns its length, or -1 if it is missing, repeated, malformed, contains NUL, or is too long
 * for out.
 */
long http_query(const struct http_request *request, const char *name, char *out, size_t capacity);
/** True when s[0..29) is a BANGER-SYNC line. */
bool sync_line_at(const uint8_t *s, size_t available);
/** Offset of the first BANGER-SYNC line, or -1. */
long sync_line_find(const uint8_t *s, size_t length);

#endif
