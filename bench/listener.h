/*
 * listener: the sockets that the controls are reached at. What goes wrong ends the program with a line that says why.
 */
#ifndef LISTENER_H
#define LISTENER_H

/* Listens on a unix socket (a path) or on TCP (ADDRESS:PORT); blocking. */
int listener_open(const char *where);

/* The next connection, blocking; TCP ones without Nagle's delay. */
int listener_accept(int listener);

/* A unix socket of datagrams. */
int listener_open_datagrams(const char *path);

/* A unix socket that takes connections of packets, of which more may wait than of datagrams. */
int listener_open_packets(const char *path);

#endif
