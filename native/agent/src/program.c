#include "program.h"
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool may_be_executed(const char *path) {
  struct stat s;
  return stat(path, &s) == 0 && S_ISREG(s.st_mode) && (s.st_mode & 0111);
}

/** Of `#!` and its line: the word that is a path. */
static int script_obstacle(char *line) {
  char *path = line + 2 + strspn(line + 2, " \t");
  path[strcspn(path, " \t\r\n")] = 0;
  return may_be_executed(path) ? 0 : ELIBACC;
}

/** What has no such entry needs no loader; of other machines' programs nothing is known here. */
static int loader_obstacle(int fd, const char *start, size_t length) {
  Elf64_Ehdr head;
  if (length < sizeof head) return ENOEXEC;
  memcpy(&head, start, sizeof head);
  if (head.e_ident[EI_CLASS] != ELFCLASS64 || head.e_phentsize != sizeof(Elf64_Phdr)) return 0;
  for (unsigned i = 0; i < head.e_phnum; i++) {
    Elf64_Phdr entry;
    char path[PATH_MAX] = "";
    off_t at = (off_t)head.e_phoff + (off_t)(i * sizeof entry);
    if (pread(fd, &entry, sizeof entry, at) != (ssize_t)sizeof entry) return ENOEXEC;
    if (entry.p_type != PT_INTERP) continue;
    if (entry.p_filesz >= sizeof path || pread(fd, path, entry.p_filesz, (off_t)entry.p_offset) < 0) return ENOEXEC;
    return may_be_executed(path) ? 0 : ELIBACC;
  }
  return 0;
}

int program_obstacle(const char *path) {
  char start[256] = "";
  int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC), error = 0;
  if (fd < 0) return errno;
  ssize_t n = read(fd, start, sizeof start - 1);
  if (!may_be_executed(path)) error = EACCES;
  else if (n >= 4 && memcmp(start, ELFMAG, SELFMAG) == 0) error = loader_obstacle(fd, start, (size_t)n);
  else if (n >= 4 && memcmp(start, "#!", 2) == 0) error = script_obstacle(start);
  else error = ENOEXEC;
  close(fd);
  return error;
}
