/* transport/local/pace.h: how long the laps of a lane's writer should be, found out by trying.
 *
 * A short lap stays in the caches of two processors that share them (threads of one core). Where
 * the two have caches of their own each line of a short lap must be fetched from the other's, both
 * ways; a long lap gives it time to fall out into the cache they share, which is three times
 * faster. No system call tells which it is, and it changes when a process is moved. So while long
 * messages stream, the writer compares: two units of the other kind now and then, the better one
 * otherwise.
 */
#ifndef SRI_LOCAL_PACE_H
#define SRI_LOCAL_PACE_H

#include "base/clock.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct sri_pace {
    bool far;       /* laps are long now */
    bool trial;     /* as a trial; else they are what is believed to be better */
    sri_ns since;   /* when this unit began; 0: nothing streams */
    uint64_t bytes; /* of this unit */
    uint32_t units; /* until the next decision */
    uint32_t keep;  /* units between two trials; grows while they confirm what is believed */
    sri_ns cost[2]; /* of the quickest unit of late: short laps, long laps */
} sri_pace;

void sri_pace_init(sri_pace *p);

/* A lap of so many bytes has ended, `bulk` of them in large records. True: the next is to be long.
 */
bool sri_pace_turn(sri_pace *p, uint64_t lap, uint64_t bulk, sri_ns now);

#endif
