/* base/hash.h: uthash, which may run out of memory. HASH_ADD and its kind then leave the element
 * out and go on; without this they would end the process. Ask SRI_HASHED behind each of them. */
#ifndef SRI_BASE_HASH_H
#define SRI_BASE_HASH_H

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

/* Is the element in its table? False: there was no memory for it. */
#define SRI_HASHED(hh, element) ((element)->hh.tbl != NULL)

#endif
