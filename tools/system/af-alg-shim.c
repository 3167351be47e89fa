/*
 * For btvirt, on kernels without AF_ALG: it opens two such sockets for each controller, for pairing, and gives up without
 * them. Nothing here pairs, so that any socket will do. Where the kernel has AF_ALG this does nothing.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <sys/socket.h>

#ifndef AF_ALG
#define AF_ALG 38
#endif

int socket(int domain, int type, int protocol) {
  int (*next)(int, int, int) = dlsym(RTLD_NEXT, "socket");
  int fd = next(domain, type, protocol);
  return fd < 0 && domain == AF_ALG ? next(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0) : fd;
}

int bind(int fd, const struct sockaddr *address, socklen_t length) {
  int (*next)(int, const struct sockaddr *, socklen_t) = dlsym(RTLD_NEXT, "bind");
  int result = next(fd, address, length);
  return result < 0 && address != 0 && address->sa_family == AF_ALG ? 0 : result;
}
