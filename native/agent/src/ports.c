#include "ports.h"
#include "json.h"
#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TEXT_LIMIT_BYTES 256
#define TCP_LISTEN 0x0a
#define UDP_UNCONNECTED 0x07

// The kernel prints each 32-bit word of an address in the host's byte order.
static bool parse_address(const char *hex, size_t digits, char *text, size_t capacity) {
  uint32_t words[4];
  for (size_t i = 0; i < digits / 8; i++) {
    char word[9];
    memcpy(word, hex + i * 8, 8);
    word[8] = 0;
    if (strspn(word, "0123456789ABCDEFabcdef") != 8) return false;
    words[i] = (uint32_t)strtoul(word, NULL, 16);
  }
  return inet_ntop(digits == 8 ? AF_INET : AF_INET6, words, text, (socklen_t)capacity) != NULL;
}

bool ports_parse_line(const char *line, bool is_udp, struct port_row *row) {
  char local[64], remote[64];
  unsigned state, port;
  unsigned long inode;
  memset(row, 0, sizeof *row);
  if (sscanf(line, " %*31[0-9]: %63s %63s %x %*63s %*63s %*63s %*63s %*63s %lu", local, remote, &state, &inode) != 4)
    return false;
  if (state != (is_udp ? UDP_UNCONNECTED : TCP_LISTEN)) return false;
  char *colon = strchr(local, ':');
  if (!colon || (colon - local != 8 && colon - local != 32)) return false;
  if (sscanf(colon + 1, "%4x", &port) != 1 || port == 0 || port > 65535) return false;
  row->is_udp = is_udp;
  row->port = (uint16_t)port;
  row->inode = inode;
  return parse_address(local, (size_t)(colon - local), row->address, sizeof row->address);
}

static void read_table(struct port_table *table, const char *path, bool is_udp) {
  FILE *file = fopen(path, "re");
  char line[512];
  while (file && table->count < PORTS_MAX_ROWS && fgets(line, sizeof line, file))
    if (ports_parse_line(line, is_udp, &table->rows[table->count])) table->count++;
  if (file) fclose(file);
}

void ports_read(struct port_table *table) {
  memset(table, 0, sizeof *table);
  read_table(table, "/proc/self/net/tcp", false);
  read_table(table, "/proc/self/net/tcp6", false);
  read_table(table, "/proc/self/net/udp", true);
  read_table(table, "/proc/self/net/udp6", true);
}

static size_t match_inode(struct port_table *table, unsigned long inode, int pid) {
  size_t found = 0;
  for (size_t i = 0; i < table->count; i++) {
    // The oldest process comes first in /proc, and is the one that opened the socket.
    if (table->rows[i].inode != inode || table->rows[i].pid) continue;
    table->rows[i].pid = pid;
    found++;
  }
  return found;
}

static size_t scan_process(struct port_table *table, int pid) {
  char path[64], target[64];
  size_t found = 0;
  snprintf(path, sizeof path, "/proc/%d/fd", pid);
  DIR *directory = opendir(path);
  if (!directory) return 0;
  for (struct dirent *entry; (entry = readdir(directory));) {
    unsigned long inode;
    ssize_t n = readlinkat(dirfd(directory), entry->d_name, target, sizeof target - 1);
    if (n <= 0) continue;
    target[n] = 0;
    if (sscanf(target, "socket:[%lu]", &inode) == 1) found += match_inode(table, inode, pid);
  }
  closedir(directory);
  return found;
}

void ports_find_owners(struct port_table *table) {
  size_t missing = table->count;
  DIR *directory = missing ? opendir("/proc") : NULL;
  if (!directory) return;
  for (struct dirent *entry; missing > 0 && (entry = readdir(directory));) {
    int pid = atoi(entry->d_name);
    if (pid > 0) missing -= scan_process(table, pid);
  }
  closedir(directory);
}

// Reads /proc/PID/`name` as text: NUL bytes between arguments become spaces.
static size_t read_text(int pid, const char *name, char *text, size_t capacity) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
  int fd = pid > 0 ? open(path, O_RDONLY | O_CLOEXEC) : -1;
  if (fd < 0) return 0;
  ssize_t n = read(fd, text, capacity);
  close(fd);
  while (n > 0 && (text[n - 1] == 0 || text[n - 1] == '\n')) n--;
  for (ssize_t i = 0; i < n; i++)
    if (text[i] == 0) text[i] = ' ';
  return n > 0 ? (size_t)n : 0;
}

static void put_row(struct buffer *b, const struct port_row *row) {
  char text[TEXT_LIMIT_BYTES];
  size_t n = read_text(row->pid, "comm", text, sizeof text);
  buffer_printf(b, "{\"protocol\":\"%s\",\"address\":\"%s\",\"port\":%u,\"pid\":%d,\"process\":",
                row->is_udp ? "udp" : "tcp", row->address, row->port, row->pid);
  json_put_string(b, text, n, TEXT_LIMIT_BYTES);
  buffer_puts(b, ",\"command\":");
  n = read_text(row->pid, "cmdline", text, sizeof text);
  json_put_string(b, text, n, TEXT_LIMIT_BYTES);
  buffer_puts(b, "}");
}

void ports_put_json(struct buffer *b, const struct port_table *table, size_t limit_bytes) {
  struct buffer row;
  buffer_init(&row, 8192);
  buffer_puts(b, "{\"ports\":[");
  for (size_t i = 0; i < table->count; i++) {
    buffer_clear(&row);
    if (i > 0) buffer_puts(&row, ",");
    put_row(&row, &table->rows[i]);
    if (buffer_length(b) + buffer_length(&row) + 2 > limit_bytes) break;
    buffer_append(b, buffer_bytes(&row), buffer_length(&row));
  }
  buffer_puts(b, "]}");
  buffer_free(&row);
}
