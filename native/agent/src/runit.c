#include "runit.h"
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STAGE_PREFIX "/etc/runit/"

int runit_stage_of(const char *stat, const char *cmdline, size_t length) {
  const char *after_name = strrchr(stat, ')');
  int parent;
  if (!after_name || sscanf(after_name, ") %*c %d", &parent) != 1 || parent != 1) return 0;
  // The script of the second stage ends by executing the program that supervises the services.
  if (strstr(stat, " (runsvdir) ")) return 2;
  for (const char *at = cmdline; at < cmdline + length; at += strlen(at) + 1) {
    const char *name = at + strlen(STAGE_PREFIX);
    if (strncmp(at, STAGE_PREFIX, strlen(STAGE_PREFIX)) == 0 && *name >= '1' && *name <= '3' && !name[1]) return *name - '0';
  }
  return 0;
}

static size_t read_whole(int process, const char *name, char *text, size_t capacity) {
  int fd = openat(process, name, O_RDONLY | O_CLOEXEC);
  ssize_t n = fd >= 0 ? read(fd, text, capacity - 1) : -1;
  if (fd >= 0) close(fd);
  text[n > 0 ? n : 0] = 0;
  return n > 0 ? (size_t)n : 0;
}

int runit_stage(void) {
  int stage = 0;
  DIR *processes = opendir("/proc");
  for (struct dirent *entry; processes && stage == 0 && (entry = readdir(processes));) {
    char stat[512], cmdline[512];
    int process = atoi(entry->d_name) > 1 ? openat(dirfd(processes), entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (process < 0) continue;
    read_whole(process, "stat", stat, sizeof stat);
    size_t length = read_whole(process, "cmdline", cmdline, sizeof cmdline);
    stage = runit_stage_of(stat, cmdline, length);
    close(process);
  }
  if (processes) closedir(processes);
  return stage;
}
