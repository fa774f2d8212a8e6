#include "runit.h"
#include "processes.h"
#include <stdio.h>
#include <string.h>

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

static bool look(pid_t pid, const char *stat, const char *cmdline, size_t length, void *stage) {
  (void)pid;
  *(int *)stage = runit_stage_of(stat, cmdline, length);
  return *(int *)stage == 0;
}

int runit_stage(void) {
  int stage = 0;
  processes_look(look, &stage);
  return stage;
}
