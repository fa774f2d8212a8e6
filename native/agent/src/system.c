#include "agent.h"
#include "child.h"
#include "handlers.h"
#include "power.h"
#include "runit.h"
#include "standing.h"
#include "supervise.h"
#include "systemd.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define RUNIT_OBEYS_MS 20000
#define RUNIT_COMES_MS 30000
#define SYSTEMD_SIGNALS_MS 20000

static bool read_line(const char *path, char *line, size_t capacity) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  ssize_t n = read(fd, line, capacity - 1);
  close(fd);
  if (n < 0) return false;
  line[n] = 0;
  line[strcspn(line, "\n")] = 0;
  return true;
}

static const char *init_system(void) {
  char name[32] = "";
  if (!agent_shared->init_started || !read_line("/proc/1/comm", name, sizeof name)) return "none";
  if (strncmp(name, "systemd", 7) == 0 || access("/run/systemd/system", F_OK) == 0) return "systemd";
  return strncmp(name, "runit", 5) == 0 ? "runit" : "none";
}

// Whether pid 1 is still that of the initramfs.
static bool is_supervised(void) {
  char init[128];
  standing_option("banger.init=", "", init, sizeof init);
  return strcmp(init, "none") == 0 || access(NO_INIT_PATH, F_OK) == 0;
}

static int64_t uptime_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_BOOTTIME, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

// Soon after its start it has not reached its first stage yet; a runit whose stages have other names is not waited for longer.
static const char *runit_state_word(void) {
  int stage = runit_stage();
  if (stage == 1 || (stage == 0 && uptime_ms() < RUNIT_COMES_MS)) return "starting";
  return stage == 2 ? "running" : "unknown";
}

// A systemd that is too busy to answer counts as starting.
static const char *init_state_word(void) {
  char word[32] = "";
  if (!agent_shared->init_started) return "starting";
  if (is_supervised()) return access(NO_INIT_PATH, F_OK) == 0 ? "degraded" : "running";
  const char *system = init_system();
  if (strcmp(system, "runit") == 0) return runit_state_word();
  if (strcmp(system, "systemd") != 0) return "unknown";
  if (!systemd_state(word, sizeof word)) return "starting";
  if (strcmp(word, "running") == 0) return "running";
  if (strcmp(word, "degraded") == 0) return "degraded";
  if (strcmp(word, "maintenance") == 0) return "maintenance";
  return strcmp(word, "stopping") == 0 || strcmp(word, "offline") == 0 ? "unknown" : "starting";
}

void handle_healthz(struct channel *c, struct request *request) {
  (void)request;
  struct buffer body;
  buffer_init(&body, 1024);
  buffer_printf(&body, "{\"status\":\"ok\",\"phase\":\"%s\",\"personalized\":%s,\"uptimeMs\":%lld,\"init\":\"%s\"}",
                agent_shared->init_started ? "running" : "initramfs", agent_shared->personalized ? "true" : "false",
                (long long)uptime_ms(), init_state_word());
  reply_json(c, 200, &body);
  buffer_free(&body);
}

static long meminfo_kib(const char *key) {
  FILE *file = fopen("/proc/meminfo", "re");
  char line[128];
  long value = 0;
  while (file && fgets(line, sizeof line, file))
    if (strncmp(line, key, strlen(key)) == 0) value = atol(line + strlen(key));
  if (file) fclose(file);
  return value;
}

static int open_sessions(void) {
  int n = 0;
  for (int i = 0; i < AGENT_SLOTS; i++) n += agent_shared->session_open[i];
  return n;
}

/** The usage of its file system, only for disks of its own. */
static void put_disks(struct buffer *body) {
  static const char *const paths[] = {"/", "/root"};
  struct stat root, place;
  struct statvfs fs;
  const char *separator = "";
  if (stat("/", &root) != 0) return;
  for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
    if (i > 0 && (stat(paths[i], &place) != 0 || place.st_dev == root.st_dev)) continue;
    if (statvfs(paths[i], &fs) != 0) continue;
    unsigned long long unit = fs.f_frsize, used = (fs.f_blocks - fs.f_bfree) * unit;
    buffer_printf(body, "%s{\"path\":\"%s\",\"sizeBytes\":%llu,\"usedBytes\":%llu}", separator, paths[i], fs.f_blocks * unit, used);
    separator = ",";
  }
}

