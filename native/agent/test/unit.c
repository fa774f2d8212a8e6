// Parsers and pure functions, each against what the protocol promises.
#include "../src/agent.h"
#include "../src/frames.h"
#include "../src/http.h"
#include "../src/identity.h"
#include "../src/json.h"
#include "../src/ports.h"
#include "../src/power.h"
#include "../src/readiness.h"
#include "../src/runit.h"
#include "../src/service.h"
#include "../src/systemd.h"
#include "check.h"
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

int check_failures, check_count;
// Of unit_keep.c.
void test_kept_files(void);
void test_troubles(void);
// Of unit_disks.c.
void test_disks(void);
// Of unit_login.c.
void test_sshd_configs(void);
void test_session_variables(void);
void test_locked_users(void);
// Of main.c, which is not part of this.
struct agent_shared *agent_shared;

static bool head_parses(const char *text, struct http_request *request) {
  static char head[LIMIT_HEAD_BYTES * 2];
  size_t n = strlen(text);
  memcpy(head, text, n + 1);
  return http_head_length((uint8_t *)head, n) == n && http_parse_head(head, n, request);
}

static void test_http_heads(void) {
  struct http_request r;
  CHECK(head_parses("GET /files?path=/a HTTP/1.1\r\nHost: x\r\nContent-Length: 12\r\n\r\n", &r));
  CHECK(strcmp(r.method, "GET") == 0 && strcmp(r.target, "/files") == 0 && strcmp(r.query, "path=/a") == 0);
  CHECK(r.content_length == 12);
  CHECK(head_parses("CONNECT ssh HTTP/1.1\r\n\r\n", &r) && r.content_length == 0);
  static const char *const refused[] = {
    "GET / HTTP/1.0\r\n\r\n",
    "GET  / HTTP/1.1\r\n\r\n",
    "get / HTTP/1.1\r\n\r\n",
    "GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
    "GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
    "GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
    "GET / HTTP/1.1\r\nContent-Length: 9999999999999999\r\n\r\n",
    "GET / HTTP/1.1\r\nA: b\r\n continued\r\n\r\n",
    "GET / HTTP/1.1\nA: b\r\n\r\n",
    "GET / HTTP/1.1\r\nA b\r\n\r\n",
    "GET / HTTP/1.1\r\n: b\r\n\r\n",
    "\r\n\r\n",
    "GET\r\n\r\n",
  };
  for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) CHECK(!head_parses(refused[i], &r));
}

static void test_queries(void) {
  struct http_request r = {.query = "path=%2Fa%20b%C3%A9&mode=0644&twice=1&twice=2&nul=%00&short=%4"};
  char out[32];
  CHECK(http_query(&r, "path", out, sizeof out) == 6 && strcmp(out, "/a b\xc3\xa9") == 0);
  CHECK(http_query(&r, "mode", out, sizeof out) == 4);
  CHECK(http_query(&r, "mode", out, 5) == 4 && http_query(&r, "mode", out, 4) == -1);
  CHECK(http_query(&r, "absent", out, sizeof out) == -1);
  CHECK(http_query(&r, "twice", out, sizeof out) == -1);
  CHECK(http_query(&r, "nul", out, sizeof out) == -1);
  CHECK(http_query(&r, "short", out, sizeof out) == -1);
}

static void test_sync_lines(void) {
  const uint8_t *line = (const uint8_t *)"xxBANGER-SYNC 0123456789abcdef\n";
  CHECK(sync_line_find(line, 31) == 2);
  CHECK(sync_line_find(line, 30) == -1);
  CHECK(sync_line_find((const uint8_t *)"BANGER-SYNC 0123456789abcdeg\n", 29) == -1);
}

static bool json_accepts(const char *text) {
  struct json_document d;
  char *copy = strdup(text);
  bool accepted = json_parse(copy, strlen(text), &d);
  json_free(&d);
  free(copy);
  return accepted;
}

