#include "json.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct parser {
  char *at, *end;
  struct json_document *document;
};

size_t utf8_sequence(const uint8_t *s, size_t available) {
  if (available == 0) return 0;
  if (s[0] < 0x80) return 1;
  size_t n = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
  if (s[0] < 0xc2 || s[0] > 0xf4 || available < n) return 0;
  for (size_t i = 1; i < n; i++)
    if ((s[i] & 0xc0) != 0x80) return 0;
  if (s[0] == 0xe0 && s[1] < 0xa0) return 0;
  if (s[0] == 0xed && s[1] > 0x9f) return 0;
  if (s[0] == 0xf0 && s[1] < 0x90) return 0;
  if (s[0] == 0xf4 && s[1] > 0x8f) return 0;
  return n;
}

static void skip_space(struct parser *p) {
  while (p->at < p->end && (*p->at == ' ' || *p->at == '\t' || *p->at == '\n' || *p->at == '\r')) p->at++;
}

static struct json_node *new_node(struct parser *p, enum json_type type) {
  struct json_document *d = p->document;
  if (d->count == d->capacity) return NULL;
  struct json_node *node = &d->nodes[d->count++];
  memset(node, 0, sizeof *node);
  node->type = type;
  return node;
}

static bool read_hex4(struct parser *p, unsigned *value) {
  if (p->end - p->at < 4) return false;
  *value = 0;
  for (int i = 0; i < 4; i++) {
    char c = *p->at++;
    unsigned digit = c >= '0' && c <= '9'   ? (unsigned)(c - '0')
                     : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a' + 10)
                     : c >= 'A' && c <= 'F' ? (unsigned)(c - 'A' + 10)
                                            : 16;
    if (digit == 16) return false;
    *value = *value << 4 | digit;
  }
  return true;
}

static char *put_utf8(char *out, unsigned c) {
  if (c < 0x80) {
    *out++ = (char)c;
  } else if (c < 0x800) {
    *out++ = (char)(0xc0 | c >> 6);
    *out++ = (char)(0x80 | (c & 0x3f));
  } else if (c < 0x10000) {
    *out++ = (char)(0xe0 | c >> 12);
    *out++ = (char)(0x80 | (c >> 6 & 0x3f));
    *out++ = (char)(0x80 | (c & 0x3f));
  } else {
    *out++ = (char)(0xf0 | c >> 18);
    *out++ = (char)(0x80 | (c >> 12 & 0x3f));
    *out++ = (char)(0x80 | (c >> 6 & 0x3f));
    *out++ = (char)(0x80 | (c & 0x3f));
  }
  return out;
}

// An escape is never shorter than its decoded form, so decoding in place never overtakes reading.
static char *read_escape(struct parser *p, char *out) {
  static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
  if (p->at >= p->end) return NULL;
  char c = *p->at++;
  if (c != 'u') {
    const char *found = c ? strchr(names, c) : NULL;
    if (!found) return NULL;
    *out++ = values[found - names];
    return out;
  }
  unsigned code, low;
  if (!read_hex4(p, &code) || code == 0) return NULL;
  if (code >= 0xdc00 && code <= 0xdfff) return NULL;
  if (code >= 0xd800 && code <= 0xdbff) {
    if (p->end - p->at < 6 || p->at[0] != '\\' || p->at[1] != 'u') return NULL;
    p->at += 2;
    if (!read_hex4(p, &low) || low < 0xdc00 || low > 0xdfff) return NULL;
    code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
  }
  return put_utf8(out, code);
}

static bool read_string(struct parser *p, const char **string, size_t *length) {
  if (p->at >= p->end || *p->at != '"') return false;
  char *start = ++p->at, *out = start;
  while (p->at < p->end) {
    uint8_t c = (uint8_t)*p->at;
    if (c == '"') {
      p->at++;
      *out = 0;
      *string = start;
      *length = (size_t)(out - start);
      return true;
    }
    if (c < 0x20) return false;
    if (c == '\\') {
      p->at++;
      if (!(out = read_escape(p, out))) return false;
      continue;
    }
    size_t n = utf8_sequence((uint8_t *)p->at, (size_t)(p->end - p->at));
    if (n == 0) return false;
    memmove(out, p->at, n);
    out += n;
    p->at += n;
  }
  return false;
}

static bool digits(struct parser *p) {
  char *start = p->at;
  while (p->at < p->end && *p->at >= '0' && *p->at <= '9') p->at++;
  return p->at > start;
}

static struct json_node *read_number(struct parser *p) {
  char *start = p->at, text[64];
  if (p->at < p->end && *p->at == '-') p->at++;
  if (p->at < p->end && *p->at == '0') p->at++;
  else if (!digits(p)) return NULL;
  if (p->at < p->end && *p->at == '.') {
    p->at++;
    if (!digits(p)) return NULL;
  }
  if (p->at < p->end && (*p->at == 'e' || *p->at == 'E')) {
    p->at++;
    if (p->at < p->end && (*p->at == '+' || *p->at == '-')) p->at++;
    if (!digits(p)) return NULL;
  }
  size_t length = (size_t)(p->at - start);
  if (length >= sizeof text) return NULL;
  memcpy(text, start, length);
  text[length] = 0;
  struct json_node *node = new_node(p, JSON_NUMBER);
  if (!node) return NULL;
  node->number = strtod(text, NULL);
  return isfinite(node->number) ? node : NULL;
}

