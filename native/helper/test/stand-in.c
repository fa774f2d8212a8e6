// Stands in for two programs where they are not installed. Called `jailer`: checks its command line as strictly as the real
// one and does its steps that the helper relies on (not the limits: this host may have no such controllers). Called
// otherwise: a VMM that opens what it was given and answers one word on its socket.
#define _GNU_SOURCE
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

static _Noreturn void fail(const char *what) {
  perror(what);
  exit(1);
}

static void check(bool right, const char *what) {
  if (!right) fail(what);
}

static const char *options[] = {"--id", "--exec-file", "--uid", "--gid", "--chroot-base-dir", "--cgroup-version", "--parent-cgroup", "--netns", "--resource-limit"};
enum { ID, PROGRAM, USER, GROUP, BASE, VERSION, PARENT, NETNS, LIMIT, OPTIONS };

static char **parse(char **words, const char *values[OPTIONS], int *limits) {
  for (; *words != NULL && strcmp(*words, "--") != 0; words += 2) {
    check(words[1] != NULL, *words);
    if (strcmp(*words, "--cgroup") == 0) {
      check(strchr(words[1], '=') != NULL, words[1]);
      (*limits)++;
      continue;
    }
    int i = 0;
    while (i < OPTIONS && strcmp(options[i], *words) != 0) i++;
    check(i < OPTIONS && values[i] == NULL, *words);
    values[i] = words[1];
  }
  check(*words != NULL, "--");
  return words + 1;
}

static void own(const char *path, uid_t uid) {
  check((mkdir(path, 0700) == 0 || access(path, F_OK) == 0) && chmod(path, 0700) == 0 && chown(path, uid, uid) == 0, path);
}

static void copy(const char *from, const char *to, uid_t uid) {
  char buffer[65536];
  ssize_t n;
  int in = open(from, O_RDONLY), out = open(to, O_WRONLY | O_CREAT | O_NOFOLLOW, 0755);
  check(in >= 0 && out >= 0 && fchown(out, uid, uid) == 0, to);
  while ((n = read(in, buffer, sizeof buffer)) > 0) check(write(out, buffer, n) == n, to);
  close(in);
  close(out);
}

static void jailer(char **words) {
  const char *v[OPTIONS] = {NULL};
  int limits = 0;
  char root[256], path[512];
  for (int fd = 3; fd < 64; fd++) close(fd);
  char **rest = parse(words, v, &limits);
  check(v[ID] && v[PROGRAM] && v[USER] && v[GROUP] && v[BASE] && v[PARENT] && v[LIMIT] && strcmp(v[VERSION], "2") == 0 && limits == 3, "options");
  uid_t uid = (uid_t)atoi(v[USER]);
  const char *name = strrchr(v[PROGRAM], '/') + 1;
  snprintf(root, sizeof root, "%s/%s/%s/root", v[BASE], name, v[ID]);
  snprintf(path, sizeof path, "%s/%s", root, name);
  copy(v[PROGRAM], path, uid);
  if (v[NETNS] != NULL) check(setns(open(v[NETNS], O_RDONLY), CLONE_NEWNET) == 0, v[NETNS]);
  check(chdir(root) == 0 && unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_SLAVE | MS_REC, NULL) == 0, root);
  check(mount(root, root, NULL, MS_BIND | MS_REC, NULL) == 0 && chroot(root) == 0 && chdir("/") == 0, root);
  own("/", uid);
  own("/dev", uid);
  own("/run", uid);
  check(mknod("/dev/kvm", S_IFCHR | 0600, makedev(10, 232)) == 0, "/dev/kvm");
  check(setgroups(0, NULL) == 0 && setresgid(uid, uid, uid) == 0 && setresuid(uid, uid, uid) == 0, "uid");
  snprintf(path, sizeof path, "/%s", name);
  char *argv[] = {path, "--id", (char *)v[ID], rest[0], rest[1], NULL};
  check(rest[0] != NULL && strcmp(rest[0], "--api-sock") == 0 && rest[1] != NULL && rest[2] == NULL, "program's arguments");
  execv(path, argv);
  fail(path);
}

static void vmm(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
  check(open("/kernel", O_RDONLY) >= 0 && open("/initramfs", O_RDONLY) >= 0, "kernel");
  check(access("/disk0", F_OK) != 0 || open("/disk0", O_RDWR) >= 0, "disk0");
  check(open("/run/serial.fifo", O_RDWR | O_CREAT | O_NONBLOCK, 0600) >= 0, "serial.fifo");
  int server = socket(AF_UNIX, SOCK_STREAM, 0);
  check(bind(server, (struct sockaddr *)&address, sizeof address) == 0 && listen(server, 8) == 0, path);
  // A hostile one: links out of the jail, and a tree deeper than any path.
  check(symlink("/etc", "/run/etc") == 0 && mkdir("/run/deep", 0700) == 0 && chdir("/run/deep") == 0, "run");
  for (int i = 0; i < 3000; i++) check(mkdir("d", 0700) == 0 && chdir("d") == 0, "deep");
  for (;;) {
    int client = accept(server, NULL, NULL);
    // Who only tries whether it may connect is gone by now.
    if (client >= 0) send(client, "stand-in\n", 9, MSG_NOSIGNAL);
    close(client);
  }
}

int main(int argc, char **argv) {
  const char *slash = strrchr(argv[0], '/');
  if (strcmp(slash == NULL ? argv[0] : slash + 1, "jailer") == 0) jailer(argv + 1);
  check(argc == 5, "arguments");
  vmm(argv[4]);
}