static void test_json(void) {
  static const char *const accepted[] = {"{}", " [1,-0.5e+3,true,false,null,\"\"] ", "\"\\u00e9\\ud83d\\ude00\\n\"", "0",
                                         "[[[[[[[[1]]]]]]]]", "{\"a\":{\"b\":[]}}"};
  static const char *const refused[] = {"", "{", "[1,]", "{\"a\"}", "{a:1}", "01", "1.", "+1", "1e999", "nul", "\"\x01\"",
                                        "\"\\u0000\"", "\"\\ud800\"", "\"\\udc00\"", "\"\xc0\xaf\"", "\"\xed\xa0\x80\"", "\"\\x\"",
                                        "[1] 2", "[[[[[[[[[1]]]]]]]]]", "\"a", "{\"a\":1,}"};
  for (size_t i = 0; i < sizeof accepted / sizeof *accepted; i++) CHECK(json_accepts(accepted[i]));
  for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) CHECK(!json_accepts(refused[i]));
  char text[] = "{\"a\":\"x\\u00e9\",\"n\":42,\"f\":1.5}";
  struct json_document d;
  int64_t value = 0;
  static const char *const all[] = {"a", "n", "f", NULL}, *const some[] = {"a", "n", NULL};
  CHECK(json_parse(text, strlen(text), &d));
  CHECK(strcmp(json_member(d.root, "a")->string, "x\xc3\xa9") == 0);
  CHECK(json_whole(json_member(d.root, "n"), 0, 42, &value) && value == 42);
  CHECK(!json_whole(json_member(d.root, "n"), 0, 41, &value) && !json_whole(json_member(d.root, "f"), 0, 9, &value));
  CHECK(json_only_members(d.root, all) && !json_only_members(d.root, some));
  json_free(&d);
}

static void test_json_value_limit(void) {
  size_t n = LIMIT_JSON_VALUES * 2 + 3;
  char *text = malloc(n + 1);
  struct json_document d;
  for (size_t i = 0; i < n; i++) text[i] = i % 2 ? '0' : ',';
  text[0] = '[';
  text[n - 1] = ']';
  text[n] = 0;
  CHECK(!json_parse(text, n, &d));
  json_free(&d);
  free(text);
}

static void test_json_strings(void) {
  struct buffer b;
  buffer_init(&b, 256);
  json_put_string(&b, "a\"\\\n\xff\xc3\xa9", 7, 256);
  CHECK(strcmp(buffer_text(&b), "\"a\\\"\\\\\\u000a\xef\xbf\xbd\xc3\xa9\"") == 0);
  buffer_clear(&b);
  // A sequence is never cut in the middle.
  json_put_string(&b, "ab\xc3\xa9", 4, 3);
  CHECK(strcmp(buffer_text(&b), "\"ab\"") == 0);
  buffer_free(&b);
}

static void test_frames(void) {
  struct buffer in;
  struct frame_reader reader = {0};
  struct frame f;
  buffer_init(&in, 1024);
  CHECK(frame_next(&reader, &in, 100, &f) == FRAME_NEED_MORE);
  buffer_append(&in, "\0\0\0\5hello\4\0\0\1\2", 14);
  CHECK(frame_next(&reader, &in, 3, &f) == FRAME_READY && f.length == 3 && memcmp(f.payload, "hel", 3) == 0);
  CHECK(frame_next(&reader, &in, 0, &f) == FRAME_NEED_MORE);
  CHECK(frame_next(&reader, &in, 100, &f) == FRAME_READY && f.length == 2);
  CHECK(frame_next(&reader, &in, 0, &f) == FRAME_READY && f.type == FRAME_SIGNAL && f.payload[0] == 2);
  static const char bad[][5] = {"\7\0\0\0", "\0\1\0\0", "\6\0\0\1", "\3\0\0\3", "\1\0\0\0", "\5\0\0\4", "BANG"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    buffer_clear(&in);
    buffer_append(&in, bad[i], 4);
    CHECK(frame_next(&reader, &in, 100, &f) == FRAME_BAD && buffer_length(&in) == 4);
  }
  buffer_free(&in);
  buffer_init(&in, 10);
  CHECK(!frame_put(&in, FRAME_DATA, "1234567", 7) && frame_put(&in, FRAME_DATA, "123456", 6));
  CHECK(memcmp(buffer_bytes(&in), "\0\0\0\6" "123456", 10) == 0);
  buffer_free(&in);
}