void handle_info(struct channel *c, struct request *request) {
  (void)request;
  struct utsname name;
  char boot_id[64] = "", load[64] = "0";
  struct buffer body;
  uname(&name);
  read_line("/proc/sys/kernel/random/boot_id", boot_id, sizeof boot_id);
  read_line("/proc/loadavg", load, sizeof load);
  load[strspn(load, "0123456789.")] = 0;
  buffer_init(&body, 4096);
  buffer_puts(&body, "{\"agentVersion\":\"" AGENT_VERSION "\",\"hostname\":");
  json_put_string(&body, name.nodename, strlen(name.nodename), 256);
  buffer_puts(&body, ",\"kernel\":");
  json_put_string(&body, name.release, strlen(name.release), 256);
  buffer_printf(&body, ",\"initSystem\":\"%s\",\"bootId\":", init_system());
  json_put_string(&body, boot_id, strlen(boot_id), 64);
  buffer_printf(&body, ",\"memoryTotalKib\":%ld,\"memoryAvailableKib\":%ld", meminfo_kib("MemTotal:"),
                meminfo_kib("MemAvailable:"));
  buffer_printf(&body, ",\"cpuCount\":%d,\"loadAverage1\":%s,\"sessions\":%d,\"disks\":[", get_nprocs(), load[0] ? load : "0",
                open_sessions());
  put_disks(&body);
  buffer_puts(&body, "]}");
  reply_json(c, 200, &body);
  buffer_free(&body);
}

// runit ignores commands outside its second stage. In the first, no service runs yet, so nothing needs an orderly end.
static bool end_runit(bool reboot_after) {
  char *init[] = {"/sbin/init", reboot_after ? "6" : "0", NULL};
  if (runit_stage() == 1) return false;
  // runit has no hook at its end, so the host gets the message first, and then runit is asked for the reset.
  if (agent_shared->resets_to_power_off) {
    power_tell_host(reboot_after);
    init[1] = "6";
  }
  int64_t until = monotonic_ms() + RUNIT_OBEYS_MS;
  for (int stage = 0; stage != 3 && monotonic_ms() < until; stage = runit_stage()) {
    if (stage == 1 || child_run(init, 10000) != 0) return false;
    sleep_ms(500);
  }
  return true;
}

static void shut_down(bool reboot_after) {
  char *systemctl[] = {"/usr/bin/systemctl", "--no-block", reboot_after ? "reboot" : "poweroff", NULL};
  const char *system = init_system();
  if (strcmp(system, "systemd") == 0 && child_run(systemctl, 10000) == 0) return;
  if (strcmp(system, "systemd") == 0) {
    // Before it answers requests, systemd obeys these signals (systemd(1): SIGRTMIN+4 poweroff, SIGRTMIN+5 reboot), once it handles them.
    // The numbers are those of the image's C library, whose first is 34; musl's own SIGRTMIN differs.
    int signal = reboot_after ? 34 + 5 : 34 + 4;
    if (systemd_await_signal(1, signal, SYSTEMD_SIGNALS_MS) && kill(1, signal) == 0) return;
  }
  if (strcmp(system, "runit") == 0 && end_runit(reboot_after)) return;
  if (is_supervised() && kill(1, reboot_after ? SUPERVISE_REBOOT_SIGNAL : SUPERVISE_POWEROFF_SIGNAL) == 0) return;
  power_end(reboot_after);
}

void handle_poweroff(struct channel *c, struct request *request) {
  static const char *const members[] = {"reboot", NULL};
  struct json_document document;
  if (!request_object(c, request, members, &document)) return;
  const struct json_node *again = json_member(document.root, "reboot");
  bool is_valid = !again || again->type == JSON_BOOL, reboot_after = is_valid && again && again->boolean;
  json_free(&document);
  if (!is_valid) {
    reply_error(c, 400, "reboot must be true or false", 0);
    return;
  }
  // Reply first: the rest may end this process.
  reply_empty(c, 204);
  shut_down(reboot_after);
}
