// Does not use systemctl, which takes 0.9 s of CPU in an emulated guest (any program takes 0.2 s), and hosts ask repeatedly.
#include "systemd.h"
#include "agent.h"
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

// systemctl uses this socket, too; it needs neither the bus daemon nor a Hello. Marshalling as in the D-Bus specification, "Message
// Protocol": little-endian, values aligned to their size, structs to 8.
#define ANSWER_LIMIT_MS 500
#define RECEIVED_MAX_BYTES (64 * 1024)
#define TYPE_METHOD_RETURN 2
#define TYPE_SIGNAL 4

/** Whether one of the masks of proc(5) contains it; -1 if there is no such process. */
static int is_signal_awaited(const char *path, int signal) {
  char line[256];
  uint64_t mask, masks = 0;
  FILE *file = fopen(path, "re");
  if (!file) return -1;
  while (fgets(line, sizeof line, file))
    if (sscanf(line, "SigBlk: %" SCNx64, &mask) == 1 || sscanf(line, "SigCgt: %" SCNx64, &mask) == 1) masks |= mask;
  fclose(file);
  return masks >> (signal - 1) & 1;
}

bool systemd_await_signal(pid_t pid, int signal, int limit_ms) {
  char path[32];
  int64_t until_ms = monotonic_ms() + limit_ms;
  snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
  for (;;) {
    int is_awaited = is_signal_awaited(path, signal);
    if (is_awaited != 0 || monotonic_ms() >= until_ms) return is_awaited == 1;
    // No event reports a change of the mask.
    sleep_ms(20);
  }
}

struct writer {
  uint8_t *bytes;
  size_t length, capacity;
};

static void put_byte(struct writer *w, uint8_t value) {
  if (w->length < w->capacity) w->bytes[w->length] = value;
  w->length++;
}

static void align(struct writer *w, size_t to) {
  while (w->length % to) put_byte(w, 0);
}

static void put_u32(struct writer *w, uint32_t value) {
  align(w, 4);
  for (int shift = 0; shift < 32; shift += 8) put_byte(w, (uint8_t)(value >> shift));
}

static void put_string(struct writer *w, const char *text) {
  put_u32(w, (uint32_t)strlen(text));
  for (; *text; text++) put_byte(w, (uint8_t)*text);
  put_byte(w, 0);
}

static void put_field(struct writer *w, uint8_t code, char type, const char *text) {
  align(w, 8);
  put_byte(w, code);
  put_byte(w, 1);
  put_byte(w, (uint8_t)type);
  put_byte(w, 0);
  if (type != 'g') {
    put_string(w, text);
    return;
  }
  put_byte(w, (uint8_t)strlen(text));
  for (; *text; text++) put_byte(w, (uint8_t)*text);
  put_byte(w, 0);
}

static void patch_u32(uint8_t *at, size_t value) {
  for (int i = 0; i < 4; i++) at[i] = (uint8_t)(value >> (8 * i));
}

size_t systemd_state_call(uint8_t *message, size_t capacity) {
  struct writer w = {.bytes = message, .capacity = capacity};
  const uint8_t start[4] = {'l', 1, 0, 1};
  for (int i = 0; i < 4; i++) put_byte(&w, start[i]);
  put_u32(&w, 0);
  put_u32(&w, 1);
  put_u32(&w, 0);
  put_field(&w, 1, 'o', "/org/freedesktop/systemd1");
  put_field(&w, 2, 's', "org.freedesktop.DBus.Properties");
  put_field(&w, 3, 's', "Get");
  put_field(&w, 6, 's', "org.freedesktop.systemd1");
  put_field(&w, 8, 'g', "ss");
  size_t fields_end = w.length;
  align(&w, 8);
  size_t body = w.length;
  put_string(&w, "org.freedesktop.systemd1.Manager");
  put_string(&w, "SystemState");
  if (w.length > capacity) return 0;
  patch_u32(message + 4, w.length - body);
  patch_u32(message + 12, fields_end - 16);
  return w.length;
}

static size_t read_u32(const uint8_t *at) {
  return (size_t)at[0] | (size_t)at[1] << 8 | (size_t)at[2] << 16 | (size_t)at[3] << 24;
}

static int read_variant_string(const uint8_t *body, size_t body_length, char *word, size_t capacity) {
  // Signature "s", padding, length, text.
  if (body_length < 9 || memcmp(body, "\1s\0\0", 4) != 0) return -1;
  size_t n = read_u32(body + 4);
  if (n > body_length - 9 || n >= capacity) return -1;
  memcpy(word, body + 8, n);
  word[n] = 0;
  return 1;
}

int systemd_state_reply(const uint8_t *bytes, size_t length, char *word, size_t capacity) {
  while (length >= 16) {
    size_t body_length = read_u32(bytes + 4), fields = read_u32(bytes + 12);
    if (bytes[0] != 'l' || fields > RECEIVED_MAX_BYTES || body_length > RECEIVED_MAX_BYTES) return -1;
    size_t body = (16 + fields + 7) / 8 * 8;
    if (length < body + body_length) return 0;
    if (bytes[1] == TYPE_METHOD_RETURN) return read_variant_string(bytes + body, body_length, word, capacity);
    // Every client of this socket also gets all D-Bus signals, and there are many while the image boots.
    if (bytes[1] != TYPE_SIGNAL) return -1;
    bytes += body + body_length;
    length -= body + body_length;
  }
  return 0;
}

static size_t read_some(int fd, uint8_t *bytes, size_t capacity, int64_t until_ms) {
  int64_t left = until_ms - monotonic_ms();
  struct pollfd p = {.fd = fd, .events = POLLIN};
  if (left <= 0 || capacity == 0 || poll(&p, 1, (int)left) <= 0) return 0;
  ssize_t n = read(fd, bytes, capacity);
  return n > 0 ? (size_t)n : 0;
}

// BEGIN goes out with AUTH: systemd treats data that it reads together with BEGIN as handled, and would ignore a call that follows too
// closely. 30 is the user id "0" in hex.
static bool log_in(int fd, int64_t until_ms) {
  static const char hello[] = "\0AUTH EXTERNAL 30\r\nBEGIN\r\n";
  char answer[256] = "";
  size_t length = 0;
  if (send(fd, hello, sizeof hello - 1, MSG_NOSIGNAL) != (ssize_t)sizeof hello - 1) return false;
  while (!strchr(answer, '\n')) {
    // Byte by byte: the first signals may follow the line directly.
    size_t got = read_some(fd, (uint8_t *)answer + length, length < sizeof answer - 1 ? 1 : 0, until_ms);
    if (got == 0) return false;
    length += got;
    answer[length] = 0;
  }
  return strncmp(answer, "OK ", 3) == 0;
}

static bool ask(int fd, char *word, size_t capacity) {
  struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = SYSTEMD_SOCKET};
  int64_t until_ms = monotonic_ms() + ANSWER_LIMIT_MS;
  static uint8_t reply[RECEIVED_MAX_BYTES];
  uint8_t message[512];
  size_t n = systemd_state_call(message, sizeof message), length = 0;
  if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0 || !log_in(fd, until_ms)) return false;
  if (send(fd, message, n, MSG_NOSIGNAL) != (ssize_t)n) return false;
  for (;;) {
    int result = systemd_state_reply(reply, length, word, capacity);
    if (result != 0) return result > 0;
    size_t got = read_some(fd, reply + length, sizeof reply - length, until_ms);
    if (got == 0) return false;
    length += got;
  }
}

bool systemd_state(char *word, size_t capacity) {
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return false;
  bool answered = ask(fd, word, capacity);
  close(fd);
  return answered;
}
