// The worker over a socket pair, speaking the real protocol.
#include "protocol_client.h"
#include "protocol_restored.h"
#include "common/constants.h"
#include "check.h"
#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

int check_failures, check_count;

static struct client c;
static struct reply reply;
static struct outcome outcome;
static char directory[64];

static int request(const char *method, const char *target, const char *body) {
  return client_request(&c, method, target, body, strlen(body), &reply);
}

// Runs to EXIT, closes the session, and shows that the channel is in HTTP state again.
static int exec_with_input(const char *json, const char *input) {
  if (request("POST", "/exec", json) != 101) return -2;
  if (input) client_frame(&c, 0, input, strlen(input));
  client_frame(&c, 2, "", 0);
  client_outcome(&c, &outcome);
  client_frame(&c, 6, "", 0);
  CHECK(request("GET", "/healthz", "") == 200);
  return outcome.status;
}

static int exec_json(const char *json) { return exec_with_input(json, NULL); }

static void test_plain_requests(void) {
  double told_ms = 0;
  CHECK(client_sync(&c) && client_sync(&c));
  CHECK(request("GET", "/healthz", "") == 200 && strstr(reply.body, "\"phase\":\"running\""));
  CHECK(request("GET", "/info", "") == 200 && strstr(reply.body, "\"sessions\":0"));
  CHECK(request("GET", "/nothing", "") == 404 && strstr(reply.body, "\"errno\":0"));
  CHECK(request("POST", "/time", "{\"unixMs\":-1}") == 400);
  CHECK(request("POST", "/time", "{\"unixMs\":1,\"x\":1}") == 400);
  CHECK(request("POST", "/time", "{\"unixMs\":1,\"stepMs\":1}") == 400 && request("POST", "/time", "{}") == 400);
  CHECK(request("POST", "/time", "{\"slewMs\":1001}") == 400 && request("POST", "/time", "{\"stepMs\":\"1\"}") == 400);
  int64_t now_s = time(NULL);
  CHECK(request("GET", "/time", "") == 200 && sscanf(reply.body, "{\"unixMs\":%lf,\"synchronized\":", &told_ms) == 1);
  CHECK(told_ms >= now_s * 1000.0 - 1 && told_ms < now_s * 1000.0 + 20000);
  CHECK(request("POST", "/poweroff", "{\"reboot\":1}") == 400);
  CHECK(request("POST", "/personalize", "{\"surprise\":1}") == 400);
  const char *shared_mac = "{\"network\":{\"address\":\"10.0.0.2\",\"prefixLength\":8,\"macAddress\":\"03:62:67:00:00:02\"}}";
  CHECK(request("POST", "/personalize", shared_mac) == 400 && strstr(reply.body, "network"));
  CHECK(request("POST", "/personalize", "{\"restored\":1}") == 400 && strstr(reply.body, "restored"));
  CHECK(request("POST", "/personalize", "{\"hostname\":\"a b\"}") == 400 && strstr(reply.body, "hostname"));
  CHECK(request("POST", "/personalize", "{\"authorizedKeys\":[\"a\\nb\"]}") == 400);
  CHECK(request("POST", "/personalize", "{\"mounts\":[{\"device\":\"/etc/x\",\"path\":\"/r\",\"type\":\"ext4\"}]}") == 400);
}

static void test_exec_results(void) {
  CHECK(exec_with_input("{\"argv\":[\"sh\",\"-c\",\"echo out; echo err >&2; cat; exit 7\"]}", "input\n") == 7);
  CHECK(strcmp(outcome.out, "out\ninput\n") == 0 && strcmp(outcome.err, "err\n") == 0);
  CHECK(exec_json("{\"argv\":[\"sh\",\"-c\",\"kill -9 $$\"]}") == 137);
  CHECK(exec_json("{\"argv\":[\"no-such-program\"]}") == 127 && strstr(outcome.reason, "No such file"));
  CHECK(exec_json("{\"argv\":[\"/etc\"]}") == 126 && strstr(outcome.reason, "denied"));
  CHECK(exec_json("{\"argv\":[\"true\"],\"cwd\":\"/nowhere\"}") == 126);
  CHECK(exec_json("{\"argv\":[\"true\"],\"user\":\"nobody-of-this-name\"}") == 126);
  CHECK(exec_json("{\"argv\":[\"sh\",\"-c\",\"echo $K $HOME $USER; pwd\"],\"env\":{\"K\":\"v\"},\"cwd\":\"/tmp\"}") == 0);
  CHECK(strncmp(outcome.out, "v /", 3) == 0 && strstr(outcome.out, "\n/tmp\n"));
  CHECK(exec_json("{\"argv\":[]}") == -2 && reply.status == 400);
  CHECK(exec_json("{\"argv\":[\"true\"],\"rows\":0}") == -2 && reply.status == 400);
  CHECK(exec_json("{\"argv\":[\"true\"],\"env\":{\"A=B\":\"\"}}") == -2 && reply.status == 400);
  CHECK(exec_json("{\"argv\":[\"true\"],\"shell\":true}") == -2 && reply.status == 400);
}

