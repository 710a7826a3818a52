/* watcher: what a descriptor's epoll data points to; the first member of whatever owns the descriptor. */
#ifndef WATCHER_H
#define WATCHER_H

struct watcher {
    void (*on_readable)(struct watcher *watcher);
};

#endif
