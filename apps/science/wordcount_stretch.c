/* wordcount_stretch.c: reads and counts one stretch of a file, and merges what came of it. */
#include "wordcount_stretch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Reads the stretch into buf. NULL, or what went wrong. */
static const char *stretch_read(const stretch *s, char *buf)
{
    int fd = open(s->path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return strerror(errno);
    const char *wrong = NULL;
    for (size_t done = 0; done < s->len && !wrong;) {
        ssize_t n = pread(fd, buf + done, s->len - done, (off_t)(s->offset + done));
        if (n > 0)
            done += (size_t)n;
        else if (n == 0)
            wrong = "it became shorter while it was read";
        else if (errno != EINTR)
            wrong = strerror(errno);
    }
    close(fd);
    return wrong;
}

/* Letters become lower case, everything else 0. */
static void stretch_fold(char *buf, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        unsigned letter = (unsigned char)buf[i] | 0x20u;
        buf[i] = (char)(letter >= 'a' && letter <= 'z' ? letter : 0);
    }
}

/* Counts the words of folded text, which ends with a 0 byte or is empty. */
static void stretch_words(words *w, const char *text, size_t len)
{
    const char *end = text + len;
    while (text < end) {
        size_t letters = strlen(text);
        if (letters)
            words_add(w, text, letters, 1);
        text += letters + 1;
    }
}

/* Packs folded text into r, which has room for sizeof *r + len bytes; returns the bytes used. */
static size_t stretch_pack(const char *text, size_t len, stretch_result *r)
{
    size_t head = strnlen(text, len);
    size_t tail = 0;
    while (head + tail < len && text[len - tail - 1])
        tail++;
    *r = (stretch_result){ .head = (uint32_t)head, .tail = (uint32_t)tail, .whole = head == len };
    memcpy(r->bytes, text, head);
    memcpy(r->bytes + head, text + len - tail, tail);
    words inner = { 0 };
    stretch_words(&inner, text + head, len - head - tail);
    r->table = (uint32_t)words_pack(&inner, r->bytes + head + tail);
    words_free(&inner);
    return sizeof *r + head + tail + r->table;
}

int stretch_count(serry_task *t, const void *in, size_t len)
{
    const stretch *s = in;
    if (len <= sizeof *s || s->len > STRETCH_MAX || !memchr(s->path, 0, len - sizeof *s))
        return serry_task_fail(t, "a task of %zu bytes is not a stretch of a file", len);
    char *text = malloc(s->len);
    stretch_result *r = malloc(sizeof *r + s->len);
    int failed;
    const char *wrong = text && r ? stretch_read(s, text) : strerror(ENOMEM);
    if (wrong) {
        failed = serry_task_fail(t, "%s", wrong);
    } else {
        stretch_fold(text, s->len);
        failed = serry_task_return(t, r, stretch_pack(text, s->len, r)) != SERRY_OK;
    }
    free(r);
    free(text);
    return failed;
}

static const char *merge_open(stretch_merger *m, const uint8_t *letters, size_t len)
{
    if (len > UINT32_MAX - m->open_len)
        return "a word of more than 4 GiB";
    if (m->open_len + len > m->open_cap) {
        size_t cap = 2 * (m->open_len + len);
        char *open = realloc(m->open, cap);
        if (!open)
            return strerror(ENOMEM);
        m->open = open;
        m->open_cap = cap;
    }
    if (len)
        memcpy(m->open + m->open_len, letters, len);
    m->open_len += len;
    return NULL;
}

const char *stretch_merge(stretch_merger *m, const stretch_result *r, size_t cap)
{
    static const char not_one[] = "a task returned something else than counted words";
    if (cap < sizeof *r || (uint64_t)r->head + r->tail + r->table > cap - sizeof *r)
        return not_one;
    const char *wrong = merge_open(m, r->bytes, r->head);
    if (wrong || r->whole)
        return wrong;
    stretch_merge_end(m);
    wrong = merge_open(m, r->bytes + r->head, r->tail);
    if (!wrong && !words_merge(&m->words, r->bytes + r->head + r->tail, r->table))
        wrong = not_one;
    return wrong;
}

void stretch_merge_end(stretch_merger *m)
{
    if (m->open_len)
        words_add(&m->words, m->open, m->open_len, 1);
    m->open_len = 0;
}

void stretch_merger_fini(stretch_merger *m)
{
    words_free(&m->words);
    free(m->open);
    *m = (stretch_merger){ 0 };
}