static char long_text[LIMIT_JSON_BYTES + 2];
static size_t long_length;

static void __attribute__((format(printf, 1, 2))) append(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  long_length += (size_t)vsnprintf(long_text + long_length, sizeof long_text - long_length, format, arguments);
  va_end(arguments);
}

// Words and variables as a shell makes them of a large tree: no limit but the kernel's.
static void test_exec_takes_what_the_kernel_takes(void) {
  static char word[131073];
  long_length = 0;
  append("{\"argv\":[\"sh\",\"-c\",\"echo $#; env | grep -c ^BANGER_TEST_\",\"sh\"");
  for (int i = 0; i < 60000; i++) append(",\"w%d\"", i);
  append("],\"env\":{");
  for (int i = 0; i < 30000; i++) append("%s\"BANGER_TEST_%d\":\"%d\"", i ? "," : "", i, i);
  append("}}");
  CHECK(exec_json(long_text) == 0 && strcmp(outcome.out, "60000\n30000\n") == 0);
  // One word of the kernel's longest, and one more byte.
  memset(word, 'x', 131071);
  long_length = 0;
  append("{\"argv\":[\"true\",\"%s\"]}", word);
  CHECK(exec_json(long_text) == 0);
  word[131071] = 'x';
  long_length = 0;
  append("{\"argv\":[\"true\",\"%s\"]}", word);
  CHECK(exec_json(long_text) == 126 && strstr(outcome.reason, "too long"));
}

// The longest body, and one more byte: that is refused unread, which the host is told, since the rest stays in the stream.
static void test_longest_body(void) {
  memset(long_text, ' ', sizeof long_text);
  memcpy(long_text, "{\"argv\":[\"true\"]}", 17);
  CHECK(client_request(&c, "POST", "/exec", long_text, LIMIT_JSON_BYTES, &reply) == 101);
  client_outcome(&c, &outcome);
  client_frame(&c, 6, "", 0);
  CHECK(outcome.status == 0 && request("GET", "/healthz", "") == 200 && !strstr(reply.head, "Connection: close"));
  CHECK(client_request(&c, "POST", "/exec", long_text, LIMIT_JSON_BYTES + 1, &reply) == 413);
  CHECK(strstr(reply.head, "Connection: close\r\n") && client_sync(&c));
}

// A path of the kernel's longest, each byte of it written as three.
static void test_longest_path(void) {
  long_length = 0;
  append("/stat?path=/");
  for (int i = 0; i < 4094; i++) append("%%78");
  CHECK(request("GET", long_text, "") == 400 && strstr(reply.body, "\"errno\":36"));
  CHECK(!strstr(reply.head, "Connection: close") && request("GET", "/healthz", "") == 200);
}

static void test_exec_output_is_complete(void) {
  CHECK(exec_json("{\"argv\":[\"sh\",\"-c\",\"head -c 900000 /dev/zero; head -c 100000 /dev/zero >&2\"]}") == 0);
  CHECK(outcome.out_length == 900000 && outcome.err_length == 100000);
  // A host that starts to read late still gets everything that the command wrote before it ended.
  CHECK(request("POST", "/exec", "{\"argv\":[\"sh\",\"-c\",\"head -c 60000 /dev/zero; head -c 60000 /dev/zero >&2\"]}") == 101);
  usleep(600000);
  client_outcome(&c, &outcome);
  CHECK(outcome.status == 0 && outcome.out_length == 60000 && outcome.err_length == 60000);
  client_frame(&c, 6, "", 0);
  int64_t before = now_ms();
  CHECK(exec_json("{\"argv\":[\"sh\",\"-c\",\"sleep 3 & echo started\"]}") == 0);
  CHECK(strcmp(outcome.out, "started\n") == 0 && now_ms() - before < 2000);
}