static bool read_word(struct parser *p, const char *word) {
  size_t n = strlen(word);
  if ((size_t)(p->end - p->at) < n || memcmp(p->at, word, n) != 0) return false;
  p->at += n;
  return true;
}

static struct json_node *read_value(struct parser *p, int depth);

static struct json_node *read_container(struct parser *p, int depth, bool is_object) {
  struct json_node *node = new_node(p, is_object ? JSON_OBJECT : JSON_ARRAY);
  if (!node || depth >= JSON_MAX_DEPTH) return NULL;
  struct json_node **tail = &node->child;
  char closing = is_object ? '}' : ']';
  p->at++;
  skip_space(p);
  if (p->at < p->end && *p->at == closing) {
    p->at++;
    return node;
  }
  for (;;) {
    const char *key = NULL;
    size_t key_length;
    skip_space(p);
    if (is_object) {
      if (!read_string(p, &key, &key_length)) return NULL;
      skip_space(p);
      if (p->at >= p->end || *p->at++ != ':') return NULL;
    }
    struct json_node *child = read_value(p, depth + 1);
    if (!child) return NULL;
    child->key = key;
    *tail = child;
    tail = &child->next;
    skip_space(p);
    if (p->at >= p->end) return NULL;
    char c = *p->at++;
    if (c == closing) return node;
    if (c != ',') return NULL;
  }
}

static struct json_node *read_value(struct parser *p, int depth) {
  skip_space(p);
  if (p->at >= p->end) return NULL;
  struct json_node *node = NULL;
  switch (*p->at) {
    case '{': return read_container(p, depth, true);
    case '[': return read_container(p, depth, false);
    case '"':
      node = new_node(p, JSON_STRING);
      return node && read_string(p, &node->string, &node->length) ? node : NULL;
    case 't':
    case 'f':
      node = new_node(p, JSON_BOOL);
      if (!node) return NULL;
      node->boolean = *p->at == 't';
      return read_word(p, node->boolean ? "true" : "false") ? node : NULL;
    case 'n': return read_word(p, "null") ? new_node(p, JSON_NULL) : NULL;
    default: return read_number(p);
  }
}

bool json_parse(char *text, size_t length, struct json_document *document) {
  memset(document, 0, sizeof *document);
  // A value takes at least two bytes with its separator, which bounds the table by the size of the text.
  document->capacity = length / 2 + 1 < LIMIT_JSON_VALUES ? length / 2 + 1 : LIMIT_JSON_VALUES;
  document->nodes = malloc(document->capacity * sizeof *document->nodes);
  if (!document->nodes) return false;
  struct parser p = {.at = text, .end = text + length, .document = document};
  document->root = read_value(&p, 0);
  skip_space(&p);
  return document->root && p.at == p.end;
}

void json_free(struct json_document *document) {
  free(document->nodes);
  memset(document, 0, sizeof *document);
}

struct json_node *json_member(const struct json_node *object, const char *key) {
  if (object->type != JSON_OBJECT) return NULL;
  for (struct json_node *n = object->child; n; n = n->next)
    if (strcmp(n->key, key) == 0) return n;
  return NULL;
}

bool json_only_members(const struct json_node *object, const char *const *allowed) {
  unsigned seen = 0;
  for (struct json_node *n = object->child; n; n = n->next) {
    unsigned i = 0;
    while (allowed[i] && strcmp(allowed[i], n->key) != 0) i++;
    if (!allowed[i] || seen & 1u << i) return false;
    seen |= 1u << i;
  }
  return true;
}

bool json_whole(const struct json_node *node, int64_t minimum, int64_t maximum, int64_t *value) {
  if (!node || node->type != JSON_NUMBER || node->number != floor(node->number)) return false;
  if (node->number < (double)minimum || node->number > (double)maximum) return false;
  *value = (int64_t)node->number;
  return true;
}

void json_put_string(struct buffer *b, const char *text, size_t length, size_t limit_bytes) {
  buffer_puts(b, "\"");
  size_t written = 0;
  for (size_t i = 0; i < length;) {
    const uint8_t *s = (const uint8_t *)text + i;
    size_t n = utf8_sequence(s, length - i), cost = n ? n : 3;
    if (written + cost > limit_bytes) break;
    written += cost;
    if (n == 0) buffer_puts(b, "\xef\xbf\xbd");
    else if (*s == '"' || *s == '\\') buffer_printf(b, "\\%c", *s);
    else if (*s < 0x20 || *s == 0x7f) buffer_printf(b, "\\u%04x", *s);
    else buffer_append(b, s, n);
    i += n ? n : 1;
  }
  buffer_puts(b, "\"");
}
