/* base/point.h: SRI_POINT(n) marks the place between two writes to shared memory. In test builds
 * (SRI_POINTS) SERRY_KILL_POINT=n[:k] kills the process by SIGKILL there, the k-th time it comes
 * by; in others it is nothing. Each n is used once; tests sweep over 1 .. SRI_POINT_MAX. */
#ifndef SRI_BASE_POINT_H
#define SRI_BASE_POINT_H

#ifdef __cplusplus
extern "C" {
#endif

#define SRI_POINT_MAX 119

#ifdef SRI_POINTS
void sri_point(int n);
/* How often each point has been passed by this process, for tests that check their own reach. */
unsigned sri_point_passed(int n);
/* For tests that kill one process of many: as if its environment had said n:k. */
void sri_point_choose(int n, unsigned k);
/* It does not die there but stands still, until somebody continues it. */
void sri_point_stop(int n, unsigned k);
#define SRI_POINT(n) sri_point(n)
#else
#define SRI_POINT(n) ((void)0)
#endif

#ifdef __cplusplus
}
#endif
#endif