// Neither side may wait for the other when both write more than every buffer holds.
static void test_exec_echoes_while_host_only_writes(void) {
  static char piece[60000];
  size_t sent = 0;
  memset(piece, 'x', sizeof piece);
  CHECK(request("POST", "/exec", "{\"argv\":[\"cat\"]}") == 101);
  for (int i = 0; i < 3; i++, sent += sizeof piece) CHECK(client_frame(&c, 0, piece, sizeof piece));
  client_frame(&c, 2, "", 0);
  client_outcome(&c, &outcome);
  CHECK(outcome.status == 0 && outcome.out_length == sent);
  client_frame(&c, 6, "", 0);
}

static void test_exec_terminal(void) {
  CHECK(exec_json("{\"argv\":[\"sh\",\"-c\",\"test -t 0 && stty size; exit 4\"],\"tty\":true,\"rows\":33,\"columns\":44}") == 4);
  CHECK(strcmp(outcome.out, "33 44\r\n") == 0);
  CHECK(exec_with_input("{\"argv\":[\"cat\"],\"tty\":true}", "unfinished") == 0);
  CHECK(request("POST", "/exec", "{\"argv\":[\"sh\",\"-c\",\"read x; stty size\"],\"tty\":true}") == 101);
  client_frame(&c, 3, "\0\x0a\0\x14", 4);
  client_frame(&c, 0, "\n", 1);
  client_outcome(&c, &outcome);
  CHECK(strstr(outcome.out, "10 20\r\n"));
  client_frame(&c, 6, "", 0);
  CHECK(request("POST", "/exec", "{\"argv\":[\"sh\",\"-c\",\"sleep 20\"],\"tty\":true}") == 101);
  usleep(200000);
  client_frame(&c, 0, "\3", 1);
  client_outcome(&c, &outcome);
  CHECK(outcome.status == 130);
  client_frame(&c, 6, "", 0);
}

static void test_exec_signal_and_close(void) {
  CHECK(request("POST", "/exec", "{\"argv\":[\"sh\",\"-c\",\"trap 'echo got; exit 9' TERM; echo up; while :; do sleep 0.05; done\"]}") == 101);
  uint8_t payload[65536];
  size_t n;
  CHECK(client_read_frame(&c, payload, &n) == 0);
  char term = SIGTERM;
  client_frame(&c, 4, &term, 1);
  client_outcome(&c, &outcome);
  CHECK(outcome.status == 9 || outcome.status == 143);
  client_frame(&c, 6, "", 0);
  int64_t before = now_ms();
  CHECK(request("POST", "/exec", "{\"argv\":[\"sleep\",\"20\"]}") == 101);
  client_frame(&c, 6, "", 0);
  client_outcome(&c, &outcome);
  CHECK(outcome.status == 128 + SIGHUP && now_ms() - before < 1500);
  before = now_ms();
  CHECK(request("POST", "/exec", "{\"argv\":[\"sh\",\"-c\",\"trap '' HUP; echo up; while :; do sleep 1; done\"]}") == 101);
  CHECK(client_read_frame(&c, payload, &n) == 0);
  client_frame(&c, 6, "", 0);
  client_outcome(&c, &outcome);
  CHECK(outcome.status == 128 + SIGKILL && now_ms() - before >= 1900 && now_ms() - before < 5000);
  CHECK(request("GET", "/info", "") == 200 && strstr(reply.body, "\"sessions\":0"));
}

