#include "names.h"
#include "common/constants.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define HEADER_BYTES 12
#define MAX_LABELS 128
#define LABEL_BYTES 63
#define TTL_SECONDS 5
#define TYPE_A 1
#define TYPE_PTR 12
#define TYPE_ANY 255
#define NO_SUCH_NAME 3

struct name {
  struct in_addr guest;
  char text[LABEL_BYTES + 1];
  struct name *next;
};

static struct name *names;

static struct name **named(const char *text, size_t length) {
  struct name **at = &names;
  while (*at != NULL && ((*at)->text[length] != '\0' || strncasecmp((*at)->text, text, length) != 0)) at = &(*at)->next;
  return at;
}

static struct name **of_guest(struct in_addr guest) {
  struct name **at = &names;
  while (*at != NULL && (*at)->guest.s_addr != guest.s_addr) at = &(*at)->next;
  return at;
}

int names_set(struct in_addr guest, const char *name) {
  size_t length = name == NULL ? 0 : strlen(name);
  struct name **at = of_guest(guest), *other = length == 0 || length > LABEL_BYTES ? NULL : *named(name, length);
  if (name != NULL && (length == 0 || length > LABEL_BYTES || strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") != length)) {
    errno = EINVAL;
    return -1;
  }
  if (other != NULL && other != *at) {
    errno = EEXIST;
    return -1;
  }
  if (name == NULL) {
    struct name *gone = *at;
    if (gone != NULL) *at = gone->next;
    free(gone);
    return 0;
  }
  if (*at == NULL && (*at = calloc(1, sizeof **at)) == NULL) return -1;
  (*at)->guest = guest;
  memcpy((*at)->text, name, length + 1);
  return 0;
}

// --- questions and answers (RFC 1035, 4.1) ---

struct label {
  const char *text;
  size_t length;
};

struct question {
  struct label labels[MAX_LABELS];
  size_t count;
  uint16_t type;
  // Including the header.
  size_t length;
};

static bool parse(const uint8_t *bytes, size_t length, struct question *out) {
  // One ordinary question; others go to the host's server.
  if (length < HEADER_BYTES || (bytes[2] & 0xf8) != 0 || bytes[4] != 0 || bytes[5] != 1) return false;
  size_t at = HEADER_BYTES;
  for (out->count = 0; at < length && bytes[at] != 0; out->count++) {
    size_t label = bytes[at];
    if (label > LABEL_BYTES || at + 1 + label >= length || out->count == MAX_LABELS) return false;
    out->labels[out->count] = (struct label){(const char *)bytes + at + 1, label};
    at += 1 + label;
  }
  if (at + 5 > length || at > 512) return false;
  out->type = (uint16_t)(bytes[at + 1] << 8 | bytes[at + 2]);
  out->length = at + 5;
  return true;
}

// `from_end`: 0 is the last label.
static bool label_is(const struct question *q, size_t from_end, const char *text) {
  if (from_end >= q->count) return false;
  const struct label *label = &q->labels[q->count - 1 - from_end];
  return label->length == strlen(text) && strncasecmp(label->text, text, label->length) == 0;
}

static int number_of(const struct question *q, size_t from_end) {
  char text[4] = "";
  const struct label *label = &q->labels[q->count - 1 - from_end];
  if (label->length > 3) return -1;
  memcpy(text, label->text, label->length);
  if (strspn(text, "0123456789") != label->length || label->length == 0) return -1;
  return atoi(text) <= 255 ? atoi(text) : -1;
}

static const char *const guest_octets[] = {GUEST_OCTETS}, *const loopback_octets[] = {LOOPBACK_OCTETS};

// Whether it asks for the name of an address with this prefix.
static bool is_reverse(const struct question *q, const char *const octets[2]) {
  return label_is(q, 0, "arpa") && label_is(q, 1, "in-addr") && label_is(q, 2, octets[0]) && label_is(q, 3, octets[1]);
}

static size_t put_record(uint8_t *at, uint16_t type, const void *data, size_t length) {
  // The name is that of the question, behind the header.
  const uint8_t head[] = {0xc0, HEADER_BYTES, 0, (uint8_t)type, 0, 1, 0, 0, 0, TTL_SECONDS, 0, (uint8_t)length};
  memcpy(at, head, sizeof head);
  memcpy(at + sizeof head, data, length);
  return sizeof head + length;
}

// A VM, or NULL; *is_ours tells whether the question is about VMs at all, *exists whether the name exists.
static const struct name *find(const struct question *q, bool *is_ours, bool *exists, bool *reverse) {
  const struct name *found = NULL;
  bool of_guest_network = is_reverse(q, guest_octets);
  *reverse = of_guest_network || is_reverse(q, loopback_octets);
  *is_ours = *reverse || label_is(q, 0, "vm");
  *exists = *is_ours && !*reverse && q->count == 1;
  if (of_guest_network && q->count == 6) {
    int high = number_of(q, 4), low = number_of(q, 5);
    struct in_addr guest = {.s_addr = htonl(GUEST_NETWORK | (unsigned)high << 8 | (unsigned)low)};
    if (high >= 0 && low >= 0) found = *of_guest(guest);
  } else if (*is_ours && !*reverse && q->count > 1) {
    const struct label *label = &q->labels[q->count - 2];
    found = *named(label->text, label->length);
  }
  *exists |= found != NULL;
  return found;
}

size_t names_answer(const uint8_t *bytes, size_t length, uint8_t answer[NAMES_ANSWER_BYTES]) {
  struct question q;
  bool is_ours, exists, reverse;
  if (!parse(bytes, length, &q)) return 0;
  const struct name *vm = find(&q, &is_ours, &exists, &reverse);
  if (!is_ours) return 0;
  memcpy(answer, bytes, q.length);
  size_t at = q.length, name = vm == NULL ? 0 : strlen(vm->text);
  bool has_record = vm != NULL && (q.type == (reverse ? TYPE_PTR : TYPE_A) || q.type == TYPE_ANY);
  if (has_record && reverse) {
    uint8_t target[LABEL_BYTES + 6] = {(uint8_t)name};
    memcpy(target + 1, vm->text, name);
    memcpy(target + 1 + name, "\2vm", 4);
    at += put_record(answer + at, TYPE_PTR, target, name + 5);
  } else if (has_record) {
    at += put_record(answer + at, TYPE_A, &vm->guest, sizeof vm->guest);
  }
  // An authoritative answer; copies "recursion desired" from the question, and sets "available".
  answer[2] = (uint8_t)(0x84 | (bytes[2] & 1));
  answer[3] = (uint8_t)(0x80 | (exists ? 0 : NO_SUCH_NAME));
  memset(answer + 6, 0, 6);
  answer[7] = has_record;
  return at;
}