static void test_ports(void) {
  struct port_row row;
  CHECK(ports_parse_line("   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 12345 1 x",
                         false, &row));
  CHECK(strcmp(row.address, "127.0.0.1") == 0 && row.port == 8080 && row.inode == 12345 && !row.is_udp);
  CHECK(ports_parse_line("   1: 00000000000000000000000001000000:0035 00000000000000000000000000000000:0000 07 0:0 0:0 0 0 0 7 2",
                         true, &row));
  CHECK(strcmp(row.address, "::1") == 0 && row.port == 53 && row.is_udp);
  CHECK(!ports_parse_line("   0: 0100007F:1F90 0100007F:0050 01 0:0 0:0 0 0 0 7 2", false, &row));
  CHECK(!ports_parse_line("  sl  local_address rem_address   st", false, &row));
  CHECK(!ports_parse_line("   0: 01X0007F:1F90 00000000:0000 0A 0:0 0:0 0 0 0 7 2", false, &row));
}

static bool block_becomes(const char *old, const char *lines, const char *wanted) {
  struct buffer out;
  buffer_init(&out, 4096);
  marked_block_replace(&out, old, strlen(old), lines, strlen(lines));
  bool same = buffer_length(&out) == strlen(wanted) && strcmp(buffer_text(&out), wanted) == 0;
  buffer_free(&out);
  return same;
}

#define BEGIN "# banger begin: lines up to the end mark are replaced at every start\n"
#define END "# banger end\n"

static void test_marked_blocks(void) {
  CHECK(block_becomes("", "k1\n", BEGIN "k1\n" END));
  CHECK(block_becomes("mine\n" BEGIN "old\n" END "also mine\n", "k2\n", "mine\nalso mine\n" BEGIN "k2\n" END));
  CHECK(block_becomes("no newline", "k\n", "no newline\n" BEGIN "k\n" END));
  CHECK(block_becomes(BEGIN "old\n\nmine\n", "k\n", "\nmine\n" BEGIN "k\n" END));
  CHECK(block_becomes("a\n" BEGIN "old\n" END, "", "a\n"));
}

static void test_base64(void) {
  uint8_t out[8];
  CHECK(base64_decode("aGk=", 4, out, sizeof out) == 2 && memcmp(out, "hi", 2) == 0);
  CHECK(base64_decode("aGkhaGkh", 8, out, sizeof out) == 6 && base64_decode("", 0, out, sizeof out) == 0);
  CHECK(base64_decode("aGk", 3, out, sizeof out) == -1 && base64_decode("a=k=", 4, out, sizeof out) == -1);
  CHECK(base64_decode("====", 4, out, sizeof out) == -1 && base64_decode("aGk!", 4, out, sizeof out) == -1);
  CHECK(base64_decode("aGkhaGkhaGkh", 12, out, sizeof out) == -1);
}

static void test_systemd_messages(void) {
  uint8_t call[512], reply[64] = {'l', 2, 1, 1, 16, 0, 0, 0, 9, 0, 0, 0, 8, 0, 0, 0, 5, 1, 'u', 0, 1, 0, 0, 0, 1, 's', 0, 0, 7};
  char word[32];
  size_t n = systemd_state_call(call, sizeof call);
  // The lengths in the header describe exactly what follows it.
  CHECK(n > 0 && (16 + (call[12] | (size_t)call[13] << 8) + 7) / 8 * 8 + call[4] == n);
  CHECK(systemd_state_call(call, n - 1) == 0);
  memcpy(reply + 32, "running", 8);
  CHECK(systemd_state_reply(reply, 40, word, sizeof word) == 1 && strcmp(word, "running") == 0);
  CHECK(systemd_state_reply(reply, 39, word, sizeof word) == 0 && systemd_state_reply(reply, 40, word, 7) == -1);
  // Signals that come first are skipped.
  uint8_t both[56] = {'l', 4, 1, 1, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0};
  memcpy(both + 16, reply, 40);
  CHECK(systemd_state_reply(both, 56, word, sizeof word) == 1 && systemd_state_reply(both, 16, word, sizeof word) == 0);
  reply[28] = 8;
  CHECK(systemd_state_reply(reply, 40, word, sizeof word) == -1);
  reply[1] = 3;
  CHECK(systemd_state_reply(reply, 40, word, sizeof word) == -1);
}

// A process that comes to look for a signal, after the other end has been closed.
static pid_t start_listener(int signal, int gate[2]) {
  char byte;
  sigset_t set;
  CHECK(pipe(gate) == 0);
  pid_t pid = fork();
  if (pid != 0) return pid;
  close(gate[1]);
  if (read(gate[0], &byte, 1) != 0) _exit(1);
  sigemptyset(&set);
  sigaddset(&set, signal);
  sigprocmask(SIG_BLOCK, &set, NULL);
  for (;;) pause();
}