static void test_files(void) {
  static char big[500000];
  char target[256], path[128];
  struct stat st;
  for (size_t i = 0; i < sizeof big; i++) big[i] = (char)(i * 7 + i / 251);
  snprintf(target, sizeof target, "/files?path=%s/a%%20b&mode=0640", directory);
  CHECK(client_request(&c, "PUT", target, big, sizeof big, &reply) == 204);
  snprintf(path, sizeof path, "%s/a b", directory);
  CHECK(stat(path, &st) == 0 && st.st_size == sizeof big && (st.st_mode & 07777) == 0640);
  CHECK(request("GET", target, "") == 200 && reply.length == sizeof big && memcmp(reply.body, big, sizeof big) == 0);
  CHECK(strstr(reply.head, "X-Mode: 0640\r\n") && strstr(reply.head, "X-Size: 500000\r\n"));
  snprintf(target, sizeof target, "/stat?path=%s/a%%20b", directory);
  CHECK(request("GET", target, "") == 200 && strstr(reply.body, "\"type\":\"file\",\"mode\":416,\"sizeBytes\":500000"));
  CHECK(unlink(path) == 0);
  CHECK(request("GET", target, "") == 404 && strstr(reply.body, "\"errno\":2"));
  snprintf(target, sizeof target, "/files?path=%s", directory);
  CHECK(request("GET", target, "") == 409);
  CHECK(request("GET", "/files?path=/proc/version", "") == 200 && strncmp(reply.body, "Linux", 5) == 0);
  CHECK(request("GET", "/files?path=relative", "") == 400 && request("GET", "/files?path=%2", "") == 400);
  // What a link leads to is written, and the link stays; a directory is no file, by any name.
  char link_path[300];
  snprintf(link_path, sizeof link_path, "%s/link", directory);
  CHECK(symlink("a b", link_path) == 0 && client_request(&c, "PUT", "/files?path=/tmp/banger-nothing/../x", big, 10, &reply) == 404);
  snprintf(target, sizeof target, "/files?path=%s/link", directory);
  CHECK(client_request(&c, "PUT", target, big, 10, &reply) == 404);
  snprintf(path, sizeof path, "%s/a b", directory);
  int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  CHECK(fd >= 0 && close(fd) == 0 && client_request(&c, "PUT", target, big, 10, &reply) == 204);
  CHECK(stat(path, &st) == 0 && st.st_size == 10 && lstat(link_path, &st) == 0 && S_ISLNK(st.st_mode));
  CHECK(unlink(link_path) == 0 && symlink(".", link_path) == 0);
  CHECK(client_request(&c, "PUT", target, big, 10, &reply) == 409 && unlink(link_path) == 0 && unlink(path) == 0);
  // A refused upload is taken to its end, so that the next request is understood.
  CHECK(client_request(&c, "PUT", "/files?path=/nowhere/x", big, sizeof big, &reply) == 404);
  CHECK(client_request(&c, "PUT", "/files?path=/tmp/x&mode=9", big, sizeof big, &reply) == 400);
  CHECK(request("GET", "/healthz", "") == 200);
}

static int listen_on_loopback(char *target, size_t capacity) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof address;
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (bind(fd, (struct sockaddr *)&address, size) != 0 || listen(fd, 4) != 0) abort();
  getsockname(fd, (struct sockaddr *)&address, &size);
  snprintf(target, capacity, "127.0.0.1:%d", ntohs(address.sin_port));
  return fd;
}

static void test_tunnel(void) {
  char target[64], wanted[128], bytes[8];
  int listener = listen_on_loopback(target, sizeof target);
  CHECK(request("GET", "/ports", "") == 200);
  snprintf(wanted, sizeof wanted, "\"address\":\"127.0.0.1\",\"port\":%s,\"pid\":%d,", target + 10, (int)getpid());
  CHECK(strstr(reply.body, wanted));
  CHECK(request("CONNECT", target, "") == 200);
  int peer = accept(listener, NULL, NULL);
  client_frame(&c, 0, "ping", 4);
  CHECK(read(peer, bytes, 4) == 4 && memcmp(bytes, "ping", 4) == 0);
  client_frame(&c, 2, "", 0);
  // The half that the host closed is closed in the guest; the other half still works.
  CHECK(read(peer, bytes, 4) == 0);
  CHECK(write(peer, "pong", 4) == 4);
  close(peer);
  client_outcome(&c, &outcome);
  CHECK(outcome.status == 0 && outcome.got_eof && outcome.out_length == 4);
  client_frame(&c, 6, "", 0);
  CHECK(request("CONNECT", target, "") == 200);
  peer = accept(listener, NULL, NULL);
  client_frame(&c, 6, "", 0);
  CHECK(read(peer, bytes, 1) == 0);
  client_outcome(&c, &outcome);
  CHECK(outcome.status == 0);
  close(peer);
  close(listener);
  CHECK(request("CONNECT", target, "") == 502 && strstr(reply.body, "refused"));
  CHECK(request("CONNECT", "example.org:80", "") == 400 && request("CONNECT", "127.0.0.1:70000", "") == 400);
}

static void test_watch(void) {
  static uint8_t payload[65536];
  size_t n;
  char target[64];
  CHECK(request("GET", "/ports/watch", "") == 200);
  CHECK(client_read_frame(&c, payload, &n) == 0 && memcmp(payload, "{\"ports\":[", 10) == 0);
  int listener = listen_on_loopback(target, sizeof target);
  CHECK(client_read_frame(&c, payload, &n) == 0 && memmem(payload, n, target + 10, strlen(target + 10)));
  close(listener);
  client_frame(&c, 6, "", 0);
  client_outcome(&c, &outcome);
  CHECK(outcome.status == 0 && request("GET", "/healthz", "") == 200);
}

