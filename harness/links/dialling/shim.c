/* Preloaded into a node (LD_PRELOAD): connect() to a peer goes to the proxy of this ordered pair.
 *
 * DYNAMESIS_DIALS names a file of lines "ADDRESS PORT ADDRESS PORT" (IPv4): what is dialled, and
 * where the connection goes instead. It is read at each connect(), so that it may be replaced
 * while the node runs, without locks and without memory from the heap: any thread may call, also
 * in a child after fork(). An address in no line is dialled as it is. IPv4, IPv4 in IPv6, and
 * ::1 where the line has 127.0.0.1; TCP only. FILE.seen gets a line for each connection that
 * went elsewhere. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static char table[4096], seen[4096 + 8];

static void note(unsigned port) {
    char line[32];
    int length = snprintf(line, sizeof line, "dial %u\n", port);
    int file = open(seen, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    if (file < 0) return;
    if (write(file, line, length) < 0) { /* evidence only: the connection continues */ }
    close(file);
}

__attribute__((constructor)) static void load(void) {
    const char *path = getenv("DYNAMESIS_DIALS");
    if (path == NULL || strlen(path) >= sizeof table) return;
    strcpy(table, path);
    snprintf(seen, sizeof seen, "%s.seen", path);
}

/* Puts where address:port leads into *to and *to_port; 0 if it is in no line. */
static int find(struct in_addr address, in_port_t port, struct in_addr *to, in_port_t *to_port) {
    char text[16384], from[32], into[32];
    unsigned from_port, into_port;
    struct in_addr is;
    size_t length = 0;
    ssize_t got;
    int file = table[0] ? open(table, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0) return 0;
    while (length < sizeof text - 1 && (got = read(file, text + length, sizeof text - 1 - length)) > 0)
        length += got;
    close(file);
    text[length] = 0;
    for (char *line = text; line != NULL && *line; line = strchr(line, '\n'), line += line != NULL) {
        if (sscanf(line, "%31s %u %31s %u", from, &from_port, into, &into_port) == 4
            && inet_pton(AF_INET, from, &is) == 1 && is.s_addr == address.s_addr
            && htons(from_port) == port && inet_pton(AF_INET, into, to) == 1) {
            *to_port = htons(into_port);
            note(into_port);
            return 1;
        }
    }
    return 0;
}

/* The address to use instead of `to`: `to` itself, or what this writes into *room. */
static const struct sockaddr *lead(int fd, const struct sockaddr *to, socklen_t length,
                                   struct sockaddr_in6 *room) {
    int kind = 0, before = errno;
    socklen_t size = sizeof kind;
    struct in_addr address, target;
    if (to == NULL || length < sizeof(struct sockaddr_in)
        || getsockopt(fd, SOL_SOCKET, SO_TYPE, &kind, &size) != 0 || kind != SOCK_STREAM)
        goto same;
    if (to->sa_family == AF_INET) {
        struct sockaddr_in *four = (struct sockaddr_in *)room;
        memcpy(four, to, sizeof *four);
        if (!find(four->sin_addr, four->sin_port, &four->sin_addr, &four->sin_port)) goto same;
    } else if (to->sa_family == AF_INET6 && length >= sizeof *room) {
        memcpy(room, to, sizeof *room);
        if (IN6_IS_ADDR_V4MAPPED(&room->sin6_addr)) memcpy(&address, room->sin6_addr.s6_addr + 12, 4);
        else if (IN6_IS_ADDR_LOOPBACK(&room->sin6_addr)) address.s_addr = htonl(INADDR_LOOPBACK);
        else goto same;
        if (!find(address, room->sin6_port, &target, &room->sin6_port)) goto same;
        memset(room->sin6_addr.s6_addr, 0, 10);
        memset(room->sin6_addr.s6_addr + 10, 0xff, 2);
        memcpy(room->sin6_addr.s6_addr + 12, &target, 4);
        int no = 0;
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof no);
    } else goto same;
    errno = before;
    return (struct sockaddr *)room;
same:
    errno = before;
    return to;
}

int connect(int fd, const struct sockaddr *to, socklen_t length) {
    struct sockaddr_in6 room;
    int (*next)(int, const struct sockaddr *, socklen_t) = dlsym(RTLD_NEXT, "connect");
    return next(fd, lead(fd, to, length, &room), length);
}

/* TCP fast open: sendto() and sendmsg() that connect. */
ssize_t sendto(int fd, const void *bytes, size_t count, int flags, const struct sockaddr *to,
               socklen_t length) {
    struct sockaddr_in6 room;
    ssize_t (*next)(int, const void *, size_t, int, const struct sockaddr *, socklen_t) =
        dlsym(RTLD_NEXT, "sendto");
    return next(fd, bytes, count, flags, flags & MSG_FASTOPEN ? lead(fd, to, length, &room) : to,
                length);
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
    struct sockaddr_in6 room;
    struct msghdr copy;
    ssize_t (*next)(int, const struct msghdr *, int) = dlsym(RTLD_NEXT, "sendmsg");
    if (flags & MSG_FASTOPEN) {
        copy = *message;
        copy.msg_name = (void *)lead(fd, copy.msg_name, copy.msg_namelen, &room);
        message = &copy;
    }
    return next(fd, message, flags);
}
