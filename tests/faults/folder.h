/* folder: what a daemon finds when it starts: its configuration, its keys, and perhaps what an earlier life left. */
#ifndef FOLDER_H
#define FOLDER_H

/* `folder` is not there yet. `kept`: the folder whose state it gets; NULL: none. */
void folder_make(const char *folder, const char *kept, int workers);
/* `interval`: hub.snapshot_interval. */
void folder_configure(const char *folder, int workers, const char *interval);
void folder_remove(const char *folder);

#endif
