#include "banger-helper.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int steps;

void faults_begin(void) { steps = 0; }

int fault(const char *area) {
  char named[16] = "", ending[8] = "";
  int at = 0;
  const char *asked = getenv("BANGER_HELPER_FAULT");
  if (asked == NULL || sscanf(asked, "%15[a-z]:%d:%7s", named, &at, ending) < 2 || strcmp(named, area) != 0) return 0;
  if (++steps != at) return 0;
  if (strcmp(ending, "crash") == 0) _exit(99);
  errno = EIO;
  return -1;
}
