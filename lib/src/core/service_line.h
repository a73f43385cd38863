/* core/service_line.h: requests on their way to homes, as core/service.c gives them. With the core
 * entered. */
#ifndef SRI_CORE_SERVICE_LINE_H
#define SRI_CORE_SERVICE_LINE_H

#include "core/service.h"

/* A request, in as many frames as it takes. Lives until it is done. */
typedef struct sri_service_run {
    struct sri_service_run *prev, *next;
    uint64_t object;
    sri_request_head head;
    const uint8_t *args, *body;
    size_t args_len, len;
    int fd;      /* goes with the first frame; -1: none */
    bool urgent; /* no order is to be kept with what else is under way */
    bool begun;  /* the head has gone */
    bool done;
    bool owned; /* nobody waits for it: it is freed once it has gone */
} sri_service_run;

/* The node where an object lives. What cannot live anywhere is for the own agent to refuse. */
int sri_service_home(uint64_t object);
const char *sri_service_called(uint64_t object, char text[SRI_CALLED]);

/* May such a request go out? Not if its home would end the sender for its length, or is lost. */
serry_err sri_service_allowed(uint64_t object, size_t args_len, size_t len);

/* Sends a run; waits while the lane is full. */
void sri_service_put(sri_service_run *r);

void sri_service_line_lost(int node);
void sri_service_line_fini(void);

#endif
