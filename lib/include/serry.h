/* serry.h: all public headers. serry/mpi.h stands apart: it needs an MPI. */
#ifndef SERRY_H
#define SERRY_H

#include <serry/barrier.h>
#include <serry/collective.h>
#include <serry/condition.h>
#include <serry/describe.h>
#include <serry/error.h>
#include <serry/event.h>
#include <serry/future.h>
#include <serry/lock.h>
#include <serry/message.h>
#include <serry/pipe.h>
#include <serry/pool.h>
#include <serry/process.h>
#include <serry/queue.h>
#include <serry/semaphore.h>
#include <serry/shared.h>
#include <serry/subprocess.h>
#include <serry/types.h>
#include <serry/world.h>

#endif