static void test_systemd_signals(void) {
  int gate[2], signal = SIGRTMIN + 1;
  pid_t pid = start_listener(signal, gate);
  CHECK(pid > 0 && !systemd_await_signal(pid, signal, 50));
  close(gate[1]);
  CHECK(systemd_await_signal(pid, signal, 20000) && !systemd_await_signal(pid, signal - 1, 0));
  kill(pid, SIGKILL);
  CHECK(waitpid(pid, NULL, 0) == pid && !systemd_await_signal(pid, signal, 20000));
  close(gate[0]);
}

// The word is with the host when the host has answered; a silent one is not waited for longer than said.
static void test_last_word(void) {
  int ends[2];
  char heard[32] = "";
  CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) == 0);
  CHECK(write(ends[1], "ok\n", 3) == 3 && power_say(ends[0], "poweroff\n", 1000));
  CHECK(read(ends[1], heard, sizeof heard) == 9 && strcmp(heard, "poweroff\n") == 0);
  close(ends[0]);
  close(ends[1]);
  CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) == 0);
  int64_t before = monotonic_ms();
  CHECK(!power_say(ends[0], "reboot\n", 50) && monotonic_ms() - before >= 50 && monotonic_ms() - before < 1000);
  close(ends[1]);
  CHECK(!power_say(ends[0], "reboot\n", 1000));
  close(ends[0]);
}

static void test_end_hook(void) {
  char root[] = "/tmp/banger-hook-XXXXXX", path[128];
  struct stat made, self;
  CHECK(mkdtemp(root) != NULL);
  CHECK(!power_install_hook("/proc/self/exe", root));
  snprintf(path, sizeof path, "%s/run", root);
  CHECK(mkdir(path, 0755) == 0 && power_install_hook("/proc/self/exe", root) && power_install_hook("/proc/self/exe", root));
  snprintf(path, sizeof path, "%s/run/initramfs/shutdown", root);
  CHECK(stat(path, &made) == 0 && stat("/proc/self/exe", &self) == 0);
  CHECK(made.st_size == self.st_size && (made.st_mode & 0777) == 0700 && unlink(path) == 0);
  for (char *end; (end = strrchr(path, '/')) && strlen(path) > strlen(root);) {
    *end = 0;
    CHECK(rmdir(path) == 0);
  }
}

static bool service_goes_through(const char *text, struct service *service, char *record, size_t capacity) {
  struct json_document d;
  struct buffer encoded;
  char copy[1024];
  snprintf(copy, sizeof copy, "%s", text);
  bool is_right = json_parse(copy, strlen(copy), &d);
  if (is_right) is_right = service_check(d.root);
  buffer_init(&encoded, SERVICE_MAX_BYTES);
  if (is_right && d.root->type == JSON_OBJECT) {
    service_encode(d.root, &encoded);
    size_t length = buffer_length(&encoded);
    is_right = length <= capacity;
    if (is_right) memcpy(record, buffer_bytes(&encoded), length);
    is_right = is_right && service_decode(record, length, service);
  }
  buffer_free(&encoded);
  json_free(&d);
  return is_right;
}

