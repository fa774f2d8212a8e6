// bin/banger: puts the caller's settings of Bun and Node aside, sets one of banger's, and becomes the built CLI. Otherwise BUN_OPTIONS would
// add words to the command, and BUN_BE_BUN would make it another program.
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

// What Bun, its engine and its allocator, which ignores case, read of the environment.
static const char *const FOREIGN[] = {"BUN_", "NODE_", "UV_", "WTF_", "MIMALLOC_"};

// Under these names the CLI hands them on (src/client/launch.ts).
static const char PREFIX[] = "BANGER_CALLERS_";

// A thread that prepares memory ahead of need; a command is over before that pays. The CLI keeps it from other programs.
static char OWN_SETTING[] = "BUN_JSC_useWarmUpMarkedBlocks=0";

static int is_foreign(const char *variable) {
  for (size_t at = 0; at < sizeof FOREIGN / sizeof *FOREIGN; at++) {
    if (strncasecmp(variable, FOREIGN[at], strlen(FOREIGN[at])) == 0) return 1;
  }
  return 0;
}

static int put_aside(char **environment) {
  for (char **variable = environment; *variable != NULL; variable++) {
    if (!is_foreign(*variable)) continue;
    size_t length = strlen(*variable) + sizeof PREFIX;
    char *renamed = malloc(length);
    if (renamed == NULL) return -1;
    snprintf(renamed, length, "%s%s", PREFIX, *variable);
    *variable = renamed;
  }
  return 0;
}

// The file that runs, whatever links led to it, lies in bin/ beside dist/.
static int find_program(char program[PATH_MAX]) {
  char path[PATH_MAX];
  ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
  if (length < 0) return -1;
  path[length] = '\0';
  for (int parts = 0; parts < 2; parts++) {
    char *slash = strrchr(path, '/');
    if (slash != NULL) *slash = '\0';
  }
  if (snprintf(program, PATH_MAX, "%s/dist/banger", path) < PATH_MAX) return 0;
  errno = ENAMETOOLONG;
  return -1;
}

int main(int argc, char **argv) {
  (void)argc;
  char program[PATH_MAX];
  if (put_aside(environ) < 0 || putenv(OWN_SETTING) != 0 || find_program(program) < 0) {
    fprintf(stderr, "banger: cannot prepare its program: %s\n", strerror(errno));
    return 1;
  }
  execv(program, argv);
  if (errno == ENOENT) {
    fprintf(stderr,
            "banger: %s is missing: the program was not built. Run `make build` in the source checkout, or reinstall the package.\n",
            program);
  } else {
    fprintf(stderr, "banger: cannot run %s: %s\n", program, strerror(errno));
  }
  return 1;
}
