/*
 * A VM manager for tests and measurements: the part of Firecracker that restores memory through a userfaultfd, without
 * a guest. Threads of its own play the guest. It is told what to do on standard input, one line at a
 * time, and answers each with one line that begins with "ok" or "no".
 *
 *   vmm SNAPSHOT          a snapshot with any bytes
 *   vmm SNAPSHOT BYTES    writes a snapshot of so many bytes first, if there is none of that size,
 *                         whose bytes follow from their place
 *
 *   map OFFSET SIZE       a region of memory for a part of the snapshot; says its address
 *   uffd                  makes the userfaultfd and registers all regions
 *   connect SOCKET        connects, and says nothing
 *   send TEXT             sends TEXT with the descriptor
 *   plain TEXT            sends TEXT alone
 *   fill N                sends N letters with the descriptor
 *   touch PAGE N STEP     reads N pages from PAGE on, every STEP-th, and compares every byte
 *   write PAGE N          writes to pages
 *   syscall PAGE N        has the kernel read pages inside of write(2), and compares every byte
 *   remove PAGE N         gives pages back: zeros are right from then on
 *   storm SEED ROUNDS     two threads touch while one removes, at random
 *   hang PAGE             a thread touches a page that may never come; not waited for
 *   came                  whether that thread has its page, with the right bytes
 *   present               how many pages are there
 *   evict                 drops the snapshot from the page cache
 *   walk PAGES PROGRAM RUN OTHER  reads PAGES pages in runs of 16: which ones PROGRAM decides, in which
 *                         order RUN too, and OTHER in a hundred RUN alone; compares every byte; says how
 *                         long the reads took in nanoseconds, without the comparing
 *   close                 closes the connection
 *   die                   ends as by SIGKILL
 *
 * Pages are counted in the snapshot. What a page must hold is known: the snapshot's bytes, zeros once
 * it was removed, or what was written.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096L
#define REGIONS 16

enum { FILE_BYTES, ZEROS, WRITTEN };

static struct {
  char *base;
  long first;
  long pages;
} regions[REGIONS];
static int region_count;
static unsigned char *snapshot;
static unsigned char *expected;
static long snapshot_pages;
static int uffd = -1;
static int connection = -1;
static char line[1 << 20];
static char filler[1 << 20];
static atomic_int hanging;

static char *address(long page) {
  for (int i = 0; i < region_count; i++)
    if (page >= regions[i].first && page < regions[i].first + regions[i].pages)
      return regions[i].base + (page - regions[i].first) * PAGE;
  return NULL;
}

static void written(long page, unsigned char *into) {
  for (long i = 0; i < PAGE; i++) into[i] = (unsigned char)(page * 7 + i * 13 + 1);
}

/* The bytes of a snapshot that this program made: one block of pages in sixteen is empty. */
static void made(long page, unsigned char *into) {
  uint64_t x = (uint64_t)page * 0x9e3779b97f4a7c15u + 1;
  for (long i = 0; i < PAGE; i += 8) {
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    memcpy(into + i, &x, 8);
  }
  if (page / 16 % 16 == 15) memset(into, 0, PAGE);
}

static int right(long page, const unsigned char *bytes) {
  static const unsigned char zeros[PAGE];
  unsigned char own[PAGE];
  switch (expected[page]) {
    case FILE_BYTES:
      if (snapshot) return memcmp(bytes, snapshot + page * PAGE, PAGE) == 0;
      made(page, own);
      return memcmp(bytes, own, PAGE) == 0;
    case ZEROS: return memcmp(bytes, zeros, PAGE) == 0;
    default: written(page, own); return memcmp(bytes, own, PAGE) == 0;
  }
}

static int make_uffd(void) {
  uffd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
  if (uffd < 0) return -errno;
  struct uffdio_api api = {.api = UFFD_API, .features = UFFD_FEATURE_EVENT_REMOVE};
  if (ioctl(uffd, UFFDIO_API, &api)) return -errno;
  for (int i = 0; i < region_count; i++) {
    struct uffdio_register reg = {
        .range = {.start = (uintptr_t)regions[i].base, .len = regions[i].pages * PAGE},
        .mode = UFFDIO_REGISTER_MODE_MISSING};
    if (ioctl(uffd, UFFDIO_REGISTER, &reg)) return -errno;
  }
  return 0;
}

static int connect_to(const char *path) {
  struct sockaddr_un to = {.sun_family = AF_UNIX};
  strncpy(to.sun_path, path, sizeof to.sun_path - 1);
  connection = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  return connect(connection, (struct sockaddr *)&to, sizeof to) ? -errno : 0;
}

