// Stands in for libFuzzer where there is no clang: seeded mutations of the corpus for a number of seconds.
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MAX_SEEDS 64
#define MAX_BYTES 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct {
  uint8_t bytes[MAX_BYTES];
  size_t size;
} seeds[MAX_SEEDS];
static size_t seed_count;
static uint64_t state;

static uint32_t random_below(uint32_t limit) {
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return (uint32_t)(state >> 16) % limit;
}

static int compare_names(const struct dirent **a, const struct dirent **b) { return strcmp((*a)->d_name, (*b)->d_name); }

static void read_corpus(const char *directory) {
  struct dirent **names;
  int n = scandir(directory, &names, NULL, compare_names);
  for (int i = 0; i < n; i++) {
    char path[512];
    snprintf(path, sizeof path, "%s/%s", directory, names[i]->d_name);
    FILE *file = names[i]->d_name[0] == '.' || seed_count == MAX_SEEDS ? NULL : fopen(path, "rb");
    if (file) {
      seeds[seed_count].size = fread(seeds[seed_count].bytes, 1, MAX_BYTES, file);
      seed_count++;
      fclose(file);
    }
    free(names[i]);
  }
  if (n >= 0) free(names);
}

static size_t mutate(uint8_t *bytes, size_t size) {
  static const uint8_t interesting[] = "\0\xff\x7f\x80{}[]\",:\\%&=\r\n \tu0B#";
  switch (random_below(5)) {
    case 0:
      if (size) bytes[random_below((uint32_t)size)] ^= (uint8_t)(1u << random_below(8));
      return size;
    case 1:
      if (size) bytes[random_below((uint32_t)size)] = interesting[random_below(sizeof interesting - 1)];
      return size;
    case 2: return size ? random_below((uint32_t)size) + 1 : 0;
    case 3: {
      size_t at = random_below((uint32_t)size + 1);
      if (size == MAX_BYTES) return size;
      memmove(bytes + at + 1, bytes + at, size - at);
      bytes[at] = interesting[random_below(sizeof interesting - 1)];
      return size + 1;
    }
    default: {
      size_t from = size ? random_below((uint32_t)size) : 0, n = random_below((uint32_t)(size - from) + 1);
      if (size + n > MAX_BYTES) return size;
      memcpy(bytes + size, bytes + from, n);
      return size + n;
    }
  }
}

int main(int argc, char **argv) {
  if (argc != 4) return 2;
  read_corpus(argv[1]);
  state = strtoull(argv[2], NULL, 10) * 0x9e3779b97f4a7c15u + 1;
  time_t until = time(NULL) + atoi(argv[3]);
  unsigned long runs = 0;
  if (seed_count == 0) return 2;
  while (time(NULL) < until) {
    for (int i = 0; i < 1000; i++, runs++) {
      uint8_t bytes[MAX_BYTES];
      size_t seed = random_below((uint32_t)seed_count), size = seeds[seed].size;
      memcpy(bytes, seeds[seed].bytes, size);
      for (uint32_t n = random_below(8); n > 0; n--) size = mutate(bytes, size);
      LLVMFuzzerTestOneInput(bytes, size);
    }
  }
  printf("fuzz: %lu runs of %zu seeds, seed %s, no fault\n", runs, seed_count, argv[2]);
  return 0;
}
