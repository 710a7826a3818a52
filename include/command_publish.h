/* command_publish: the command that publishes one message, and says by which id. */
#ifndef COMMAND_PUBLISH_H
#define COMMAND_PUBLISH_H

/* What `sidecast publish …` exits with. */
enum {
    PUBLISH_DONE = 0,
    PUBLISH_REFUSED = 1,     /* the server says why */
    PUBLISH_USAGE = 2,
    PUBLISH_UNREACHABLE = 4, /* nothing was sent */
    PUBLISH_UNANSWERED = 5,  /* sent; whether it is published is not known */
};

int command_publish_run(int argc, char **argv);

#endif
