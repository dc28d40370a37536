/* SPDX-License-Identifier: MIT */
/* How a thread shares its core with others. */
#ifndef SERVER_TURNS_H
#define SERVER_TURNS_H

/* Asks the scheduler for short turns for the calling thread, and to put it `nicer` steps of nice behind what it has now. It is
 * advice: where the system knows no turns (Linux before 6.12) or permits nothing, the thread goes on as it was. */
void turns_be_short(int nicer);

/* Lets others have the core once the calling thread has had it for a turn: for one that has much to do for once. */
void turns_give_way(void);

#endif