static int send_bytes(const char *bytes, size_t length, int with_descriptor) {
  struct iovec part = {.iov_base = (void *)bytes, .iov_len = length};
  union {
    char bytes[CMSG_SPACE(sizeof(int))];
    struct cmsghdr align;
  } control = {0};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
  if (with_descriptor) {
    message.msg_control = control.bytes;
    message.msg_controllen = sizeof control.bytes;
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(header), &uffd, sizeof uffd);
  }
  return sendmsg(connection, &message, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

static long touch(long page, long count, long step) {
  long bad = 0;
  for (long i = 0; i < count; i++) bad += !right(page + i * step, (unsigned char *)address(page + i * step));
  return bad;
}

static long through_kernel(long page, long count) {
  long bad = 0;
  int ends[2];
  unsigned char copy[PAGE];
  if (pipe(ends)) return -1;
  for (long i = 0; i < count; i++) {
    if (write(ends[1], address(page + i), PAGE) != PAGE || read(ends[0], copy, PAGE) != PAGE)
      bad++;
    else
      bad += !right(page + i, copy);
  }
  close(ends[0]);
  close(ends[1]);
  return bad;
}

static int remove_pages(long page, long count) {
  /* Set first: another thread must not take the change for an error, and none touches them now. */
  memset(expected + page, ZEROS, count);
  return madvise(address(page), count * PAGE, MADV_DONTNEED) ? -errno : 0;
}

/* In a storm each thread has pages of its own (by remainder), so that what they hold is known; the
   ranges that are removed still mix with the faults and fills of the others. */
struct storm {
  unsigned seed;
  long rounds, remainder, bad;
};

static void *storm_thread(void *argument) {
  struct storm *storm = argument;
  long blocks = snapshot_pages / 4;
  unsigned char own[PAGE];
  for (long i = 0; i < storm->rounds; i++) {
    long block = rand_r(&storm->seed) % (blocks / 3) * 3 + storm->remainder;
    long page = block * 4;
    if (!address(page) || !address(page + 3)) continue;
    switch (rand_r(&storm->seed) % 4) {
      case 0:
        if (remove_pages(page, 4)) storm->bad++;
        break;
      case 1:
        written(page, own);
        memcpy(address(page), own, PAGE);
        expected[page] = WRITTEN;
        break;
      case 2: storm->bad += through_kernel(page, 2); break;
      default: storm->bad += touch(page, 4, 1);
    }
  }
  return NULL;
}

static long storm(unsigned seed, long rounds) {
  pthread_t threads[3];
  struct storm storms[3];
  long bad = 0;
  for (int i = 0; i < 3; i++) {
    storms[i] = (struct storm){.seed = seed * 3 + i, .rounds = rounds, .remainder = i};
    pthread_create(&threads[i], NULL, storm_thread, &storms[i]);
  }
  for (int i = 0; i < 3; i++) {
    pthread_join(threads[i], NULL);
    bad += storms[i].bad;
  }
  return bad;
}

static long make(const char *path, long bytes) {
  unsigned char block[16 * PAGE];
  int file = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
  if (file < 0) return 1;
  for (long page = 0; page < bytes / PAGE; page += 16) {
    for (long i = 0; i < 16; i++) made(page + i, block + i * PAGE);
    if (write(file, block, sizeof block) != sizeof block) return 1;
  }
  return close(file);
}

static uint64_t next(uint64_t *state) {
  uint64_t x = *state += 0x9e3779b97f4a7c15u;
  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
  x = (x ^ x >> 27) * 0x94d049bb133111ebu;
  return x ^ x >> 31;
}

static long now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1000000000L + time.tv_nsec;
}

/* Runs of 16 pages of a stretch of their own each, so that none comes twice. */
static long walk(long pages, uint64_t program, uint64_t run, uint64_t others, long *nanos) {
  long count = pages / 16, blocks = snapshot_pages / 16, stretch = blocks / count, bad = 0;
  long *order = malloc(count * sizeof *order);
  uint64_t random = program, other = program * 31 + run;
  for (long i = 0; i < count; i++) {
    uint64_t usual = next(&random) % stretch, unusual = next(&other);
    order[i] = (i * stretch + (long)(unusual % 100 >= others ? usual : unusual / 100 % stretch)) * 16;
  }
  for (long i = count - 1; i > 0; i--) {
    long j = next(&random) % (i + 1), page = order[i];
    order[i] = order[j];
    order[j] = page;
  }
  /* Each run does things a little earlier or later. */
  for (long i = 0; i + 8 < count; i++) {
    long j = i + next(&other) % 8, page = order[i];
    order[i] = order[j];
    order[j] = page;
  }
  *nanos = 0;
  for (long i = 0; i < count; i++) {
    long began = now();
    for (long p = 0; p < 16; p++) (void)*(volatile char *)address(order[i] + p);
    *nanos += now() - began;
    for (long p = 0; p < 16; p++) bad += !right(order[i] + p, (unsigned char *)address(order[i] + p));
  }
  free(order);
  return bad;
}

