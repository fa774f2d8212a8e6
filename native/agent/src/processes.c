#include "processes.h"
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

static size_t read_whole(int process, const char *name, char *text, size_t capacity) {
  int fd = openat(process, name, O_RDONLY | O_CLOEXEC);
  ssize_t n = fd >= 0 ? read(fd, text, capacity - 1) : -1;
  if (fd >= 0) close(fd);
  text[n > 0 ? n : 0] = 0;
  return n > 0 ? (size_t)n : 0;
}

void processes_look(process_look *look, void *result) {
  bool goes_on = true;
  DIR *processes = opendir("/proc");
  for (struct dirent *entry; processes && goes_on && (entry = readdir(processes));) {
    char stat[512], cmdline[512];
    int pid = atoi(entry->d_name);
    int process = pid > 1 ? openat(dirfd(processes), entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (process < 0) continue;
    read_whole(process, "stat", stat, sizeof stat);
    size_t length = read_whole(process, "cmdline", cmdline, sizeof cmdline);
    goes_on = look(pid, stat, cmdline, length, result);
    close(process);
  }
  if (processes) closedir(processes);
}
