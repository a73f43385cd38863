/* wordcount_words.h: how often each word occurred: a hash table, and its packed form in which it
 * travels from the process that counted to the one that merges.
 */
#ifndef WORDCOUNT_WORDS_H
#define WORDCOUNT_WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* A table; zero it first. Running out of memory ends the process. */
typedef struct words {
    struct word *table;
} words;

/* text is len lower-case letters, 1 to UINT32_MAX of them. */
void words_add(words *w, const char *text, size_t len, uint64_t count);
void words_free(words *w);

/* Packs the table into out and returns the bytes written. Each word is its letters followed by its
 * count, 7 bits in a byte, lowest first, each byte with the top bit set: what has it belongs to the
 * count, what has not is a letter. A word of L letters that occurs n times in a text takes
 * n * (L + 1) bytes there, with what separates it from the next, and never more here. */
size_t words_pack(const words *w, uint8_t *out);

/* Adds a packed table. False if it is not one; w has then what came before the fault. */
bool words_merge(words *w, const uint8_t *packed, size_t len);

/* Prints "count word" lines, the most frequent first, equals in the order of their bytes; at most
 * top of them. Sorts the table. */
void words_print(words *w, FILE *to, size_t top);

#endif
