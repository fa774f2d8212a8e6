#include "copy.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

static void decode(char *text) {
  char *out = text;
  for (const char *at = text; *at; at++) {
    int high = *at == '%' ? hex_value(at[1]) : -1, low = high < 0 ? -1 : hex_value(at[2]);
    if (low < 0) *out++ = *at;
    else {
      *out++ = (char)(high << 4 | low);
      at += 2;
    }
  }
  *out = 0;
}

static const char *value_of(int argc, char **argv, const char *option) {
  size_t n = strlen(option);
  for (int i = 0; i < argc; i++) {
    if (strncmp(argv[i], option, n) != 0 || argv[i][n] != '=') continue;
    decode(argv[i] + n + 1);
    return argv[i] + n + 1;
  }
  return NULL;
}

static bool has(int argc, char **argv, const char *option) {
  for (int i = 0; i < argc; i++)
    if (strcmp(argv[i], option) == 0) return true;
  return false;
}

// copy send --from=PATH --name=NAME | copy send --stdin
// copy receive --to=PATH --name=NAME [--beneath] [--owners] | copy receive --stdout
int copy_main(int argc, char **argv) {
  const char *verb = argc > 0 ? argv[0] : "", *name = value_of(argc, argv, "--name");
  const char *from = value_of(argc, argv, "--from"), *to = value_of(argc, argv, "--to");
  if (strcmp(verb, "send") == 0 && has(argc, argv, "--stdin")) copy_send_stdin();
  else if (strcmp(verb, "send") == 0 && from) copy_send(from, name ? name : "");
  else if (strcmp(verb, "receive") == 0 && (to || has(argc, argv, "--stdout"))) {
    const struct copy_receive_options options = {
      .target = to,
      .name = name ? name : "",
      .is_beneath = has(argc, argv, "--beneath"),
      .keeps_owners = has(argc, argv, "--owners"),
      .to_stdout = !to,
    };
    copy_receive(&options);
  } else copy_fail_plainly("wrong use of the copy program", -EINVAL);
  return 0;
}
