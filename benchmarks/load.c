/* Many WebSocket clients in one thread, which count what they are sent.
 *
 *     load [-k KEY] [-n NUMBERS] PORT CONNECTIONS FIRST [COMMAND ...]
 *
 * Opens CONNECTIONS connections to 127.0.0.1:PORT. Each sends every COMMAND, a text in which "%d"
 * is replaced by the connection's number, counted from 0 (and again from 0 after each NUMBERS of
 * them), and is ready when it has been sent FIRST frames: its welcome, and the replies to its
 * commands. When all are ready it says so in a line:
 *
 *     {"ready": CONNECTIONS}
 *
 * What comes from then on is counted. It is asked in lines of its standard input, "wait FRAMES",
 * and answers each with one line as soon as so many frames have come in all, or a connection was
 * closed:
 *
 *     {"frames": 1000, "bytes": 250000, "closed": 0, "delays": 1000,
 *      "p50": 0.000812, "p99": 0.001977, "max": 0.002401}
 *
 * "bytes" are those of the TCP streams. The delays, in seconds, are those of the frames since the
 * last answer that hold KEY and behind it the time of their sending, in seconds since 1970; they
 * are 0 where there were none. It ends with its standard input.
 *
 * It does for a frame what a client must do at least, and no more: it reads the header (RFC 6455,
 * 5.2), and looks for KEY if there is one. Pings and closes are answered.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* A frame has a million bytes at the most; room for one, and for a read behind it. */
enum { FRAME = 1100000, READ = 262144, COMMAND = 65536, EVENTS = 512 };

/* Connections that may be in their handshake at one time: less than a listener's backlog. */
enum { OPENING = 32 };

enum { TEXT = 1, CLOSE = 8, PING = 9, PONG = 10 };

typedef struct {
    int socket;
    int number;
    int upgraded;      /* It speaks WebSocket: its handshake is over. */
    int first;         /* Frames it has been sent, up to those that make it ready. */
    uint8_t *part;     /* The beginning of what has not come whole, or NULL. */
    size_t part_size;
} Connection;

static int connections, numbers, first, commands, port;
static char **command;
static const char *key;

static Connection *all;
static int poller, opened, opening, ready;
static long frames, bytes, closed;
static double *delays;
static size_t delay_count, delay_room;
static uint8_t buffer[FRAME + READ];

static void fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("load: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    exit(1);
}

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_REALTIME, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

/* Sending. A client's frames are masked; a mask of nothing changes nothing. */

static void send_all(Connection *one, const void *data, size_t size)
{
    if (send(one->socket, data, size, MSG_NOSIGNAL) != (ssize_t)size)
        fail("connection %d does not take a command: %s", one->number, strerror(errno));
}

static void send_frame(Connection *one, int opcode, const void *payload, size_t size)
{
    static uint8_t frame[COMMAND + 16];
    size_t head = 2;
    if (size > COMMAND)
        fail("a command of %zu bytes is too long", size);
    frame[0] = 0x80 | opcode;
    if (size < 126) {
        frame[1] = 0x80 | size;
    } else {
        frame[1] = 0x80 | 126;
        frame[head++] = size >> 8;
        frame[head++] = size & 255;
    }
    memset(frame + head, 0, 4);
    memcpy(frame + head + 4, payload, size);
    send_all(one, frame, head + 4 + size);
}

static void send_commands(Connection *one)
{
    static char text[COMMAND];
    for (int index = 0; index < commands; index++) {
        const char *from = command[index], *mark;
        size_t size = 0;
        while ((mark = strstr(from, "%d")) != NULL) {
            size += snprintf(text + size, sizeof text - size, "%.*s%d", (int)(mark - from), from,
                             one->number);
            from = mark + 2;
            if (size > sizeof text - 32)
                fail("a command is too long");
        }
        size += snprintf(text + size, sizeof text - size, "%s", from);
        if (size >= sizeof text)
            fail("a command is too long");
        send_frame(one, TEXT, text, size);
    }
}

/* Opening, a few at a time. */

static void open_one(void)
{
    Connection *one = all + opened;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = one};
    char request[256];
    int yes = 1;
    one->number = numbers > 0 ? opened % numbers : opened;
    one->socket = socket(AF_INET, SOCK_STREAM, 0);
    if (one->socket < 0)
        fail("no socket for connection %d: %s", opened, strerror(errno));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(one->socket, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    if (connect(one->socket, (struct sockaddr *)&address, sizeof address) < 0)
        fail("connection %d: %s", opened, strerror(errno));
    fcntl(one->socket, F_SETFL, O_NONBLOCK);
    snprintf(request, sizeof request,
             "GET / HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\n"
             "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
             "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", port);
    send_all(one, request, strlen(request));
    if (epoll_ctl(poller, EPOLL_CTL_ADD, one->socket, &event) < 0)
        fail("epoll: %s", strerror(errno));
    opened++;
    opening++;
}

static void become_ready(void)
{
    opening--;
    ready++;
    while (opened < connections && opening < OPENING)
        open_one();
    if (ready == connections)
        printf("{\"ready\": %d}\n", ready);
}

/* How much of the buffer is the answer to the handshake; 0 while it is not there. */
static size_t take_handshake(Connection *one, size_t size)
{
    uint8_t *end = memmem(buffer, size, "\r\n\r\n", 4);
    if (end == NULL)
        return 0;
    if (memcmp(buffer, "HTTP/1.1 101", 12) != 0)
        fail("connection %d was refused: %.*s", one->number, (int)strcspn((char *)buffer, "\r"),
             buffer);
    one->upgraded = 1;
    send_commands(one);
    if (first == 0)
        become_ready();
    return end + 4 - buffer;
}

