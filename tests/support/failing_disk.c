/* Makes the disk fail below one folder: the n-th write, sync or rename there, once or from then on.

   Loaded with LD_PRELOAD. FAILING_DISK names the control file: six 64-bit numbers that the test and the process share,
   FAILING_DISK_FOLDER the folder. The C library's own buffered writes (fwrite) do not pass here. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

struct control {
  _Atomic int64_t kinds;   /* 1 writes, 2 syncs, 4 renames; 0 lets everything pass */
  _Atomic int64_t fail_at; /* the call that fails, counted from 1; 0 fails none */
  _Atomic int64_t lasting; /* whether all later ones fail too */
  _Atomic int64_t number;  /* the errno it fails with */
  _Atomic int64_t seen;
  _Atomic int64_t failed;
};

static struct control *control;
static char folder[PATH_MAX];

__attribute__((constructor)) static void start(void) {
  const char *shared = getenv("FAILING_DISK"), *below = getenv("FAILING_DISK_FOLDER");
  if (!shared || !below || !realpath(below, folder)) return;
  int fd = open(shared, O_RDWR | O_CLOEXEC);
  if (fd < 0) return;
  void *at = mmap(NULL, sizeof(struct control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  close(fd);
  if (at != MAP_FAILED) control = at;
}

static int below_folder(const char *path) {
  size_t n = strlen(folder);
  return strncmp(path, folder, n) == 0 && (path[n] == '/' || path[n] == '\0');
}

static int counted(int64_t kind) {
  if (!(atomic_load(&control->kinds) & kind)) return 0;
  int64_t now = atomic_fetch_add(&control->seen, 1) + 1, at = atomic_load(&control->fail_at);
  if (!at || now < at || (now > at && !atomic_load(&control->lasting))) return 0;
  atomic_fetch_add(&control->failed, 1);
  errno = (int)atomic_load(&control->number);
  return 1;
}

static int fails(int fd, int64_t kind) {
  if (!control || !atomic_load(&control->kinds)) return 0;
  char link[64], path[PATH_MAX];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t n = readlink(link, path, sizeof path - 1);
  if (n < 0) return 0;
  path[n] = '\0';
  return below_folder(path) && counted(kind);
}

static int rename_fails(const char *to) {
  if (!control || !atomic_load(&control->kinds)) return 0;
  char parent[PATH_MAX], real[PATH_MAX];
  snprintf(parent, sizeof parent, "%s", to);
  char *slash = strrchr(parent, '/');
  if (!slash) return 0;
  *slash = '\0';
  return realpath(parent, real) && below_folder(real) && counted(4);
}

#define REAL(name) static __typeof__(name) *real; if (!real) real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

ssize_t write(int fd, const void *b, size_t n) { REAL(write); return fails(fd, 1) ? -1 : real(fd, b, n); }
ssize_t pwrite(int fd, const void *b, size_t n, off_t o) { REAL(pwrite); return fails(fd, 1) ? -1 : real(fd, b, n, o); }
ssize_t pwrite64(int fd, const void *b, size_t n, off64_t o) { REAL(pwrite64); return fails(fd, 1) ? -1 : real(fd, b, n, o); }
ssize_t writev(int fd, const struct iovec *v, int n) { REAL(writev); return fails(fd, 1) ? -1 : real(fd, v, n); }
int ftruncate(int fd, off_t n) { REAL(ftruncate); return fails(fd, 1) ? -1 : real(fd, n); }
int ftruncate64(int fd, off64_t n) { REAL(ftruncate64); return fails(fd, 1) ? -1 : real(fd, n); }
int posix_fallocate(int fd, off_t o, off_t n) { REAL(posix_fallocate); return fails(fd, 1) ? errno : real(fd, o, n); }
int fsync(int fd) { REAL(fsync); return fails(fd, 2) ? -1 : real(fd); }
int fdatasync(int fd) { REAL(fdatasync); return fails(fd, 2) ? -1 : real(fd); }
int rename(const char *from, const char *to) { REAL(rename); return rename_fails(to) ? -1 : real(from, to); }
