/*
 * What Prestage's page server is compared with: a plain handler of one VM's page faults, in C, as the documentation of
 * Firecracker shows one. It reads a page with pread and fills it with UFFDIO_COPY.
 *
 *   handler SOCKET SNAPSHOT demand LIST   fills what is touched, and writes to LIST which pages these were, in order
 *   handler SOCKET SNAPSHOT replay LIST   fills in the pages of LIST before it says "ready", then what is touched
 *   handler SOCKET SNAPSHOT all           fills in the whole snapshot before it says "ready", then what is touched
 *
 * It says "listening", then "ready", and when the VM is gone "FAULTS STAGED NANOS": touches that waited, pages that were
 * filled in before it was ready, and the processor time that the touches took.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096L
#define RUN 256

static int uffd, snapshot;
static unsigned long base;
static char bytes[RUN * PAGE] __attribute__((aligned(4096)));

static int fill(long page, long count) {
  if (pread(snapshot, bytes, count * PAGE, page * PAGE) != count * PAGE) return -1;
  struct uffdio_copy copy = {.dst = base + page * PAGE, .src = (uintptr_t)bytes, .len = count * PAGE};
  while (ioctl(uffd, UFFDIO_COPY, &copy)) {
    if (errno == EEXIST) {
      struct uffdio_range range = {.start = base + page * PAGE, .len = count * PAGE};
      ioctl(uffd, UFFDIO_WAKE, &range);
      return 0;
    }
    if (errno != EAGAIN) return -1;
    long done = copy.copy > 0 ? copy.copy : 0;
    copy.dst += done;
    copy.src += done;
    copy.len -= done;
    copy.copy = 0;
  }
  return 0;
}

/* One message: the regions, of which there must be one that begins the file, and the descriptor. */
static int hand_over(int peer) {
  static char text[65536];
  union {
    char bytes[CMSG_SPACE(sizeof(int))];
    struct cmsghdr align;
  } control = {0};
  struct iovec part = {.iov_base = text, .iov_len = sizeof text - 1};
  struct msghdr message = {
      .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
  if (recvmsg(peer, &message, 0) <= 0 || !CMSG_FIRSTHDR(&message)) return -1;
  memcpy(&uffd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof uffd);
  return sscanf(text, "[{\"base_host_virt_addr\":%lu", &base) == 1 ? 0 : -1;
}

/* The disk is asked for all of the list first, so that it has some to choose from. */
static int come(int advise, long first, long count) {
  return advise ? posix_fadvise(snapshot, first * PAGE, count * PAGE, POSIX_FADV_WILLNEED) : fill(first, count);
}

static long replay(const char *path) {
  FILE *list = fopen(path, "r");
  long staged = 0;
  if (!list) return -1;
  for (int advise = 1; advise >= 0; advise--) {
    long page, first = 0, count = 0;
    rewind(list);
    while (fscanf(list, "%ld", &page) == 1) {
      if (count && (page != first + count || count == 16)) {
        if (come(advise, first, count)) return -1;
        count = 0;
      }
      if (!count) first = page;
      count++;
      staged += !advise;
    }
    if (count && come(advise, first, count)) return -1;
  }
  fclose(list);
  return staged;
}

static long populate(void) {
  struct stat status;
  if (fstat(snapshot, &status)) return -1;
  long pages = status.st_size / PAGE;
  for (long page = 0; page < pages; page += RUN)
    if (fill(page, pages - page < RUN ? pages - page : RUN)) return -1;
  return pages;
}

static long nanos(void) {
  struct timespec time;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return time.tv_sec * 1000000000L + time.tv_nsec;
}

static long serve(int peer, FILE *list) {
  long faults = 0;
  struct pollfd polled[] = {{.fd = uffd, .events = POLLIN}, {.fd = peer, .events = POLLIN}};
  while (poll(polled, 2, -1) >= 0 && !polled[1].revents) {
    struct uffd_msg messages[64];
    long count = read(uffd, messages, sizeof messages) / (long)sizeof *messages;
    for (long i = 0; i < count; i++) {
      if (messages[i].event != UFFD_EVENT_PAGEFAULT) continue;
      long page = (long)((messages[i].arg.pagefault.address - base) / PAGE);
      if (fill(page, 1)) return -1;
      if (list) fprintf(list, "%ld\n", page);
      faults++;
    }
  }
  return faults;
}

int main(int count, char **arguments) {
  if (count < 4) return 2;
  struct sockaddr_un at = {.sun_family = AF_UNIX};
  strncpy(at.sun_path, arguments[1], sizeof at.sun_path - 1);
  snapshot = open(arguments[2], O_RDONLY);
  int demand = !strcmp(arguments[3], "demand"), all = !strcmp(arguments[3], "all");
  int listener = socket(AF_UNIX, SOCK_STREAM, 0);
  if (snapshot < 0 || bind(listener, (struct sockaddr *)&at, sizeof at) || listen(listener, 1)) return 2;
  setvbuf(stdout, NULL, _IOLBF, 0);
  printf("listening\n");
  int peer = accept(listener, NULL, NULL);
  if (peer < 0 || hand_over(peer)) return 2;
  long staged = demand ? 0 : all ? populate() : replay(arguments[4]);
  if (staged < 0) return 2;
  FILE *list = demand ? fopen(arguments[4], "w") : NULL;
  printf("ready\n");
  long began = nanos();
  long faults = serve(peer, list);
  long taken = nanos() - began;
  if (faults < 0 || (list && fclose(list))) return 2;
  printf("%ld %ld %ld\n", faults, staged, taken);
  return 0;
}
