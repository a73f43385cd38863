/* core/member.h: set by those who make a process a member, see start/world.h. */
#ifndef SRI_CORE_MEMBER_H
#define SRI_CORE_MEMBER_H

#include <serry/error.h>
#include <stdbool.h>

/* Says that this process is a member, or no longer. SERRY_ENOMEM. */
serry_err sri_member_set(bool is);

#endif