static void test_malformed_input(void) {
  static char flood[20000];
  CHECK(client_send(&c, "nonsense\r\n\r\n", 12) && client_read_reply(&c, &reply) == 400);
  // Until SYNC nothing is believed.
  CHECK(client_send(&c, "GET /healthz HTTP/1.1\r\n\r\n", 25) && client_sync(&c));
  memset(flood, 'A', sizeof flood);
  CHECK(client_send(&c, flood, sizeof flood) && client_read_reply(&c, &reply) == 431 && client_sync(&c));
  CHECK(client_send(&c, "POST /exec HTTP/1.1\r\nContent-Length: 30000000\r\n\r\n", 49));
  CHECK(client_read_reply(&c, &reply) == 413 && strstr(reply.head, "Connection: close\r\n") && client_sync(&c));
  CHECK(request("POST", "/exec", "{\"argv\":") == 400);
  // A host that vanished in the middle of a head.
  CHECK(client_send(&c, "GET /heal", 9) && client_sync(&c) && request("GET", "/healthz", "") == 200);
  // Frames that nobody knows end the session; so does a SYNC of a host that came back too quickly to be noticed.
  CHECK(request("POST", "/exec", "{\"argv\":[\"sleep\",\"20\"]}") == 101);
  CHECK(client_send(&c, "\x2a\0\0\0", 4) && client_sync(&c) && request("GET", "/healthz", "") == 200);
  CHECK(request("POST", "/exec", "{\"argv\":[\"sleep\",\"20\"]}") == 101);
  CHECK(client_sync(&c) && request("GET", "/info", "") == 200 && strstr(reply.body, "\"sessions\":0"));
  CHECK(request("GET", "/ports/watch", "") == 200 && client_sync(&c));
}

static void test_hang_up_ends_the_command(const char *program) {
  struct client other;
  char path[128], json[256];
  snprintf(path, sizeof path, "%s/alive", directory);
  snprintf(json, sizeof json, "{\"argv\":[\"sh\",\"-c\",\"while :; do echo x > %s; sleep 0.05; done\"]}", path);
  client_start(&other, program);
  CHECK(client_request(&other, "POST", "/exec", json, strlen(json), &reply) == 101);
  for (int i = 0; i < 100 && access(path, F_OK) != 0; i++) usleep(20000);
  CHECK(client_stop(&other) == 0);
  unlink(path);
  usleep(300000);
  CHECK(access(path, F_OK) != 0);
}

// What the host sent last fills every buffer, since the command reads nothing; its end must be noticed all the same.
static void test_hang_up_behind_unread_input_ends_the_command(const char *program) {
  static char flood[60000];
  struct client other;
  client_start(&other, program);
  const char *json = "{\"argv\":[\"sleep\",\"100\"]}";
  CHECK(client_request(&other, "POST", "/exec", json, strlen(json), &reply) == 101);
  fcntl(other.fd, F_SETFL, O_NONBLOCK);
  for (int silent = 0; silent < 20; usleep(10000)) {
    const char header[4] = {0, 0, (char)(sizeof flood >> 8), (char)(sizeof flood & 0xff)};
    bool is_taken = send(other.fd, header, sizeof header, MSG_NOSIGNAL) == sizeof header;
    if (is_taken && send(other.fd, flood, sizeof flood, MSG_NOSIGNAL) == sizeof flood) silent = 0;
    else silent = 20;
  }
  // As vsock tells it: the stream has ended, and nothing is said of a hang-up.
  int kept = dup(other.fd);
  shutdown(kept, SHUT_WR);
  CHECK(client_stop(&other) == 0);
  close(kept);
}

int main(int argc, char **argv) {
  if (argc != 2) return 2;
  snprintf(directory, sizeof directory, "/tmp/banger-agent-test-XXXXXX");
  if (!mkdtemp(directory)) return 2;
  client_start(&c, argv[1]);
  test_plain_requests();
  test_exec_results();
  test_exec_takes_what_the_kernel_takes();
  test_longest_body();
  test_longest_path();
  test_exec_output_is_complete();
  test_exec_echoes_while_host_only_writes();
  test_exec_terminal();
  test_exec_signal_and_close();
  test_files();
  test_tunnel();
  test_watch();
  test_malformed_input();
  CHECK(client_stop(&c) == 0);
  test_hang_up_ends_the_command(argv[1]);
  test_hang_up_behind_unread_input_ends_the_command(argv[1]);
  test_restored(argv[1], directory);
  CHECK(rmdir(directory) == 0);
  printf("protocol: %d checks, %d failed\n", check_count, check_failures);
  return check_failures != 0;
}