static void test_services(void) {
  static struct service s;
  static char record[2048];
  CHECK(service_goes_through("{\"argv\":[\"/bin/serve\",\"a b\",\"\"],\"env\":{\"A\":\"b=c\"},\"user\":\"1000:10\",\"directory\":\"/srv\"}",
                             &s, record, sizeof record));
  CHECK(strcmp(s.argv[0], "/bin/serve") == 0 && strcmp(s.argv[1], "a b") == 0 && strcmp(s.argv[2], "") == 0 && !s.argv[3]);
  CHECK(strcmp(s.environment[0], "A=b=c") == 0 && !s.environment[1]);
  CHECK(strcmp(s.user, "1000:10") == 0 && strcmp(s.directory, "/srv") == 0 && s.stop_signal == SIGTERM);
  CHECK(service_goes_through("{\"argv\":[\"x\"],\"env\":{},\"user\":null,\"directory\":null,\"stopSignal\":37}", &s, record, sizeof record));
  CHECK(s.stop_signal == 37 && strcmp(s.argv[0], "x") == 0 && !s.argv[1]);
  CHECK(service_goes_through("{\"argv\":[\"x\"],\"env\":{},\"user\":null,\"directory\":null}", &s, record, sizeof record));
  CHECK(!s.user && !s.directory && !s.environment[0]);
  CHECK(service_goes_through("null", &s, record, sizeof record));
  static const char *const refused[] = {
    "{\"argv\":[],\"env\":{},\"user\":null,\"directory\":null}",
    "{\"argv\":[\"x\"],\"env\":{},\"user\":null}",
    "{\"argv\":[1],\"env\":{},\"user\":null,\"directory\":null}",
    "{\"argv\":[\"x\"],\"env\":{\"A=B\":\"c\"},\"user\":null,\"directory\":null}",
    "{\"argv\":[\"x\"],\"env\":{},\"user\":\"\",\"directory\":null}",
    "{\"argv\":[\"x\"],\"env\":{},\"user\":null,\"directory\":\"srv\"}",
    "{\"argv\":[\"x\"],\"env\":{},\"user\":null,\"directory\":null,\"more\":1}",
    "{\"argv\":[\"x\"],\"env\":{},\"user\":null,\"directory\":null,\"stopSignal\":65}",
    "{\"argv\":[\"x\"],\"env\":{},\"user\":null,\"directory\":null,\"stopSignal\":\"TERM\"}",
    "\"x\"",
  };
  for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
    CHECK(!service_goes_through(refused[i], &s, record, sizeof record));
  char broken[] = "ax", unknown[] = "zx", nothing[] = "u0";
  CHECK(!service_decode(broken, 2, &s) && !service_decode(unknown, 3, &s) && !service_decode(nothing, 3, &s));
  CHECK(!service_decode(broken, 0, &s));
}

static int stage_of(const char *stat, const char *cmdline, size_t size) { return runit_stage_of(stat, cmdline, size - 1); }
#define STAGE_OF(stat, cmdline) stage_of(stat, cmdline, sizeof cmdline)

static void test_runit_stages(void) {
  CHECK(STAGE_OF("9 (1) S 1 9 9 0", "/bin/sh\0/etc/runit/1\0") == 1);
  CHECK(STAGE_OF("9 (2) S 1 9 9 0", "/bin/sh\0-e\0/etc/runit/2\0") == 2);
  CHECK(STAGE_OF("9 (runsvdir) S 1 9 9 0", "runsvdir\0-P\0/etc/service\0") == 2);
  CHECK(STAGE_OF("9 (3) S 1 9 9 0", "/etc/runit/3\0") == 3);
  // A user's own services, other scripts, names made to look like the rest of the line, and processes without a command.
  CHECK(STAGE_OF("9 (runsvdir) S 7 9 9 0", "runsvdir\0/home/me/service\0") == 0);
  CHECK(STAGE_OF("9 (a) S 1 (b) S 7 9", "/etc/runit/3\0") == 0);
  CHECK(STAGE_OF("9 (10) S 1 9 9 0", "/bin/sh\0/etc/runit/10\0/etc/runit/\0/etc/runit/4\0") == 0);
  CHECK(STAGE_OF("9 (sh) S 1 9 9 0", "") == 0 && STAGE_OF("", "/etc/runit/1\0") == 0);
}

static bool asks(const char *word, const char *next) {
  return readiness_asks_systemd((char *[]){(char *)word, (char *)next, NULL});
}

static void test_commands_of_systemd(void) {
  CHECK(asks("systemctl", "status") && asks("/usr/bin/systemctl", NULL) && asks("sh", "sleep 1;systemctl status x|head"));
  CHECK(asks("sudo", "service") && asks("bash", "(loginctl)\n"));
  CHECK(!asks("true", NULL) && !asks("sh", "my-service start; systemctld; services") && !asks("journalctl", "-b"));
}

int main(void) {
  test_http_heads();
  test_queries();
  test_sync_lines();
  test_json();
  test_json_value_limit();
  test_json_strings();
  test_frames();
  test_ports();
  test_marked_blocks();
  test_base64();
  test_systemd_messages();
  test_systemd_signals();
  test_last_word();
  test_end_hook();
  test_services();
  test_runit_stages();
  test_sshd_configs();
  test_session_variables();
  test_locked_users();
  test_kept_files();
  test_disks();
  test_troubles();
  test_commands_of_systemd();
  printf("unit: %d checks, %d failed\n", check_count, check_failures);
  return check_failures != 0;
}