static void *hang_thread(void *argument) {
  long page = (long)argument;
  hanging = right(page, (unsigned char *)address(page)) ? 2 : 3;
  return NULL;
}

static long present(void) {
  long there = 0;
  for (int i = 0; i < region_count; i++) {
    unsigned char *pages = malloc(regions[i].pages);
    if (mincore(regions[i].base, regions[i].pages * PAGE, pages)) abort();
    for (long p = 0; p < regions[i].pages; p++) there += pages[p] & 1;
    free(pages);
  }
  return there;
}

static void answer(long bad) {
  printf(bad ? "no %ld\n" : "ok %ld\n", bad);
}

int main(int count, char **arguments) {
  if (count < 2) return 2;
  struct stat status;
  long size = count > 2 ? atol(arguments[2]) : 0;
  if (size && (stat(arguments[1], &status) || status.st_size != size) && make(arguments[1], size)) return 2;
  int file = open(arguments[1], O_RDONLY);
  if (file < 0 || fstat(file, &status)) return 2;
  snapshot_pages = status.st_size / PAGE;
  /* A copy, so that a snapshot that is spoilt later does not spoil what is expected. */
  if (!size) snapshot = malloc(status.st_size);
  expected = calloc(1, snapshot_pages + 1);
  for (long at = 0; snapshot && at < status.st_size;) {
    long got = pread(file, snapshot + at, status.st_size - at, at);
    if (got <= 0) return 2;
    at += got;
  }
  setvbuf(stdout, NULL, _IOLBF, 0);
  while (fgets(line, sizeof line, stdin)) {
    long a = 0, b = 0, c = 1, d = 0;
    line[strcspn(line, "\n")] = 0;
    char *rest = strchr(line, ' ');
    if (rest) *rest++ = 0;
    if (rest) sscanf(rest, "%ld %ld %ld %ld", &a, &b, &c, &d);
    if (!strcmp(line, "map")) {
      char *base = mmap(NULL, b, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
      if (base == MAP_FAILED || region_count == REGIONS) {
        answer(errno);
        continue;
      }
      madvise(base, b, MADV_NOHUGEPAGE);
      regions[region_count].base = base;
      regions[region_count].first = a / PAGE;
      regions[region_count++].pages = b / PAGE;
      printf("ok %lu\n", (unsigned long)(uintptr_t)base);
    } else if (!strcmp(line, "uffd"))
      answer(-make_uffd());
    else if (!strcmp(line, "connect"))
      answer(-connect_to(rest));
    else if (!strcmp(line, "send"))
      answer(-send_bytes(rest, strlen(rest), 1));
    else if (!strcmp(line, "plain"))
      answer(-send_bytes(rest, strlen(rest), 0));
    else if (!strcmp(line, "fill")) {
      memset(filler, '[', a);
      answer(-send_bytes(filler, a, 1));
    } else if (!strcmp(line, "touch"))
      answer(touch(a, b, c));
    else if (!strcmp(line, "write")) {
      for (long i = a; i < a + b; i++) {
        written(i, (unsigned char *)address(i));
        expected[i] = WRITTEN;
      }
      answer(0);
    } else if (!strcmp(line, "syscall"))
      answer(through_kernel(a, b));
    else if (!strcmp(line, "remove"))
      answer(-remove_pages(a, b));
    else if (!strcmp(line, "storm"))
      answer(storm((unsigned)a, b));
    else if (!strcmp(line, "hang")) {
      pthread_t thread;
      hanging = 1;
      answer(pthread_create(&thread, NULL, hang_thread, (void *)a));
    } else if (!strcmp(line, "came"))
      printf("ok %d\n", (int)hanging);
    else if (!strcmp(line, "present"))
      printf("ok %ld\n", present());
    else if (!strcmp(line, "evict")) {
      int failed = fdatasync(file);
      answer(failed ? failed : posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED));
    } else if (!strcmp(line, "walk")) {
      long nanos, bad = walk(a, b, c, d, &nanos);
      printf(bad ? "no %ld\n" : "ok %ld\n", bad ? bad : nanos);
    } else if (!strcmp(line, "close")) {
      answer(close(connection));
      connection = -1;
    } else if (!strcmp(line, "die"))
      kill(getpid(), SIGKILL);
    else
      printf("no such command\n");
  }
  return 0;
}
