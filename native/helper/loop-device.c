#include "loop-device.h"

#include "banger-helper.h"
#include "common/clock.h"
#include "common/errors.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define LOOP_MAJOR 7
// A program that examines new devices (udev) closes them within moments.
#define RELEASE_TRIES 150
#define RELEASE_PAUSE_MS 20

dev_t loop_device(int number) { return makedev(LOOP_MAJOR, (unsigned)number); }

int loop_free_number(void) {
  int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
  if (control < 0) return -1;
  int number = ioctl(control, LOOP_CTL_GET_FREE);
  KEEPING_ERRNO(close(control));
  return number;
}

static int open_loop(int number, int flags) {
  char path[32];
  snprintf(path, sizeof path, "/dev/loop%d", number);
  return open(path, flags | O_CLOEXEC);
}

int loop_bind(int number, int file, const char *tag, bool read_only) {
  int fd = open_loop(number, read_only ? O_RDONLY : O_RDWR);
  if (fd < 0) return -1;
  struct loop_config config = {.fd = (uint32_t)file, .info.lo_flags = read_only ? LO_FLAGS_READ_ONLY : 0};
  snprintf((char *)config.info.lo_file_name, sizeof config.info.lo_file_name, "%s", tag);
  int result = ioctl(fd, LOOP_CONFIGURE, &config);
  KEEPING_ERRNO(close(fd));
  return result;
}

// 1 if the device is bound and has the tag, 0 if not, else -1.
static int is_tagged(int fd, const char *tag, struct loop_info64 *info) {
  if (ioctl(fd, LOOP_GET_STATUS64, info) != 0) return errno == ENXIO ? 0 : -1;
  return strncmp((const char *)info->lo_file_name, tag, sizeof info->lo_file_name) == 0;
}

// Requests the release: 1 if there was something to release. While a process has it open, the kernel only defers it.
static int ask_release(int number, const char *tag) {
  struct loop_info64 info;
  int fd = open_loop(number, O_RDONLY);
  if (fd < 0) return errno == ENOENT || errno == ENXIO || errno == ENODEV ? 0 : -1;
  int bound = is_tagged(fd, tag, &info);
  if (bound == 1 && ioctl(fd, LOOP_CLR_FD) != 0 && errno != ENXIO) bound = -1;
  KEEPING_ERRNO(close(fd));
  return bound;
}

int loop_release(int number, const char *tag) {
  for (int attempt = 0; attempt < RELEASE_TRIES; attempt++) {
    int bound = ask_release(number, tag);
    if (bound <= 0) return bound;
    // Check again even after the first request: only then it is known to be free.
    if (attempt > 0) sleep_ms(RELEASE_PAUSE_MS);
  }
  errno = EBUSY;
  return -1;
}

// The form in which the kernel says device numbers here.
static uint64_t encode_device(dev_t device) {
  uint64_t major_number = major(device), minor_number = minor(device);
  return (minor_number & 0xff) | major_number << 8 | (minor_number & ~UINT64_C(0xff)) << 12;
}

int loop_grow(int number, const char *tag, const struct stat *file) {
  struct loop_info64 info;
  int fd = open_loop(number, O_RDWR);
  if (fd < 0) return -1;
  int result = is_tagged(fd, tag, &info);
  if (result >= 0) {
    bool same = result == 1 && info.lo_inode == file->st_ino && info.lo_device == encode_device(file->st_dev);
    result = same ? ioctl(fd, LOOP_SET_CAPACITY) : refuse(ESTALE, "the file is not the one in use");
  }
  KEEPING_ERRNO(close(fd));
  return result;
}
