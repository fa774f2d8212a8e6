#include "http.h"
#include <string.h>
#include <strings.h>

static const char sync_word[] = "BANGER-SYNC ";

size_t http_head_length(const uint8_t *bytes, size_t length) {
  for (size_t i = 3; i < length; i++)
    if (bytes[i] == '\n' && memcmp(bytes + i - 3, "\r\n\r\n", 4) == 0) return i + 1;
  return 0;
}

static bool is_token(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         (c && strchr("!#$%&'*+-.^_`|~", c));
}

static bool parse_length(const char *value, uint64_t *length) {
  size_t n = strspn(value, "0123456789");
  if (n == 0 || n > 15 || value[n]) return false;
  *length = 0;
  for (size_t i = 0; i < n; i++) *length = *length * 10 + (uint64_t)(value[i] - '0');
  return true;
}

static bool parse_header(char *line, struct http_request *request, bool *has_length) {
  char *colon = line;
  while (is_token(*colon)) colon++;
  if (colon == line || *colon != ':') return false;
  *colon = 0;
  char *value = colon + 1;
  value += strspn(value, " \t");
  size_t n = strlen(value);
  while (n > 0 && (value[n - 1] == ' ' || value[n - 1] == '\t')) value[--n] = 0;
  for (size_t i = 0; i < n; i++)
    if ((uint8_t)value[i] < 0x20 && value[i] != '\t') return false;
  if (strcasecmp(line, "transfer-encoding") == 0 || strcasecmp(line, "expect") == 0) return false;
  if (strcasecmp(line, "content-length") != 0) return true;
  if (*has_length) return false;
  *has_length = true;
  return parse_length(value, &request->content_length);
}

static bool parse_request_line(char *line, struct http_request *request) {
  char *space = strchr(line, ' ');
  if (!space || space == line || space - line > 16) return false;
  for (char *c = line; c < space; c++)
    if (*c < 'A' || *c > 'Z') return false;
  *space = 0;
  char *target = space + 1, *version = strchr(target, ' ');
  if (!version || version == target || strcmp(version, " HTTP/1.1") != 0) return false;
  *version = 0;
  for (char *c = target; *c; c++)
    if ((uint8_t)*c <= 0x20 || (uint8_t)*c >= 0x7f) return false;
  char *question = strchr(target, '?');
  if (question) *question = 0;
  request->method = line;
  request->target = target;
  request->query = question ? question + 1 : "";
  return true;
}

bool http_parse_head(char *head, size_t length, struct http_request *request) {
  memset(request, 0, sizeof *request);
  if (length < 4 || length > LIMIT_HEAD_BYTES || memchr(head, 0, length)) return false;
  bool has_length = false, first = true;
  char *at = head, *end = head + length - 2;
  while (at < end) {
    char *newline = memchr(at, '\n', (size_t)(head + length - at));
    if (!newline || newline == at || newline[-1] != '\r') return false;
    newline[-1] = 0;
    if (strchr(at, '\r')) return false;
    if (first ? !parse_request_line(at, request) : !parse_header(at, request, &has_length)) return false;
    first = false;
    at = newline + 1;
  }
  return !first;
}

static int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

static long percent_decode(const char *from, size_t length, char *out, size_t capacity) {
  size_t n = 0;
  for (size_t i = 0; i < length; i++) {
    char c = from[i];
    if (c == '%') {
      if (i + 2 >= length) return -1;
      int high = hex_value(from[i + 1]), low = hex_value(from[i + 2]);
      if (high < 0 || low < 0) return -1;
      c = (char)(high << 4 | low);
      i += 2;
    }
    if (c == 0 || n + 1 >= capacity) return -1;
    out[n++] = c;
  }
  if (n >= capacity) return -1;
  out[n] = 0;
  return (long)n;
}

long http_query(const struct http_request *request, const char *name, char *out, size_t capacity) {
  size_t name_length = strlen(name);
  const char *found = NULL;
  for (const char *at = request->query; at && *at;) {
    if (strncmp(at, name, name_length) == 0 && at[name_length] == '=') {
      if (found) return -1;
      found = at + name_length + 1;
    }
    at = strchr(at, '&');
    if (at) at++;
  }
  return found ? percent_decode(found, strcspn(found, "&"), out, capacity) : -1;
}

bool sync_line_at(const uint8_t *s, size_t available) {
  size_t word = sizeof sync_word - 1;
  if (available < SYNC_LINE_BYTES || memcmp(s, sync_word, word) != 0) return false;
  for (size_t i = word; i < SYNC_LINE_BYTES - 1; i++)
    if (hex_value((char)s[i]) < 0) return false;
  return s[SYNC_LINE_BYTES - 1] == '\n';
}

long sync_line_find(const uint8_t *s, size_t length) {
  for (size_t i = 0; i + SYNC_LINE_BYTES <= length; i++)
    if (s[i] == 'B' && sync_line_at(s + i, length - i)) return (long)i;
  return -1;
}
