/* The floor: a byte pump between clients and one origin, with nothing that a proxy must do besides.
 *
 *     pump LISTEN_ADDRESS LISTEN_PORT ORIGIN_ADDRESS ORIGIN_PORT
 *
 * One level-triggered epoll loop, one 64 KB buffer, one recv and one send per event. What a proxy costs above this is
 * what it does; what this costs is the kernel. It is a measuring stick and no program for use: an allocation or a
 * connection that fails ends the one pair it concerns.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { kBufferBytes = 64 * 1024, kEvents = 256, kBacklog = 1024 };

/* One direction's reading side. `unsent` holds what the peer did not take; while there is any, this side is not read.
 */
struct side {
  int fd;
  struct side* peer;
  char* unsent;
  size_t unsent_bytes;
  int finished; /* The FIN of this side came and was passed on. */
  int gone;     /* Closed in this turn; freed after the turn's last event. */
};

static int epoll_fd;
static char buffer[kBufferBytes];
static struct side* graveyard[2 * kEvents];
static int graveyard_size;

static struct sockaddr_in address_of(const char* ip, const char* port) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(port))};
  if (inet_pton(AF_INET, ip, &address.sin_addr) != 1) {
    fprintf(stderr, "pump: not an IPv4 address: %s\n", ip);
    exit(2);
  }
  return address;
}

static void watch(struct side* side, unsigned events, int operation) {
  struct epoll_event event = {.events = events, .data.ptr = side};
  epoll_ctl(epoll_fd, operation, side->fd, &event);
}

static void end_pair(struct side* side) {
  struct side* both[2] = {side, side->peer};
  for (int i = 0; i < 2; i++) {
    if (both[i]->gone) continue;
    both[i]->gone = 1;
    close(both[i]->fd);
    free(both[i]->unsent);
    graveyard[graveyard_size++] = both[i];
  }
}

static struct side* new_side(int fd) {
  struct side* side = calloc(1, sizeof *side);
  if (!side) abort();
  side->fd = fd;
  int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return side;
}

static void accept_one(int listener, const struct sockaddr_in* to) {
  int client = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
  if (client < 0) return;
  int origin = socket(AF_INET, SOCK_STREAM, 0);
  /* A blocking connect: on loopback it is done at once, and the pump has no state for a connection being made. */
  if (origin < 0 || connect(origin, (const struct sockaddr*)to, sizeof *to) < 0) {
    close(client);
    if (origin >= 0) close(origin);
    return;
  }
  struct side *a = new_side(client), *b = new_side(origin);
  a->peer = b;
  b->peer = a;
  watch(a, EPOLLIN, EPOLL_CTL_ADD);
  watch(b, EPOLLIN, EPOLL_CTL_ADD);
}

/* Which events a side waits for: input while its peer takes everything, room while something waits for it. */
static void rearm(struct side* side) {
  unsigned events = side->peer->unsent_bytes ? EPOLLOUT : 0;
  if (!side->finished && !side->unsent_bytes) events |= EPOLLIN;
  watch(side, events, EPOLL_CTL_MOD);
}

static void on_input(struct side* side) {
  ssize_t got = recv(side->fd, buffer, sizeof buffer, MSG_DONTWAIT);
  if (got < 0) {
    if (errno != EAGAIN) end_pair(side);
    return;
  }
  if (got == 0) {
    side->finished = 1;
    shutdown(side->peer->fd, SHUT_WR);
    if (side->peer->finished)
      end_pair(side);
    else
      rearm(side);
    return;
  }
  ssize_t sent = send(side->peer->fd, buffer, (size_t)got, MSG_DONTWAIT | MSG_NOSIGNAL);
  if (sent < 0 && errno != EAGAIN) {
    end_pair(side);
    return;
  }
  if (sent < 0) sent = 0;
  if (sent == got) return;
  side->unsent_bytes = (size_t)(got - sent);
  side->unsent = malloc(side->unsent_bytes);
  if (!side->unsent) abort();
  memcpy(side->unsent, buffer + sent, side->unsent_bytes);
  rearm(side);
  rearm(side->peer);
}

/* `side` has room again for what its peer read. */
static void on_room(struct side* side) {
  struct side* from = side->peer;
  ssize_t sent = send(side->fd, from->unsent, from->unsent_bytes, MSG_DONTWAIT | MSG_NOSIGNAL);
  if (sent < 0) {
    if (errno != EAGAIN) end_pair(side);
    return;
  }
  from->unsent_bytes -= (size_t)sent;
  memmove(from->unsent, from->unsent + sent, from->unsent_bytes);
  if (from->unsent_bytes) return;
  free(from->unsent);
  from->unsent = NULL;
  rearm(side);
  rearm(from);
}

static int listen_on(struct sockaddr_in address) {
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), on = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(listener, (struct sockaddr*)&address, sizeof address) < 0 || listen(listener, kBacklog) < 0) {
    perror("pump");
    exit(1);
  }
  return listener;
}

int main(int argc, char** argv) {
  if (argc != 5) {
    fprintf(stderr, "usage: pump LISTEN_ADDRESS LISTEN_PORT ORIGIN_ADDRESS ORIGIN_PORT\n");
    return 2;
  }
  int listener = listen_on(address_of(argv[1], argv[2]));
  struct sockaddr_in origin = address_of(argv[3], argv[4]);
  epoll_fd = epoll_create1(0);
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
  epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listener, &event);
  for (;;) {
    struct epoll_event events[kEvents];
    int count = epoll_wait(epoll_fd, events, kEvents, -1);
    for (int i = 0; i < count; i++) {
      struct side* side = events[i].data.ptr;
      if (!side) {
        accept_one(listener, &origin);
        continue;
      }
      if (!side->gone && (events[i].events & EPOLLOUT)) on_room(side);
      if (!side->gone && (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))) on_input(side);
    }
    while (graveyard_size) free(graveyard[--graveyard_size]);
  }
}
