// What the guest's sshd is told, and who may log in (6.4).
#include "../src/buffer.h"
#include "../src/login.h"
#include "check.h"
#include <stdbool.h>
#include <string.h>

void test_sshd_configs(void);
void test_session_variables(void);
void test_locked_users(void);

static const char *adapted_with(const char *text, char *const *variables, size_t count) {
  static struct buffer out;
  buffer_free(&out);
  buffer_init(&out, 4096);
  login_sshd_config(&out, text, strlen(text), variables, count);
  return buffer_text(&out);
}

static const char *adapted(const char *text, const char *locale) {
  char variable[64];
  snprintf(variable, sizeof variable, "LANG=%s", locale);
  char *const variables[] = {variable};
  return adapted_with(text, variables, *locale ? 1 : 0);
}

#define KEYS "AuthorizedKeysFile .ssh/authorized_keys .ssh/authorized_keys2 " LOGIN_KEYS_PATH "\n"

void test_sshd_configs(void) {
  CHECK(strcmp(adapted("", ""), KEYS) == 0);
  CHECK(strcmp(adapted("UsePAM yes", "C.UTF-8"), "UsePAM yes\n" KEYS "SetEnv LANG=C.UTF-8\n") == 0);
  CHECK(strcmp(adapted("AcceptEnv LANG LC_*\n  acceptenv\tCOLORTERM  LANGUAGE NO_COLOR # x\n", ""),
               "AcceptEnv COLORTERM NO_COLOR\n" KEYS) == 0);
  CHECK(strcmp(adapted("AcceptEnv=LC_ALL X\r\nAcceptEnv *\nAcceptEnv", ""), "AcceptEnv X\n" KEYS) == 0);
  CHECK(strcmp(adapted("authorizedkeysfile  /keys/%u\n", ""), "authorizedkeysfile  /keys/%u " LOGIN_KEYS_PATH "\n") == 0);
  CHECK(strcmp(adapted("AuthorizedKeysFile none\n", ""), "AuthorizedKeysFile none\n") == 0);
  CHECK(strcmp(adapted(KEYS, ""), KEYS) == 0);
  CHECK(strcmp(adapted("SetEnv A=b\nSetEnv C=d\n", "x"), "SetEnv A=b LANG=x\nSetEnv C=d\n" KEYS) == 0);
  CHECK(strcmp(adapted("SetEnv LANG=de_DE.UTF-8\n", "x"), "SetEnv LANG=de_DE.UTF-8\n" KEYS) == 0);
  CHECK(strcmp(adapted("HostKey /etc/ssh/x\nhostkey=/y\nHostKeyAgent z\n", ""), "HostKeyAgent z\n" KEYS) == 0);
  // What comes behind a Match counts for some only.
  CHECK(strcmp(adapted("Match User git\nAuthorizedKeysFile none\nSetEnv A=b\n", "x"),
               KEYS "SetEnv LANG=x\nMatch User git\nAuthorizedKeysFile none\nSetEnv A=b\n") == 0);
  CHECK(strcmp(adapted("# AcceptEnv LANG\n\nInclude /etc/x\n", ""), "# AcceptEnv LANG\n\nInclude /etc/x\n" KEYS) == 0);
}

void test_session_variables(void) {
  static char *const variables[] = {"LANG=x", "https_proxy=http://p:3128", "NAMES=a b # c", "HOME=/x", "SSH_AUTH_SOCK=/x", "Q=\"", "B=\\",
                                    "E=", "LINE=a\tb", "A B=c", "=x", "discovery.type=one", "my-var=1"};
  const size_t count = sizeof variables / sizeof *variables;
  CHECK(strcmp(adapted_with("", variables, count), KEYS "SetEnv LANG=x https_proxy=http://p:3128 \"NAMES=a b # c\" E= discovery.type=one my-var=1\n") == 0);
  CHECK(strcmp(adapted_with("SetEnv NAMES=z OTHER_LANG=1\n", variables, count),
               "SetEnv NAMES=z OTHER_LANG=1 LANG=x https_proxy=http://p:3128 E= discovery.type=one my-var=1\n" KEYS) == 0);
  CHECK(strcmp(adapted_with("SetEnv \"LANG=a b\" E=1 https_proxy=\n", variables, 2), "SetEnv \"LANG=a b\" E=1 https_proxy=\n" KEYS) == 0);
  CHECK(strcmp(adapted_with("", variables + 3, 2), KEYS) == 0);
}

static bool is_person(const char *user) { return strcmp(user, "dev") == 0 || strcmp(user, "eve") == 0; }

static const char *unlocked(const char *text) {
  static struct buffer out;
  buffer_free(&out);
  buffer_init(&out, 4096);
  bool differs = login_unlock(&out, text, strlen(text), is_person);
  const char *result = buffer_text(&out);
  CHECK(differs == (strcmp(result, text) != 0));
  return result;
}

void test_locked_users(void) {
  CHECK(strcmp(unlocked("root:*:1:0:::\ndev:!:2:0:99999:7:::\neve:!!:3::::::\n"), "root:*:1:0:::\ndev:*:2:0:99999:7:::\neve:*:3::::::\n") == 0);
  CHECK(strcmp(unlocked("dev:!"), "dev:!") == 0);
  for (const char *const *kept = (const char *const[]){"dev:!$y$j9T$x:1:::::\n", "dev:!*:1:::::\n", "git:!:1:::::\n", "dev::1:::::\n",
                                                       "dev:$6$x:1:::::\n", ":!:1\n", "dev\n", "\n", "", NULL}; *kept; kept++)
    CHECK(strcmp(unlocked(*kept), *kept) == 0);
}