/* Receiving. */

static void note_delay(const uint8_t *payload, size_t size, double at)
{
    size_t length = strlen(key);
    uint8_t *found = memmem(payload, size, key, length);
    char number[32] = "";
    if (found == NULL)
        return;
    found += length;
    size -= found - payload;
    memcpy(number, found, size < sizeof number ? size : sizeof number - 1);
    if (delay_count == delay_room) {
        delay_room = delay_room ? 2 * delay_room : 4096;
        delays = realloc(delays, delay_room * sizeof *delays);
    }
    delays[delay_count++] = at - strtod(number, NULL);
}

static void take_frame(Connection *one, int opcode, const uint8_t *payload, size_t size, double at)
{
    if (opcode == PING)
        send_frame(one, PONG, payload, size);
    if (opcode == CLOSE)
        send_frame(one, CLOSE, payload, size);
    if (opcode != TEXT)
        return;
    if (one->first < first) {
        if (++one->first == first)
            become_ready();
        return;
    }
    frames++;
    if (key != NULL)
        note_delay(payload, size, at);
}

/* How many bytes the frame has that begins here; 0 while its header is not whole. */
static size_t frame_size(const uint8_t *frame, size_t size, size_t *head)
{
    size_t length = size < 2 ? 0 : frame[1] & 127;
    *head = length == 126 ? 4 : length == 127 ? 10 : 2;
    if (size < *head)
        return 0;
    if (length >= 126) {
        length = 0;
        for (size_t index = 2; index < *head; index++)
            length = length << 8 | frame[index];
    }
    if (*head + length > FRAME)
        fail("a frame of %zu bytes", length);
    return *head + length;
}

static size_t take_frames(Connection *one, size_t from, size_t size, double at)
{
    size_t head, whole;
    while ((whole = frame_size(buffer + from, size - from, &head)) != 0 && whole <= size - from) {
        take_frame(one, buffer[from] & 15, buffer + from + head, whole - head, at);
        from += whole;
    }
    return from;
}

static void keep_part(Connection *one, size_t from, size_t size)
{
    free(one->part);
    one->part = NULL;
    one->part_size = size - from;
    if (one->part_size != 0) {
        one->part = malloc(one->part_size);
        memcpy(one->part, buffer + from, one->part_size);
    }
}

static void receive(Connection *one)
{
    size_t size = one->part_size, from = 0;
    if (size != 0)
        memcpy(buffer, one->part, size);
    ssize_t got = recv(one->socket, buffer + size, READ, 0);
    double at = key != NULL ? now() : 0;
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0) {
        if (ready < connections)
            fail("connection %d was closed before it was ready", one->number);
        epoll_ctl(poller, EPOLL_CTL_DEL, one->socket, NULL);
        close(one->socket);
        closed++;
        return;
    }
    size += got;
    if (ready == connections)
        bytes += got;
    if (!one->upgraded)
        from = take_handshake(one, size);
    if (one->upgraded)
        from = take_frames(one, from, size, at);
    keep_part(one, from, size);
}

/* Answering. */

static int by_size(const void *one, const void *other)
{
    double a = *(const double *)one, b = *(const double *)other;
    return (a > b) - (a < b);
}

static double percentile(int percent)
{
    return delay_count ? delays[(delay_count - 1) * percent / 100] : 0;
}

static void answer(void)
{
    if (delay_count != 0)
        qsort(delays, delay_count, sizeof *delays, by_size);
    printf("{\"frames\": %ld, \"bytes\": %ld, \"closed\": %ld, \"delays\": %zu, "
           "\"p50\": %.6f, \"p99\": %.6f, \"max\": %.6f}\n",
           frames, bytes, closed, delay_count, percentile(50), percentile(99), percentile(100));
    delay_count = 0;
}

int main(int count, char **argument)
{
    struct epoll_event events[EVENTS], input = {.events = EPOLLIN, .data.ptr = NULL};
    char line[64];
    long awaited = -1;
    int option;
    while ((option = getopt(count, argument, "k:n:")) != -1) {
        if (option == 'k')
            key = optarg;
        else if (option == 'n')
            numbers = atoi(optarg);
        else
            return 2;
    }
    if (count - optind < 3)
        fail("usage: load [-k KEY] [-n NUMBERS] PORT CONNECTIONS FIRST [COMMAND ...]");
    port = atoi(argument[optind]);
    connections = atoi(argument[optind + 1]);
    first = atoi(argument[optind + 2]);
    command = argument + optind + 3;
    commands = count - optind - 3;

    setvbuf(stdout, NULL, _IOLBF, 0);
    all = calloc(connections, sizeof *all);
    poller = epoll_create1(0);
    epoll_ctl(poller, EPOLL_CTL_ADD, STDIN_FILENO, &input);
    while (opened < connections && opening < OPENING)
        open_one();
    for (;;) {
        int some = epoll_wait(poller, events, EVENTS, -1);
        for (int index = 0; index < some; index++) {
            if (events[index].data.ptr != NULL) {
                receive(events[index].data.ptr);
                continue;
            }
            /* One line at a time: it is not asked again before it has answered. */
            ssize_t got = read(STDIN_FILENO, line, sizeof line - 1);
            if (got <= 0)
                return 0;
            line[got] = 0;
            if (sscanf(line, "wait %ld", &awaited) != 1)
                fail("it is asked to \"wait FRAMES\"");
        }
        if (awaited >= 0 && ready == connections && (frames >= awaited || closed != 0)) {
            answer();
            awaited = -1;
        }
    }
}
